// 64-bit hashes of words and of word n-grams: the identity of a feature. They are part of the model format and
// must never change within a format version.
//
// A word of up to 16 bytes is read as two zero-padded 64-bit words and mixed with two 64 × 64 → 128 bit
// multiplications folded by xor (the mixing step of wyhash and XXH3); that has one well-predicted branch, where
// XXH3 has one for each class of lengths. Longer words go to XXH3. Two different features of a vocabulary of a
// million share a hash with probability 3e-8.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace reyearn {

using FeatureHash = std::uint64_t;

// Bytes that must be readable after the start of a word passed to hash_padded_word.
inline constexpr std::size_t kHashPadding = 16;

namespace hash_detail {

inline constexpr std::uint64_t kFirst = 0x9E3779B97F4A7C15;   // 2^64 / golden ratio
inline constexpr std::uint64_t kSecond = 0xD6E8FEB86659FD93;  // odd, well mixed (Mulvey's prospector)
inline constexpr std::uint64_t kThird = 0xA0761D6478BD642F;   // wyhash secret

inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The lowest `count` bytes of a word; count 0..8.
inline std::uint64_t low_bytes(std::size_t count) { return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - 8 * count); }

}  // namespace hash_detail

// Hash of the `length` bytes at `word`, of which the first kHashPadding are readable whatever the length.
inline FeatureHash hash_padded_word(const char* word, std::size_t length) {
  using namespace hash_detail;
  if (length > 16) return XXH3_64bits(word, length);
  std::uint64_t head;
  std::uint64_t tail;
  std::memcpy(&head, word, 8);
  std::memcpy(&tail, word + 8, 8);
  head &= low_bytes(length < 8 ? length : 8);
  tail &= low_bytes(length > 8 ? length - 8 : 0);
  return fold_multiply(fold_multiply(head ^ kFirst, tail ^ kSecond ^ length) ^ kThird, head + kSecond);
}

// The same hash for bytes anywhere.
inline FeatureHash hash_word(std::string_view word) {
  if (word.size() > kHashPadding) return XXH3_64bits(word.data(), word.size());
  char padded[kHashPadding] = {};
  word.copy(padded, word.size());
  return hash_padded_word(padded, word.size());
}

// Hash of the n-gram that lengthens `prefix` (a word, or a shorter n-gram) by `word`. Not symmetric.
inline FeatureHash extend_ngram(FeatureHash prefix, FeatureHash word) {
  using namespace hash_detail;
  return fold_multiply(prefix ^ kThird, word + kFirst) + prefix;
}

}  // namespace reyearn
