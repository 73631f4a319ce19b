// Algorithm: base class of the ways to learn a text classifier, and their registry. A new one is a class that
// implements this and a line in algorithm.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/model/linear_model.hpp"
#include "core/parallel.hpp"
#include "core/parameters.hpp"
#include "core/text/term_counts.hpp"

namespace reyearn {

// What to learn from: some rows of a matrix, each with its class.
struct TrainingSet {
  const TermCounts& counts;
  std::span<const std::uint32_t> rows;    // ascending
  std::span<const std::uint32_t> labels;  // of every row of `counts`: index into `classes`
  std::span<const ModelClass> classes;
};

struct Execution {
  int threads = 1;
  ShouldStop should_stop;
};

class Algorithm {
 public:
  virtual ~Algorithm() = default;
  virtual std::string_view name() const = 0;

  // An image that knows those classes that have a row. The same set and parameters give the same bytes, whatever
  // the number of threads. Throws Error(kCancelled), Error(kLimitExceeded), Error(kIo).
  virtual std::vector<std::byte> train(const TrainingSet& set, const Parameters& parameters,
                                       const Execution& execution) const = 0;
};

// "auto" is the algorithm that is best for most data. Throws Error(kUnknownName), with the list of names.
const Algorithm& find_algorithm(std::string_view name);

}  // namespace reyearn
