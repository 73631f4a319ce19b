#include "core/text/term_counts.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace reyearn {

namespace {

constexpr std::size_t kFirstSlots = 1024;
constexpr std::size_t kMaxShards = 256;
constexpr std::size_t kMaxFeatures = INT32_MAX;

Error too_many_features() {
  return Error(ErrorCode::kLimitExceeded, "too many distinct features",
               "There are more than " + std::to_string(kMaxFeatures) + ".",
               "Use shorter n-grams (parameter \"ngram_range\").");
}

std::size_t checked(int shard_count) {
  if (shard_count < 1 || static_cast<std::size_t>(shard_count) > kMaxShards) {
    throw Error(ErrorCode::kInvalidArgument, "number of threads out of range");
  }
  return static_cast<std::size_t>(shard_count);
}

void put_varint(std::vector<std::uint8_t>& bytes, std::uint32_t value) {
  while (value >= 0x80) {
    bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  bytes.push_back(static_cast<std::uint8_t>(value));
}

std::uint32_t get_varint(const std::uint8_t*& at) {
  std::uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const std::uint8_t byte = *at++;
    value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

TermCounts::Dictionary::Dictionary() : slots_(kFirstSlots), mask_(kFirstSlots - 1) {}

std::uint32_t TermCounts::Dictionary::number_of(FeatureHash hash) {
  std::size_t at = hash & mask_;
  for (; slots_[at] != 0; at = (at + 1) & mask_) {
    if (hashes_[slots_[at] - 1] == hash) return slots_[at] - 1;
  }
  if (hashes_.size() >= kMaxFeatures) throw too_many_features();
  hashes_.push_back(hash);
  slots_[at] = static_cast<std::uint32_t>(hashes_.size());
  if (hashes_.size() * 2 > slots_.size()) grow();
  return static_cast<std::uint32_t>(hashes_.size() - 1);
}

void TermCounts::Dictionary::grow() {
  slots_.assign(slots_.size() * 2, 0);
  mask_ = slots_.size() - 1;
  for (std::size_t number = 0; number < hashes_.size(); ++number) {
    std::size_t at = hashes_[number] & mask_;
    while (slots_[at] != 0) at = (at + 1) & mask_;
    slots_[at] = static_cast<std::uint32_t>(number + 1);
  }
}

TermCounts::TermCounts(std::size_t row_count, int shard_count, std::size_t memory_limit, const SpillSpace& space,
                       const SpillFile::Usage& usage)
    : rows_(row_count), tail_limit_(memory_limit / checked(shard_count)) {
  for (int i = 0; i < shard_count; ++i) shards_.emplace_back(space, usage);
}

void TermCounts::add(int shard_number, std::uint32_t row, std::span<const FeatureCount> features) {
  Shard& shard = shards_[static_cast<std::size_t>(shard_number)];
  const std::size_t before = shard.tail.size();
  put_varint(shard.tail, static_cast<std::uint32_t>(features.size()));
  for (const FeatureCount& feature : features) {
    put_varint(shard.tail, shard.dictionary.number_of(feature.hash));
    put_varint(shard.tail, feature.count);
  }
  RowPlace& place = rows_[row];
  place.shard = static_cast<std::uint8_t>(shard_number);
  place.offset = shard.spilled.size() + before;
  place.bytes = static_cast<std::uint32_t>(shard.tail.size() - before);
  if (shard.tail.size() > tail_limit_) {
    shard.spilled.append(shard.tail);
    shard.tail.clear();
  }
}

void TermCounts::finish(const ShouldStop& should_stop) {
  parallel_for(static_cast<int>(shards_.size()), shards_.size(), should_stop,
               [this](int, std::size_t i, const StopFlag&) { sort_dictionary(shards_[i]); });
  join_dictionaries();
}

void TermCounts::sort_dictionary(Shard& shard) {
  const std::vector<FeatureHash>& hashes = shard.dictionary.hashes();
  shard.sorted.reserve(hashes.size());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    shard.sorted.push_back(NumberedHash{hashes[i], static_cast<std::uint32_t>(i)});
  }
  shard.dictionary = Dictionary();
  shard.feature_of.resize(shard.sorted.size());
  std::sort(shard.sorted.begin(), shard.sorted.end(),
            [](const NumberedHash& a, const NumberedHash& b) { return a.hash < b.hash; });
}

// Merges the sorted dictionaries: the smallest hash not yet taken becomes the next feature.
void TermCounts::join_dictionaries() {
  std::vector<std::size_t> at(shards_.size(), 0);
  for (;;) {
    const NumberedHash* smallest = nullptr;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (at[i] == shards_[i].sorted.size()) continue;
      const NumberedHash& head = shards_[i].sorted[at[i]];
      if (smallest == nullptr || head.hash < smallest->hash) smallest = &head;
    }
    if (smallest == nullptr) break;
    const FeatureHash hash = smallest->hash;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      Shard& shard = shards_[i];
      if (at[i] == shard.sorted.size() || shard.sorted[at[i]].hash != hash) continue;
      shard.feature_of[shard.sorted[at[i]++].number] = static_cast<std::uint32_t>(features_.size());
    }
    if (features_.size() >= kMaxFeatures) throw too_many_features();
    features_.push_back(hash);
  }
  for (Shard& shard : shards_) shard.sorted = std::vector<NumberedHash>();  // "= {}" would keep the memory
}

std::uint64_t TermCounts::spilled_bytes() const {
  std::uint64_t bytes = 0;
  for (const Shard& shard : shards_) bytes += shard.spilled.size();
  return bytes;
}

std::span<const TermCount> TermCounts::Reader::row(std::uint32_t row) {
  const RowPlace& place = counts_.rows_[row];
  const Shard& shard = counts_.shards_[place.shard];
  terms_.clear();
  if (place.bytes == 0) return terms_;
  const std::uint8_t* at;
  if (place.offset >= shard.spilled.size()) {
    at = shard.tail.data() + (place.offset - shard.spilled.size());
  } else {
    bytes_.resize(place.bytes);
    shard.spilled.read(place.offset, bytes_);
    at = bytes_.data();
  }
  const std::uint32_t count = get_varint(at);
  terms_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t feature = shard.feature_of[get_varint(at)];
    terms_.push_back(TermCount{feature, get_varint(at)});
  }
  return terms_;
}

std::span<const FeatureCount> TermCounts::Reader::hashed_row(std::uint32_t row_number) {
  features_.clear();
  for (const TermCount& term : row(row_number)) {
    features_.push_back(FeatureCount{counts_.features_[term.feature], term.count});
  }
  return features_;
}

}  // namespace reyearn
