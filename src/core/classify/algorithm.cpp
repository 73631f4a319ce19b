#include "core/classify/algorithm.hpp"

#include "core/classify/naive_bayes.hpp"
#include "core/error.hpp"

namespace reyearn {

namespace {

const NaiveBayes kNaiveBayes;

const Algorithm* const kAlgorithms[] = {&kNaiveBayes};

}  // namespace

const Algorithm& find_algorithm(std::string_view name) {
  if (name == "auto") return kNaiveBayes;
  std::string names = "auto";
  for (const Algorithm* algorithm : kAlgorithms) {
    if (name == algorithm->name()) return *algorithm;
    names += ", " + std::string(algorithm->name());
  }
  throw Error(ErrorCode::kUnknownName, "unknown algorithm \"" + std::string(name) + "\"",
              "The algorithms are " + names + ".", "Use \"auto\" unless there is a reason not to.");
}

}  // namespace reyearn
