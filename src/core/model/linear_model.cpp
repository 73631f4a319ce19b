// Layout of the weights: dense when the rows are well filled, sparse otherwise. A sparse weight takes twice the room
// of a dense one, and adding it is a scattered write where a dense row is added with vector instructions: sparse pays
// when fewer than a quarter of the weights are there.
#include "core/model/linear_model.hpp"

#include <unicode/uversion.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "core/error.hpp"
#include "core/model/image_writer.hpp"
#include "core/model/view.hpp"

namespace reyearn {

namespace {

constexpr double kSparseBelow = 0.25;

Error too_large() {
  return Error(ErrorCode::kLimitExceeded, "model is too large", "Its weights take more than 16 GB.",
               "Raise the parameter \"min_df\", or use shorter n-grams (\"ngram_range\").");
}

// The rows of all features, and for each feature where its row is.
struct Rows {
  std::vector<std::uint32_t> words;
  std::vector<std::uint32_t> row_of;
};

Rows dense_rows(const LinearModel& model) {
  const std::size_t classes = model.classes.size();
  if (model.features.size() * classes > UINT32_MAX) throw too_large();
  Rows rows{std::vector<std::uint32_t>(model.features.size() * classes), {}};
  for (std::uint32_t f = 0; f < model.features.size(); ++f) rows.row_of.push_back(f);
  for (std::size_t c = 0; c < classes; ++c) {
    for (const LinearModel::Weight& weight : model.weights[c]) {
      rows.words[weight.feature * classes + c] = std::bit_cast<std::uint32_t>(weight.weight);
    }
  }
  return rows;
}

Rows sparse_rows(const LinearModel& model) {
  std::vector<std::uint32_t> filled(model.features.size(), 0);
  std::uint64_t total = model.features.size();
  for (const auto& list : model.weights) {
    for (const LinearModel::Weight& weight : list) ++filled[weight.feature];
    total += 2 * list.size();
  }
  if (total > UINT32_MAX) throw too_large();
  Rows rows{std::vector<std::uint32_t>(total), std::vector<std::uint32_t>(model.features.size())};
  std::uint32_t next = 0;
  for (std::size_t f = 0; f < model.features.size(); ++f) {
    rows.row_of[f] = next;
    next += 1 + 2 * filled[f];
  }
  for (std::uint32_t c = 0; c < model.weights.size(); ++c) {
    for (const LinearModel::Weight& weight : model.weights[c]) {
      std::uint32_t* row = rows.words.data() + rows.row_of[weight.feature];
      const std::uint32_t at = (*row)++;
      row[1 + 2 * at] = c;
      row[2 + 2 * at] = std::bit_cast<std::uint32_t>(weight.weight);
    }
  }
  return rows;
}

// Slots at most half full, filled in the order of the hashes, so that the same features give the same table.
std::vector<VocabularySlot> vocabulary(const LinearModel& model, const Rows& rows) {
  std::vector<std::uint32_t> order(model.features.size());
  for (std::uint32_t f = 0; f < order.size(); ++f) order[f] = f;
  // Training gives them in order already.
  if (!std::is_sorted(model.features.begin(), model.features.end())) {
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return model.features[a] < model.features[b]; });
  }
  std::vector<VocabularySlot> slots(std::bit_ceil(std::max<std::size_t>(model.features.size() * 2, 2)));
  const int shift = 64 - std::countr_zero(slots.size());
  for (const std::uint32_t f : order) {
    std::size_t at = model.features[f] >> shift;
    while (slots[at].idf != 0) at = (at + 1) & (slots.size() - 1);
    slots[at] = VocabularySlot{model.features[f], model.idf[f], rows.row_of[f]};
  }
  return slots;
}

void add_classes(ImageWriter& writer, const std::vector<ModelClass>& classes) {
  std::vector<std::int64_t> ids;
  std::vector<std::uint32_t> offsets{0};
  std::string labels;
  for (const ModelClass& model_class : classes) {
    ids.push_back(model_class.id);
    labels += model_class.label;
    offsets.push_back(static_cast<std::uint32_t>(labels.size()));
  }
  writer.add(SectionKind::kClassIds, std::span<const std::int64_t>(ids));
  writer.add(SectionKind::kLabelOffsets, std::span<const std::uint32_t>(offsets));
  writer.add(SectionKind::kLabels, std::span<const char>(labels));
}

}  // namespace

std::vector<std::byte> LinearModel::to_image() const {
  double filled = 0;
  for (const auto& list : weights) filled += static_cast<double>(list.size());
  const double cells = static_cast<double>(features.size()) * static_cast<double>(classes.size());
  const bool is_sparse = filled < kSparseBelow * cells;
  const Rows rows = is_sparse ? sparse_rows(*this) : dense_rows(*this);

  ImageWriter writer;
  add_classes(writer, classes);
  writer.add(SectionKind::kClassScores, std::span<const ClassScore>(class_scores));
  writer.add(SectionKind::kVocabulary, std::span<const VocabularySlot>(vocabulary(*this, rows)));
  writer.add(SectionKind::kWeights, std::span<const std::uint32_t>(rows.words));

  ImageHeader header{};
  header.class_count = static_cast<std::uint32_t>(classes.size());
  header.feature_count = features.size();
  algorithm.copy(header.algorithm, sizeof header.algorithm - 1);
  icu_version().copy(header.icu_version, sizeof header.icu_version - 1);
  header.min_ngram = text.min_ngram;
  header.max_ngram = text.max_ngram;
  header.is_sparse = is_sparse;
  return writer.seal(header);
}

std::vector<std::byte> with_classes(const std::vector<std::byte>& image, const std::vector<ModelClass>& classes) {
  const ModelView view = ModelView::open(image);
  if (classes.size() != view.class_count()) throw Error(ErrorCode::kInternal, "wrong number of classes");
  ImageWriter writer;
  add_classes(writer, classes);
  writer.add(SectionKind::kClassScores, view.class_scores());
  writer.add(SectionKind::kVocabulary, view.slots());
  writer.add(SectionKind::kWeights, view.weights());
  ImageHeader header;
  std::memcpy(&header, image.data(), sizeof header);
  return writer.seal(header);
}

std::string icu_version() {
  UVersionInfo version;
  char text[U_MAX_VERSION_STRING_LENGTH];
  u_getVersion(version);
  u_versionToString(version, text);
  return text;
}

}  // namespace reyearn
