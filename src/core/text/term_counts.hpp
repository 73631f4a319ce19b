// TermCounts: a document-term matrix of counts, kept by rows, larger than memory if it must be.
//
// While it is built, each working thread appends its rows to a shard of its own with a dictionary of its own: nothing
// is shared, nothing is locked. finish() joins the dictionaries: features are numbered in the order of their hashes,
// so that the numbers do not depend on which thread saw which text. A row keeps the order in which its features
// occur in the text.
//
// Memory: the rows take at most `memory_limit` bytes, the rest is in a SpillFile; beside them each distinct feature
// takes about 45 bytes a shard that met it, and each row 12.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/parallel.hpp"
#include "core/text/features.hpp"
#include "core/text/spill_file.hpp"

namespace reyearn {

struct TermCount {
  std::uint32_t feature;  // index into TermCounts::features()
  std::uint32_t count;
};

class TermCounts {
 public:
  TermCounts(std::size_t row_count, int shard_count, std::size_t memory_limit, const SpillSpace& space,
             const SpillFile::Usage& usage = std::make_shared<std::atomic<std::uint64_t>>(0));

  // Thread `shard` adds a row: each row once at most. A row never added is empty.
  void add(int shard, std::uint32_t row, std::span<const FeatureCount> features);
  void finish(const ShouldStop& should_stop);

  // After finish().
  std::size_t row_count() const { return rows_.size(); }
  std::span<const FeatureHash> features() const { return features_; }
  std::uint64_t spilled_bytes() const;

  // Reads rows; one reader a thread.
  class Reader {
   public:
    explicit Reader(const TermCounts& counts) : counts_(counts) {}
    // Valid until the next call.
    std::span<const TermCount> row(std::uint32_t row);
    // The same row with hashes, as a FeatureExtractor gives it.
    std::span<const FeatureCount> hashed_row(std::uint32_t row);

   private:
    const TermCounts& counts_;
    std::vector<std::uint8_t> bytes_;
    std::vector<TermCount> terms_;
    std::vector<FeatureCount> features_;
  };

 private:
  // Hash → number, in order of arrival.
  class Dictionary {
   public:
    Dictionary();
    std::uint32_t number_of(FeatureHash hash);
    const std::vector<FeatureHash>& hashes() const { return hashes_; }

   private:
    void grow();
    std::vector<std::uint32_t> slots_;  // number + 1; 0: free
    std::vector<FeatureHash> hashes_;
    std::size_t mask_;
  };

  struct NumberedHash {
    FeatureHash hash;
    std::uint32_t number;
  };

  // Rows of one thread as variable-length integers: count of features, then number and count of each.
  struct Shard {
    Shard(const SpillSpace& space, const SpillFile::Usage& usage) : spilled(space, usage) {}
    Dictionary dictionary;
    std::vector<std::uint8_t> tail;  // what is not in `spilled` yet
    SpillFile spilled;
    std::vector<std::uint32_t> feature_of;  // after finish(): number in the dictionary → feature
    std::vector<NumberedHash> sorted;       // while finishing: the dictionary by hash
  };

  struct RowPlace {
    std::uint64_t offset : 56 = 0;
    std::uint64_t shard : 8 = 0;
    std::uint32_t bytes = 0;
  } __attribute__((packed));

  static void sort_dictionary(Shard& shard);
  void join_dictionaries();

  std::vector<RowPlace> rows_;
  std::vector<Shard> shards_;
  std::vector<FeatureHash> features_;
  std::size_t tail_limit_;
};

}  // namespace reyearn
