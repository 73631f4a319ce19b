#include "core/classify/training.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>

#include "core/classify/contestant.hpp"
#include "core/error.hpp"
#include "core/text/document_queue.hpp"

namespace reyearn {

namespace {

constexpr std::size_t kMinHeldOut = 200;      // fewer say too little
constexpr std::size_t kMinClassExamples = 5;  // a smaller class may be missing on one side
constexpr std::uint32_t kFolds = 5;

void check(const TrainingRequest& request) {
  if (request.examples.empty()) {
    throw Error(ErrorCode::kNotEnoughData, "there is nothing to learn from", "No text has a confirmed annotation.",
                "Annotate texts of at least two classes, for example with reyearn_annotate_text.");
  }
  if (request.classes.size() < 2) {
    throw Error(ErrorCode::kNotEnoughData, "there is only one class to learn",
                "All confirmed annotations are of class \"" + request.classes[0].label + "\".",
                "Annotate texts of at least two classes.");
  }
}

std::vector<TextOptions> distinct_options(std::span<Contestant* const> contestants) {
  std::vector<TextOptions> options;
  for (const Contestant* contestant : contestants) {
    const std::optional<TextOptions> wanted = contestant->text_options();
    if (wanted && std::find(options.begin(), options.end(), *wanted) == options.end()) options.push_back(*wanted);
  }
  return options;
}

class Training {
 public:
  explicit Training(const TrainingRequest& request);
  TrainingOutcome run(const TextSource& source);

 private:
  void choose_comparison();
  void prepare_contestants();
  void read_texts(const TextSource& source);
  void report(Phase phase, std::uint64_t done = 0, std::uint64_t total = 0) const {
    if (request_.report_progress) request_.report_progress(phase, done, total);
  }
  void compare(TrainingOutcome& outcome);

