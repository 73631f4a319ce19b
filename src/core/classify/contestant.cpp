#include "core/classify/contestant.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <unordered_map>
#include <utility>

namespace reyearn {

namespace {

constexpr std::size_t kPredictionsPerTask = 1024;

// Classes of an image → indexes of the contest's classes; kNoLabel for those it does not have.
std::vector<std::uint32_t> labels_of_image(const ModelView& view, std::span<const ModelClass> classes) {
  std::unordered_map<std::int64_t, std::uint32_t> label_of_id;
  for (std::uint32_t label = 0; label < classes.size(); ++label) label_of_id[classes[label].id] = label;
  std::vector<std::uint32_t> labels(view.class_count(), kNoLabel);
  for (std::uint32_t c = 0; c < view.class_count(); ++c) {
    const auto found = label_of_id.find(view.class_id(c));
    if (found != label_of_id.end()) labels[c] = found->second;
  }
  return labels;
}

Prediction make_prediction(std::span<const double> scores, std::span<const std::uint32_t> label_of_class,
                           std::uint32_t truth) {
  Prediction prediction;
  prediction.label = label_of_class[best_class(scores)];
  const auto right = std::find(label_of_class.begin(), label_of_class.end(), truth);
  if (right != label_of_class.end()) {
    const double score = scores[static_cast<std::size_t>(right - label_of_class.begin())];
    prediction.probability_of_truth = std::exp(score - log_sum_exp(scores));
  }
  return prediction;
}

}  // namespace

std::vector<std::byte> TrainedContestant::train(std::span<const std::uint32_t> rows) const {
  return algorithm_.train(TrainingSet{*counts_, rows, contest_.labels, contest_.classes}, parameters_,
                          contest_.execution);
}

std::vector<std::uint32_t> TrainedContestant::rows_without_test() const {
  std::vector<std::uint32_t> all(contest_.labels.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<std::uint32_t> rows;
  std::set_difference(all.begin(), all.end(), contest_.test_rows.begin(), contest_.test_rows.end(),
                      std::back_inserter(rows));
  return rows;
}

std::vector<std::uint32_t> TrainedContestant::rows_without_fold(std::uint32_t fold) const {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < contest_.folds.size(); ++row) {
    if (contest_.folds[row] != fold) rows.push_back(row);
  }
  return rows;
}

std::vector<std::byte> TrainedContestant::train_on_all() const {
  std::vector<std::uint32_t> rows(contest_.labels.size());
  std::iota(rows.begin(), rows.end(), 0u);
  return train(rows);
}

std::vector<Prediction> TrainedContestant::predictions() {
  std::vector<Prediction> predictions(contest_.test_rows.size());
  if (contest_.folds.empty()) {
    std::vector<std::uint32_t> places(contest_.test_rows.size());
    for (std::uint32_t place = 0; place < places.size(); ++place) places[place] = place;
    judge_ = train(rows_without_test());
    predict(judge_, places, predictions);
    return predictions;
  }
  for (std::uint32_t fold = 0; fold < contest_.fold_count; ++fold) {
    std::vector<std::uint32_t> places;
    for (std::uint32_t place = 0; place < contest_.test_rows.size(); ++place) {
      if (contest_.folds[contest_.test_rows[place]] == fold) places.push_back(place);
    }
    const std::vector<std::uint32_t> rows = rows_without_fold(fold);
    if (!rows.empty()) predict(train(rows), places, predictions);
  }
  return predictions;
}

void TrainedContestant::predict(const std::vector<std::byte>& image, std::span<const std::uint32_t> places,
                                std::vector<Prediction>& predictions) const {
  const ModelView view = ModelView::open(image);
  const std::vector<std::uint32_t> label_of_class = labels_of_image(view, contest_.classes);
  const std::size_t tasks = (places.size() + kPredictionsPerTask - 1) / kPredictionsPerTask;
  const Execution& execution = contest_.execution;
  parallel_for(execution.threads, tasks, execution.should_stop, [&](int, std::size_t task, const StopFlag& stop) {
    Predictor predictor(view);
    TermCounts::Reader reader(*counts_);
    const std::size_t begin = task * kPredictionsPerTask;
    for (const std::uint32_t place : places.subspan(begin, std::min(kPredictionsPerTask, places.size() - begin))) {
      if (stop.load(std::memory_order_relaxed)) return;
      const std::uint32_t row = contest_.test_rows[place];
      predictions[place] =
          make_prediction(predictor.scores(reader.hashed_row(row)), label_of_class, contest_.labels[row]);
    }
  });
}

ImageContestant::ImageContestant(const Contest& contest, std::span<const std::byte> image)
    : contest_(contest),
      view_(ModelView::open(image)),
      label_of_class_(labels_of_image(view_, contest.classes)),
      place_of_row_(contest.labels.size(), kNoLabel),
      predictions_(contest.test_rows.size()) {
  for (int worker = 0; worker < contest.execution.threads; ++worker) predictors_.emplace_back(view_);
  for (std::uint32_t place = 0; place < contest.test_rows.size(); ++place) {
    place_of_row_[contest.test_rows[place]] = place;
  }
}

void ImageContestant::see(int worker, std::uint32_t row, std::string_view text, const ShouldStop& should_stop) {
  const std::uint32_t place = place_of_row_[row];
  if (place == kNoLabel) return;
  Predictor& predictor = predictors_[static_cast<std::size_t>(worker)];
  predictions_[place] = make_prediction(predictor.scores(text, should_stop), label_of_class_, contest_.labels[row]);
}

}  // namespace reyearn
