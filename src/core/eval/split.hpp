// Which texts are held out, and how texts are divided into folds. Both follow from hashes of the texts' contents, so
// they depend neither on the order of rows nor on what else is in the data.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace reyearn {

using ContentHash = std::array<std::uint8_t, 32>;  // SHA-256 of the text

// Whether a text is held out when the share `fraction` is. A text held out at a share is so at every larger one.
bool is_held_out(const ContentHash& hash, double fraction);

// Fold (0 to `folds` - 1) of each text. Stratified: each class is spread evenly over the folds.
std::vector<std::uint32_t> assign_folds(std::span<const ContentHash> hashes, std::span<const std::uint32_t> labels,
                                        std::uint32_t folds, std::uint64_t seed);

}  // namespace reyearn
