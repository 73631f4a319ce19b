// Contestants: the two that a training compares. Each predicts the same test texts, none of which it has learned from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/classify/algorithm.hpp"
#include "core/classify/predictor.hpp"
#include "core/eval/metrics.hpp"

namespace reyearn {

// What both work on. Rows are numbered as in the training request.
struct Contest {
  std::span<const ModelClass> classes;
  std::span<const std::uint32_t> labels;     // of each row
  std::span<const std::uint32_t> test_rows;  // ascending
  std::span<const std::uint32_t> folds;      // fold of each row; empty: the test rows are held out
  std::uint32_t fold_count;
  Execution execution;
};

class Contestant {
 public:
  virtual ~Contestant() = default;

  // How it wants texts to be counted; unset: it does not want that.
  virtual std::optional<TextOptions> text_options() const { return std::nullopt; }
  // The texts as they pass, on the working threads.
  virtual void see(int /*worker*/, std::uint32_t /*row*/, std::string_view /*text*/,
                   const ShouldStop& /*should_stop*/) {}
  // The counts of all texts; they must stay.
  virtual void use_counts(const TermCounts& /*counts*/) {}

  // In the order of the test rows.
  virtual std::vector<Prediction> predictions() = 0;
};

// A way to train: predicts held-out texts after training on the others, or each fold after training on the others.
class TrainedContestant : public Contestant {
 public:
  TrainedContestant(const Contest& contest, const Algorithm& algorithm, const Parameters& parameters)
      : contest_(contest), algorithm_(algorithm), parameters_(parameters) {}

  std::optional<TextOptions> text_options() const override { return parameters_.text; }
  void use_counts(const TermCounts& counts) override { counts_ = &counts; }
  std::vector<Prediction> predictions() override;

  // The image trained without the held-out rows; empty before predictions(), and with folds.
  const std::vector<std::byte>& judge() const { return judge_; }
  std::vector<std::byte> train_on_all() const;

 private:
  std::vector<std::uint32_t> rows_without_test() const;
  std::vector<std::uint32_t> rows_without_fold(std::uint32_t fold) const;
  std::vector<std::byte> train(std::span<const std::uint32_t> rows) const;
  void predict(const std::vector<std::byte>& image, std::span<const std::uint32_t> places,
               std::vector<Prediction>& predictions) const;

  Contest contest_;
  const Algorithm& algorithm_;
  Parameters parameters_;
  const TermCounts* counts_ = nullptr;
  std::vector<std::byte> judge_;
};

// A version that exists as an image: predicts the test texts as they pass.
class ImageContestant : public Contestant {
 public:
  // The image must stay.
  ImageContestant(const Contest& contest, std::span<const std::byte> image);

  void see(int worker, std::uint32_t row, std::string_view text, const ShouldStop& should_stop) override;
  std::vector<Prediction> predictions() override { return predictions_; }

 private:
  Contest contest_;
  ModelView view_;
  std::vector<std::uint32_t> label_of_class_;
  std::vector<std::uint32_t> place_of_row_;  // in the test rows; kNoLabel: not one of them
  std::vector<Predictor> predictors_;        // one a thread
  std::vector<Prediction> predictions_;
};

}  // namespace reyearn
