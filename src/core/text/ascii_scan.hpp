// AsciiScan: the fast path of the tokenizer. It takes a window of bytes, lowers ASCII letters and finds the runs of
// bytes that are not ASCII separators, 16 bytes at a time with vector instructions every x86-64 and arm64 has.
//
// As in simdjson, each block of 64 bytes becomes a bit mask first, and the borders of the runs are read off the mask
// by counting trailing zeros: the only unpredictable branch is one a block, not one a byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/text/hash.hpp"

namespace reyearn {

namespace ascii_detail {

using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
using Halves = std::uint64_t __attribute__((vector_size(16)));

// One bit a byte: set where the byte's highest bit is.
inline std::uint64_t high_bits(Bytes16 bytes) {
#if defined(__SSE2__)
  return static_cast<std::uint32_t>(_mm_movemask_epi8(reinterpret_cast<__m128i>(bytes)));
#else
  // The multiplication gathers the eight lowest bits of the bytes of a half in its highest byte.
  const Halves halves = reinterpret_cast<Halves>(bytes >> 7);
  return (halves[0] * 0x0102040810204080 >> 56) | (halves[1] * 0x0102040810204080 >> 56 << 8);
#endif
}

}  // namespace ascii_detail

class AsciiScan {
 public:
  static constexpr std::size_t kWindow = 4096;

  // Scans at most kWindow bytes. Unless `is_last`, a run that touches the end is left for the next window.
  void scan(std::string_view part, bool is_last) {
    static_assert(kWindow % kBlock == 0);
    run_count_ = 0;
    std::size_t open_count = 0;
    std::uint64_t previous = 0;  // whether the byte before the block was in a run
    any_non_ascii_ = 0;
    const std::size_t blocks = (part.size() + kBlock - 1) / kBlock;
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t base = block * kBlock;
      const std::uint64_t mask = scan_block(part, base);
      const std::uint64_t shifted = mask << 1 | previous;
      for (std::uint64_t bits = mask & ~shifted; bits != 0; bits &= bits - 1) {
        begins_[open_count++] = static_cast<std::uint16_t>(base + count_zeros(bits));
      }
      for (std::uint64_t bits = ~mask & shifted; bits != 0; bits &= bits - 1) {
        ends_[run_count_++] = static_cast<std::uint16_t>(base + count_zeros(bits));
      }
      previous = mask >> 63;
    }
    consumed_ = part.size();
    if (open_count == run_count_) return;
    // The last run has no separator behind it.
    if (is_last) {
      ends_[run_count_++] = static_cast<std::uint16_t>(part.size());
    } else {
      consumed_ = begins_[open_count - 1];
    }
  }

  std::size_t run_count() const { return run_count_; }
  std::size_t run_begin(std::size_t i) const { return begins_[i]; }
  std::size_t run_end(std::size_t i) const { return ends_[i]; }
  // How much of the window is done; 0 when one run fills it.
  std::size_t consumed() const { return consumed_; }
  // The lowered window from byte `at`; kHashPadding bytes behind the window are readable.
  const char* lower(std::size_t at) const { return reinterpret_cast<const char*>(lower_.data() + at); }

  bool is_ascii(std::size_t begin, std::size_t end) const {
    if (any_non_ascii_ == 0) return true;
    for (std::size_t at = begin; at < end; ++at) {
      if (lower_[at] >= 0x80) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kBlock = 64;

  static int count_zeros(std::uint64_t bits) { return __builtin_ctzll(bits); }

  // Lowers one block into lower_; returns the mask of bytes that belong to runs.
  std::uint64_t scan_block(std::string_view part, std::size_t base) {
    using namespace ascii_detail;
    alignas(16) std::uint8_t copy[kBlock];
    const std::uint8_t* input = reinterpret_cast<const std::uint8_t*>(part.data()) + base;
    if (part.size() - base < kBlock) {
      std::memset(copy, 0, kBlock);
      std::memcpy(copy, input, part.size() - base);
      input = copy;
    }
    std::uint64_t mask = 0;
    std::uint64_t non_ascii = 0;
    for (std::size_t i = 0; i < kBlock; i += 16) {
      Bytes16 bytes;
      std::memcpy(&bytes, input + i, 16);
      const Bytes16 is_upper = reinterpret_cast<Bytes16>((bytes - 'A') < 26);
      const Bytes16 lowered = bytes | (is_upper & 0x20);
      std::memcpy(lower_.data() + base + i, &lowered, 16);
      const Bytes16 in_run = reinterpret_cast<Bytes16>((lowered - 'a') < 26) |
                             reinterpret_cast<Bytes16>((bytes - '0') < 10) | reinterpret_cast<Bytes16>(bytes == '_') |
                             bytes;
      mask |= high_bits(in_run) << i;
      non_ascii |= high_bits(bytes) << i;
    }
    any_non_ascii_ |= non_ascii;
    return mask;
  }

  std::array<std::uint8_t, kWindow + kHashPadding> lower_{};
  // A run and its separator take two bytes at least.
  std::array<std::uint16_t, kWindow / 2 + 1> begins_;
  std::array<std::uint16_t, kWindow / 2 + 1> ends_;
  std::size_t run_count_ = 0;
  std::size_t consumed_ = 0;
  std::uint64_t any_non_ascii_ = 0;
};

// Length of the run of bytes at the start of `text` that are not ASCII separators.
inline std::size_t run_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const auto byte = static_cast<unsigned char>(text[length]);
    const bool in_run = byte >= 0x80 || byte == '_' || (byte | 0x20u) - 'a' < 26u || byte - '0' + 0u < 10u;
    if (!in_run) break;
    ++length;
  }
  return length;
}

inline bool is_ascii_text(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

}  // namespace reyearn
