// Byte layout of a model image, format version 1. One flat, position-independent block, little-endian, every section
// aligned to 64 bytes; it is used in place and never written to after it was made. docs/model-format.md has the
// same tables with their reasons.
//
//   ImageHeader                         128 bytes
//   SectionEntry[section_count]         24 bytes each
//   sections, in the order of SectionKind
//
// The checksum covers everything behind `checksum`; the three fields before it are checked by value.
#pragma once

#include <bit>
#include <cstdint>

#include "core/text/hash.hpp"

namespace reyearn {

static_assert(std::endian::native == std::endian::little, "model images are little-endian");

inline constexpr std::uint64_t kImageMagic = 0x4E524145594552A9;  // bytes A9 'R' 'E' 'Y' 'E' 'A' 'R' 'N'
inline constexpr std::uint32_t kImageFormat = 1;
inline constexpr std::size_t kSectionAlignment = 64;

struct ImageHeader {
  std::uint64_t magic;
  std::uint32_t format;        // kImageFormat; a newer one is refused
  std::uint32_t header_bytes;  // sizeof(ImageHeader)
  std::uint64_t checksum;      // XXH3-64 of all bytes behind this field
  std::uint64_t total_bytes;
  std::uint32_t section_count;
  std::uint32_t class_count;    // K
  std::uint64_t feature_count;  // V
  char algorithm[32];           // zero-padded
  char icu_version[16];         // zero-padded
  std::uint32_t min_ngram;
  std::uint32_t max_ngram;
  std::uint32_t is_sparse;  // rows of kWeights: 0 dense, 1 sparse
  std::uint32_t reserved[5];
};
static_assert(sizeof(ImageHeader) == 128);

enum class SectionKind : std::uint32_t {
  kClassIds = 1,  // int64[K]
  kLabelOffsets,  // uint32[K + 1], into kLabels
  kLabels,        // labels without separators
  kClassScores,   // ClassScore[K]
  kVocabulary,    // VocabularySlot[2^n], open addressing, at least one slot free
  kWeights,       // 32-bit words: one row a feature
  kLast = kWeights,
};
inline constexpr std::uint32_t kSectionCount = static_cast<std::uint32_t>(SectionKind::kLast);

struct SectionEntry {
  std::uint32_t kind;
  std::uint32_t element_bytes;
  std::uint64_t offset;  // from the start of the image
  std::uint64_t bytes;
};
static_assert(sizeof(SectionEntry) == 24);

// The score of class c for a text with feature values x (tf-idf, of Euclidean length 1) is
//   prior[c] + absent[c] · Σ x  +  Σ x[f] · weight[f][c].
// `absent` is what a feature contributes that the class never saw, so that a row need name only the others.
struct ClassScore {
  double prior;
  double absent;
};

// Where a feature's slot is looked for first: the highest bits of its hash. A slot holds the whole hash, so that no
// unknown word is ever taken for a known one, and the feature's idf: one cache line answers both questions.
struct VocabularySlot {
  FeatureHash hash;
  float idf;          // 0: free
  std::uint32_t row;  // dense: number of the row; sparse: first word of the row in kWeights
};
static_assert(sizeof(VocabularySlot) == 16);

// A dense row is float[K]. A sparse row is a count n and n of these, ascending by class.
struct SparseWeight {
  std::uint32_t class_index;
  float weight;
};

}  // namespace reyearn
