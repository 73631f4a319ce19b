#include "core/eval/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/text/hash.hpp"

namespace reyearn {

bool is_held_out(const ContentHash& hash, double fraction) {
  const std::uint64_t place = XXH3_64bits(hash.data(), hash.size());
  return static_cast<double>(place) < std::ldexp(fraction, 64);
}

std::vector<std::uint32_t> assign_folds(std::span<const ContentHash> hashes, std::span<const std::uint32_t> labels,
                                        std::uint32_t folds, std::uint64_t seed) {
  std::vector<std::uint64_t> place(hashes.size());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    place[i] = XXH3_64bits_withSeed(hashes[i].data(), hashes[i].size(), seed + 1);  // 0 is the seed of is_held_out
  }
  std::vector<std::uint32_t> order(hashes.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::tie(labels[a], place[a], hashes[a]) < std::tie(labels[b], place[b], hashes[b]);
  });
  // Counted on across classes, so that small classes do not all begin in the first fold.
  std::vector<std::uint32_t> fold(hashes.size());
  for (std::size_t i = 0; i < order.size(); ++i) fold[order[i]] = static_cast<std::uint32_t>(i % folds);
  return fold;
}

}  // namespace reyearn
