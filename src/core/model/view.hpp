// A ModelView reads a model straight from its bytes, which may lie in shared memory. Opening checks header, checksum
// and every offset once; after that no access can fail. The view does not own the bytes: they must outlive it and be
// aligned to 8. Any number of processes may read the same bytes at once, because nothing is ever written to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/model/format.hpp"
#include "core/text/features.hpp"

namespace reyearn {

class ModelView {
 public:
  // Reads all of it. Throws Error: kCorruptModel unless `bytes` holds a complete model, kNewerModel when a newer library
  // wrote it.
  static ModelView open(std::span<const std::byte> bytes);
  // For bytes that open() has accepted before, in whatever process, and that nobody has written to since: reads the
  // header and the section table only.
  static ModelView open_checked(std::span<const std::byte> bytes);
  static bool is_valid(std::span<const std::byte> bytes);

  std::uint32_t class_count() const { return header_->class_count; }
  std::uint64_t feature_count() const { return header_->feature_count; }
  std::int64_t class_id(std::uint32_t c) const { return class_ids_[c]; }
  std::string_view label(std::uint32_t c) const {
    return labels_.substr(label_offsets_[c], label_offsets_[c + 1] - label_offsets_[c]);
  }
  std::string_view algorithm() const;
  std::string_view icu_version() const;
  std::uint64_t checksum() const { return header_->checksum; }
  std::size_t bytes() const { return header_->total_bytes; }
  TextOptions text_options() const { return {header_->min_ngram, header_->max_ngram}; }

  // The sections as they are, for copying.
  std::span<const VocabularySlot> slots() const { return slots_; }
  std::span<const std::uint32_t> weights() const { return weights_; }

  bool is_sparse() const { return header_->is_sparse != 0; }
  std::span<const ClassScore> class_scores() const { return class_scores_; }
  const float* dense_row(const VocabularySlot& slot) const {
    return reinterpret_cast<const float*>(weights_.data()) + std::size_t{slot.row} * class_count();
  }
  std::span<const SparseWeight> sparse_row(const VocabularySlot& slot) const {
    const std::uint32_t* row = weights_.data() + slot.row;
    return {reinterpret_cast<const SparseWeight*>(row + 1), *row};
  }

  // The slot of a feature, or nullptr when the model does not know it.
  const VocabularySlot* find(FeatureHash hash) const {
    for (std::size_t at = home(hash);; at = (at + 1) & slot_mask_) {
      const VocabularySlot& slot = slots_[at];
      if (slot.hash == hash && slot.idf != 0) return &slot;
      if (slot.idf == 0) return nullptr;
    }
  }
  void prefetch(FeatureHash hash) const { __builtin_prefetch(&slots_[home(hash)]); }
  void prefetch_row(const VocabularySlot& slot) const {
    __builtin_prefetch(weights_.data() + std::size_t{slot.row} * (is_sparse() ? 1 : class_count()));
  }

 private:
  // Finds the sections; afterwards only what lies in them is unknown.
  explicit ModelView(std::span<const std::byte> bytes);
  std::size_t home(FeatureHash hash) const { return hash >> home_shift_; }
  void check_labels() const;
  void check_slots() const;
  std::uint64_t row_words(const VocabularySlot& slot) const;  // length of its row, which lies within the weights
  void check_row(const VocabularySlot& slot) const;           // of a sparse image

  const ImageHeader* header_ = nullptr;
  std::span<const std::int64_t> class_ids_;
  std::span<const std::uint32_t> label_offsets_;
  std::string_view labels_;
  std::span<const ClassScore> class_scores_;
  std::span<const VocabularySlot> slots_;
  std::span<const std::uint32_t> weights_;
  std::size_t slot_mask_ = 0;
  int home_shift_ = 0;
};

}  // namespace reyearn
