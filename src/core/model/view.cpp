#include "core/model/view.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "core/label.hpp"

namespace reyearn {

namespace {

constexpr std::size_t kChecksumEnd = offsetof(ImageHeader, checksum) + sizeof(ImageHeader::checksum);

[[noreturn]] void corrupt(const char* detail) {
  throw Error(ErrorCode::kCorruptModel, "model image is damaged", detail,
              "Restore it from a backup, or train the model again.");
}

void require(bool condition, const char* detail) {
  if (!condition) corrupt(detail);
}

const ImageHeader& header_of(std::span<const std::byte> bytes) {
  require(bytes.size() >= sizeof(ImageHeader), "It is shorter than a header.");
  require(reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(ImageHeader) == 0, "It is not aligned.");
  return *reinterpret_cast<const ImageHeader*>(bytes.data());
}

// First of all: a newer image is told from a damaged one, and nothing else is looked at unless the checksum is right.
void check_format_and_checksum(std::span<const std::byte> bytes) {
  const ImageHeader* header = &header_of(bytes);
  require(header->magic == kImageMagic, "It does not begin like a model image.");
  if (header->format > kImageFormat) {
    throw Error(ErrorCode::kNewerModel, "model image was made by a newer version of reyearn",
                "Its format is " + std::to_string(header->format) + "; this library reads up to " +
                    std::to_string(kImageFormat) + ".",
                "Update the reyearn package on this server.");
  }
  const std::uint64_t checksum = XXH3_64bits(bytes.data() + kChecksumEnd, bytes.size() - kChecksumEnd);
  require(header->checksum == checksum, "Its checksum does not match its contents.");
}

const ImageHeader* check_header(std::span<const std::byte> bytes) {
  const ImageHeader* header = &header_of(bytes);
  require(header->format == kImageFormat && header->header_bytes == sizeof(ImageHeader), "Its header is malformed.");
  require(header->total_bytes == bytes.size(), "Its size is not what the header says.");
  require(header->section_count == kSectionCount, "Its section table is malformed.");
  require(header->class_count >= 1, "It has no class.");
  require(header->min_ngram >= 1 && header->min_ngram <= header->max_ngram && header->max_ngram <= kMaxNgram,
          "Its text options are out of range.");
  return header;
}

// The elements of a section; `count` is what the header promises, or 0 for any number.
template <typename Element>
std::span<const Element> section(std::span<const std::byte> bytes, SectionKind kind, std::uint64_t count) {
  const std::size_t table_end = sizeof(ImageHeader) + kSectionCount * sizeof(SectionEntry);
  require(bytes.size() >= table_end, "Its section table is cut off.");
  const auto* table = reinterpret_cast<const SectionEntry*>(bytes.data() + sizeof(ImageHeader));
  const SectionEntry& entry = table[static_cast<std::uint32_t>(kind) - 1];
  require(entry.kind == static_cast<std::uint32_t>(kind) && entry.element_bytes == sizeof(Element),
          "Its section table is malformed.");
  require(entry.offset % kSectionAlignment == 0 && entry.offset >= table_end && entry.offset <= bytes.size() &&
              entry.bytes <= bytes.size() - entry.offset && entry.bytes % sizeof(Element) == 0,
          "A section lies outside of it.");
  require(count == 0 || entry.bytes / sizeof(Element) == count, "A section has the wrong size.");
  return {reinterpret_cast<const Element*>(bytes.data() + entry.offset), entry.bytes / sizeof(Element)};
}

std::string_view padded_string(const char* characters, std::size_t size) {
  return {characters, strnlen(characters, size)};
}

// What is stored as text elsewhere must be text.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
}

}  // namespace

ModelView::ModelView(std::span<const std::byte> bytes) : header_(check_header(bytes)) {
  const std::uint64_t classes = header_->class_count;
  class_ids_ = section<std::int64_t>(bytes, SectionKind::kClassIds, classes);
  label_offsets_ = section<std::uint32_t>(bytes, SectionKind::kLabelOffsets, classes + 1);
  const auto labels = section<char>(bytes, SectionKind::kLabels, 0);
  labels_ = {labels.data(), labels.size()};
  class_scores_ = section<ClassScore>(bytes, SectionKind::kClassScores, classes);
  slots_ = section<VocabularySlot>(bytes, SectionKind::kVocabulary, 0);
  weights_ = section<std::uint32_t>(bytes, SectionKind::kWeights, 0);
  // Two slots at least: a shift by 64 would be undefined.
  require(slots_.size() >= 2 && std::has_single_bit(slots_.size()), "Its vocabulary has a wrong size.");
  slot_mask_ = slots_.size() - 1;
  home_shift_ = 64 - std::countr_zero(slots_.size());
}

ModelView ModelView::open(std::span<const std::byte> bytes) {
  check_format_and_checksum(bytes);
  const ModelView view(bytes);
  require(!view.algorithm().empty() && is_plain(view.algorithm()) && is_plain(view.icu_version()),
          "Its algorithm or its version of ICU is not a name.");
  view.check_labels();
  view.check_slots();
  return view;
}

ModelView ModelView::open_checked(std::span<const std::byte> bytes) { return ModelView(bytes); }

bool ModelView::is_valid(std::span<const std::byte> bytes) {
  try {
    open(bytes);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string_view ModelView::algorithm() const { return padded_string(header_->algorithm, sizeof header_->algorithm); }

std::string_view ModelView::icu_version() const {
  return padded_string(header_->icu_version, sizeof header_->icu_version);
}

void ModelView::check_labels() const {
  require(label_offsets_.front() == 0 && label_offsets_.back() == labels_.size(), "Its labels are malformed.");
  require(std::is_sorted(label_offsets_.begin(), label_offsets_.end()), "Its labels are malformed.");
  for (std::uint32_t c = 0; c < class_count(); ++c) require(is_label(label(c)), "Its labels are malformed.");
  for (const ClassScore& score : class_scores_) {
    require(std::isfinite(score.prior) && std::isfinite(score.absent), "A score of a class is not a number.");
  }
}

void ModelView::check_slots() const {
  std::uint64_t used = 0;
  std::uint64_t words_left = weights_.size();
  for (const VocabularySlot& slot : slots_) {
    if (slot.idf == 0) continue;
    ++used;
    require(std::isfinite(slot.idf), "The weight of a feature is not a number.");
    // Rows that share words would let a small image take hours to check and to score.
    const std::uint64_t words = row_words(slot);
    require(words <= words_left, "Rows of weights overlap.");
    words_left -= words;
    if (is_sparse()) check_row(slot);
  }
  // A free slot ends every search.
  require(used == feature_count() && used < slots_.size(), "Its vocabulary is malformed.");
}

std::uint64_t ModelView::row_words(const VocabularySlot& slot) const {
  if (!is_sparse()) {
    require((std::uint64_t{slot.row} + 1) * class_count() <= weights_.size(), "A row of weights lies outside of it.");
    return class_count();
  }
  require(slot.row < weights_.size(), "A row of weights lies outside of it.");
  const std::uint64_t count = weights_[slot.row];
  constexpr std::uint64_t kWordsPerWeight = sizeof(SparseWeight) / sizeof(std::uint32_t);
  require(count * kWordsPerWeight <= weights_.size() - slot.row - 1, "A row of weights lies outside of it.");
  return 1 + count * kWordsPerWeight;
}

void ModelView::check_row(const VocabularySlot& slot) const {
  for (const SparseWeight& weight : sparse_row(slot)) {
    require(weight.class_index < class_count(), "A weight names a class that does not exist.");
  }
}

}  // namespace reyearn
