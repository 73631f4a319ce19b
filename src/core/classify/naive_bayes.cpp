// Multinomial naive Bayes (McCallum and Nigam, "A Comparison of Event Models for Naive Bayes Text Classification",
// 1998) over tf-idf vectors, with the definitions of scikit-learn's TfidfTransformer and MultinomialNB, so that the
// numbers can be compared:
//
//   idf[f]      = ln((1 + n) / (1 + df[f])) + 1             n texts, df[f] of them with feature f
//   x[f]        = count[f] · idf[f] / ‖count · idf‖₂
//   sum[c][f]   = Σ x[f] over the texts of class c
//   log P(f|c)  = ln(sum[c][f] + α) − ln(Σ sum[c] + α V)
//   score(c)    = ln(n[c] / n) + Σ x[f] · log P(f|c)
//
// The first term of log P(f|c) is split in ln α, the same for all features, and ln(1 + sum/α), which is 0 for every
// feature the class never saw: only these weights are kept. Sums are made in the order of the rows, one class by one
// thread, so that the result does not depend on the number of threads.
#include "core/classify/naive_bayes.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

namespace reyearn {

namespace {

constexpr std::uint32_t kDropped = UINT32_MAX;
constexpr std::size_t kRowsPerTask = 4096;

// Features in use, in the order of their hashes, with their inverse document frequencies.
struct Vocabulary {
  std::vector<std::uint32_t> index_of;  // feature of the matrix → feature of the model, or kDropped
  std::vector<FeatureHash> hashes;
  std::vector<double> idf;
};

std::vector<std::uint32_t> document_frequencies(const TrainingSet& set, const Execution& execution) {
  const std::size_t features = set.counts.features().size();
  std::vector<std::vector<std::uint32_t>> counts(static_cast<std::size_t>(execution.threads));
  const std::size_t tasks = (set.rows.size() + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(execution.threads, tasks, execution.should_stop, [&](int worker, std::size_t task, const StopFlag&) {
    std::vector<std::uint32_t>& mine = counts[static_cast<std::size_t>(worker)];
    mine.resize(features);
    TermCounts::Reader reader(set.counts);
    const std::size_t begin = task * kRowsPerTask;
    for (const std::uint32_t row : set.rows.subspan(begin, std::min(kRowsPerTask, set.rows.size() - begin))) {
      for (const TermCount& term : reader.row(row)) ++mine[term.feature];
    }
  });
  std::vector<std::uint32_t> total(features);
  for (const std::vector<std::uint32_t>& part : counts) {
    for (std::size_t f = 0; f < part.size(); ++f) total[f] += part[f];
  }
  return total;
}

Vocabulary make_vocabulary(const TrainingSet& set, std::int64_t min_df, const Execution& execution) {
  const std::vector<std::uint32_t> df = document_frequencies(set, execution);
  const double n = static_cast<double>(set.rows.size());
  Vocabulary vocabulary;
  vocabulary.index_of.assign(df.size(), kDropped);
  for (std::size_t f = 0; f < df.size(); ++f) {
    if (df[f] == 0 || df[f] < min_df) continue;
    vocabulary.index_of[f] = static_cast<std::uint32_t>(vocabulary.hashes.size());
    vocabulary.hashes.push_back(set.counts.features()[f]);
    vocabulary.idf.push_back(std::log((1 + n) / (1 + static_cast<double>(df[f]))) + 1);
  }
  return vocabulary;
}

// Sums the vectors of texts of one class. Dense while summing, so one for each thread, used for one class after
// another.
class ClassSums {
 public:
  ClassSums(const TermCounts& counts, const Vocabulary& vocabulary)
      : reader_(counts), vocabulary_(vocabulary), sums_(vocabulary.hashes.size()) {}

  void add(std::uint32_t row) {
    values_.clear();
    double squares = 0;
    for (const TermCount& term : reader_.row(row)) {
      const std::uint32_t f = vocabulary_.index_of[term.feature];
      if (f == kDropped) continue;
      const double value = static_cast<double>(term.count) * vocabulary_.idf[f];
      squares += value * value;
      values_.push_back({f, value});
    }
    if (values_.empty()) return;
    const double scale = 1 / std::sqrt(squares);
    for (const Value& value : values_) {
      if (sums_[value.feature] == 0) touched_.push_back(value.feature);
      sums_[value.feature] += value.value * scale;
    }
  }

  // The class's weights and what it gives to a feature it never saw; ready for the next class afterwards.
  std::vector<LinearModel::Weight> take_weights(double alpha, double& absent) {
    std::sort(touched_.begin(), touched_.end());
    double total = 0;
    for (const std::uint32_t f : touched_) total += sums_[f];
    absent = sums_.empty() ? 0 : std::log(alpha) - std::log(total + alpha * static_cast<double>(sums_.size()));
    std::vector<LinearModel::Weight> weights;
    weights.reserve(touched_.size());
    for (const std::uint32_t f : touched_) {
      weights.push_back({f, static_cast<float>(std::log1p(sums_[f] / alpha))});
      sums_[f] = 0;
    }
    touched_.clear();
    return weights;
  }

 private:
  struct Value {
    std::uint32_t feature;
    double value;
  };

  TermCounts::Reader reader_;
  const Vocabulary& vocabulary_;
  std::vector<double> sums_;
  std::vector<std::uint32_t> touched_;
  std::vector<Value> values_;
};

// Rows of each class that has any, in the order of `set.classes`.
struct ClassRows {
  std::uint32_t class_index;
  std::vector<std::uint32_t> rows;
};

std::vector<ClassRows> rows_by_class(const TrainingSet& set) {
  std::vector<ClassRows> all(set.classes.size());
  for (std::uint32_t c = 0; c < all.size(); ++c) all[c].class_index = c;
  for (const std::uint32_t row : set.rows) all[set.labels[row]].rows.push_back(row);
  std::erase_if(all, [](const ClassRows& one) { return one.rows.empty(); });
  return all;
}

}  // namespace

std::vector<std::byte> NaiveBayes::train(const TrainingSet& set, const Parameters& parameters,
                                         const Execution& execution) const {
  const Vocabulary vocabulary = make_vocabulary(set, parameters.min_df, execution);
  const std::vector<ClassRows> classes = rows_by_class(set);

  LinearModel model;
  model.algorithm = name();
  model.text = parameters.text;
  model.features = vocabulary.hashes;
  model.idf.assign(vocabulary.idf.begin(), vocabulary.idf.end());
  model.class_scores.resize(classes.size());
  model.weights.resize(classes.size());
  for (const ClassRows& one : classes) model.classes.push_back(set.classes[one.class_index]);

  std::vector<std::unique_ptr<ClassSums>> sums(static_cast<std::size_t>(execution.threads));
  parallel_for(
      execution.threads, classes.size(), execution.should_stop, [&](int worker, std::size_t c, const StopFlag& stop) {
        std::unique_ptr<ClassSums>& mine = sums[static_cast<std::size_t>(worker)];
        if (!mine) mine = std::make_unique<ClassSums>(set.counts, vocabulary);
        for (const std::uint32_t row : classes[c].rows) {
          if (stop.load(std::memory_order_relaxed)) return;
          mine->add(row);
        }
        const double share = static_cast<double>(classes[c].rows.size()) / static_cast<double>(set.rows.size());
        model.class_scores[c].prior = std::log(share);
        model.weights[c] = mine->take_weights(parameters.alpha, model.class_scores[c].absent);
      });
  return model.to_image();
}

}  // namespace reyearn