  const TrainingRequest& request_;
  std::vector<std::uint32_t> labels_;     // of each row
  std::vector<std::uint32_t> test_rows_;  // that both are scored on
  ComparedBy compared_by_ = ComparedBy::kHoldout;
  std::vector<std::uint32_t> folds_;  // cross-validation: fold of each row
  std::shared_ptr<TrainedContestant> new_;
  std::shared_ptr<Contestant> live_;  // the same one when both are trained the same way
  std::vector<std::unique_ptr<TermCounts>> counts_;
};

Training::Training(const TrainingRequest& request) : request_(request) {
  check(request);
  for (const Example& example : request.examples) labels_.push_back(example.label);
  choose_comparison();
  prepare_contestants();
}

void Training::choose_comparison() {
  const double holdout = request_.parameters.holdout;
  std::vector<std::size_t> class_sizes(request_.classes.size());
  for (std::uint32_t row = 0; row < labels_.size(); ++row) {
    ++class_sizes[labels_[row]];
    if (is_held_out(request_.examples[row].content_hash, holdout)) test_rows_.push_back(row);
  }
  const std::size_t smallest = *std::min_element(class_sizes.begin(), class_sizes.end());
  if (test_rows_.size() >= kMinHeldOut && smallest >= kMinClassExamples) return;

  compared_by_ = ComparedBy::kCrossValidation;
  test_rows_.resize(labels_.size());
  std::iota(test_rows_.begin(), test_rows_.end(), 0u);
  std::vector<ContentHash> hashes;
  for (const Example& example : request_.examples) hashes.push_back(example.content_hash);
  folds_ = assign_folds(hashes, labels_, kFolds, static_cast<std::uint64_t>(request_.parameters.seed));
}

void Training::prepare_contestants() {
  const Contest contest{request_.classes, labels_, test_rows_, folds_, kFolds, request_.execution};
  new_ = std::make_shared<TrainedContestant>(contest, find_algorithm(request_.algorithm), request_.parameters);
  // A damaged version must not keep the model from being trained again: it loses to any other.
  if (!request_.live || !ModelView::is_valid(request_.live->serving)) return;
  const LiveVersion& live = *request_.live;
  const bool has_judge = compared_by_ == ComparedBy::kHoldout && live.judge_holdout >= request_.parameters.holdout &&
                         ModelView::is_valid(live.judge);
  if (has_judge) {
    live_ = std::make_shared<ImageContestant>(contest, live.judge);
  } else if (!live.data_digest) {
    // Imported: it may have learned from some of these texts, but there is nothing else to go by.
    live_ = std::make_shared<ImageContestant>(contest, live.serving);
  } else if (live.algorithm == request_.algorithm && live.parameters == request_.parameters) {
    live_ = new_;
  } else {
    live_ = std::make_shared<TrainedContestant>(contest, find_algorithm(live.algorithm), live.parameters);
  }
}

// One pass over the texts serves everything that needs them: the counts, one matrix for each way to make features, and
// the predictions of a live version that exists as an image.
void Training::read_texts(const TextSource& source) {
  const int threads = request_.execution.threads;
  std::vector<FeatureExtractor> extractors;
  std::vector<Contestant*> contestants{new_.get()};
  if (live_) contestants.push_back(live_.get());
  const std::vector<TextOptions> options = distinct_options(contestants);
  const auto spilled = std::make_shared<std::atomic<std::uint64_t>>(0);
  for (const TextOptions& one : options) {
    counts_.push_back(std::make_unique<TermCounts>(labels_.size(), threads, request_.memory_limit / options.size(),
                                                   request_.spill_space, spilled));
    for (int worker = 0; worker < threads; ++worker) extractors.emplace_back(one);
  }
  DocumentQueue queue(
      threads,
      [&](int worker, std::uint32_t row, std::string_view text) {
        const ShouldStop should_stop = [&queue] { return queue.is_stopping(); };
        for (std::size_t i = 0; i < counts_.size(); ++i) {
          FeatureExtractor& extractor =
              extractors[i * static_cast<std::size_t>(threads) + static_cast<std::size_t>(worker)];
          counts_[i]->add(worker, row, extractor.extract(text, should_stop));
        }
        if (live_) live_->see(worker, row, text, should_stop);
      },
      request_.execution.should_stop);
  std::uint64_t texts = 0;
  report(Phase::kReading, texts, labels_.size());
  source([&](std::uint32_t row, std::string_view text) {
    queue.add(row, text);
    report(Phase::kReading, ++texts, labels_.size());
  });
  queue.finish();
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    counts_[i]->finish(request_.execution.should_stop);
    for (Contestant* contestant : contestants) {
      if (contestant->text_options() == options[i]) contestant->use_counts(*counts_[i]);
    }
  }
  if (counts_[0]->features().empty()) {
    throw Error(ErrorCode::kNotEnoughData, "the annotated texts contain no words",
                "A word is made of at least two letters, digits or underscores.", "Annotate texts that contain words.");
  }
}

void Training::compare(TrainingOutcome& outcome) {
  std::vector<std::uint32_t> truth;
  for (const std::uint32_t row : test_rows_) truth.push_back(labels_[row]);
  const auto label_count = static_cast<std::uint32_t>(request_.classes.size());

  const std::vector<Prediction> predictions = new_->predictions();
  outcome.metrics = measure(truth, predictions, label_count);
  outcome.score = outcome.metrics.accuracy;
  Comparison comparison;
  comparison.metric = kMetric;
  comparison.score = outcome.score;
  comparison.texts = test_rows_.size();
  comparison.is_cross_validated = compared_by_ == ComparedBy::kCrossValidation;
  if (request_.live) comparison.live_version = request_.live->version;
  if (live_) {
    const std::vector<Prediction> live_predictions = live_ == new_ ? predictions : live_->predictions();
    outcome.live_metrics = measure(truth, live_predictions, label_count);
    outcome.live_score = outcome.live_metrics->accuracy;
    std::uint64_t only_new = 0;
    std::uint64_t only_live = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      const bool is_new_right = predictions[i].label == truth[i];
      const bool is_live_right = live_predictions[i].label == truth[i];
      only_new += is_new_right && !is_live_right;
      only_live += is_live_right && !is_new_right;
    }
    outcome.p_value = mcnemar_p(only_new, only_live);
    comparison.live_score = outcome.live_score;
    comparison.has_other_data = request_.live->data_digest != data_digest(request_);
  }
  outcome.verdict = judge(request_.promotion, comparison);
}

TrainingOutcome Training::run(const TextSource& source) {
  read_texts(source);
  TrainingOutcome outcome;
  outcome.compared_by = compared_by_;
  outcome.compared_on = test_rows_.size();
  report(Phase::kComparing);
  compare(outcome);
  outcome.judge = new_->judge();
  report(Phase::kLearning);
  const bool is_refit = outcome.judge.empty() || request_.parameters.refit;
  outcome.serving = is_refit ? new_->train_on_all() : outcome.judge;
  for (const auto& counts : counts_) outcome.spilled_bytes += counts->spilled_bytes();
  return outcome;
}

}  // namespace

DataDigest data_digest(const TrainingRequest& request) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const Example& example : request.examples) {
    const std::int64_t class_id = request.classes[example.label].id;
    XXH3_128bits_update(&state, example.content_hash.data(), example.content_hash.size());
    XXH3_128bits_update(&state, &class_id, sizeof class_id);
  }
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
  DataDigest digest;
  std::memcpy(digest.data(), canonical.digest, digest.size());
  return digest;
}

TrainingOutcome train(const TrainingRequest& request, const TextSource& source) {
  return Training(request).run(source);
}

}  // namespace reyearn
