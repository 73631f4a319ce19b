// Metrics against what scikit-learn 1.2 and scipy 1.10 give for the same predictions.
#include "core/eval/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "support.hpp"

namespace reyearn {

namespace {

std::vector<Prediction> predictions_of(const std::vector<std::uint32_t>& labels,
                                       const std::vector<double>& probabilities) {
  std::vector<Prediction> predictions;
  for (std::size_t i = 0; i < labels.size(); ++i) predictions.push_back({labels[i], probabilities[i]});
  return predictions;
}

// Label 3 has no text, label 4 is never predicted, label 5 has neither.
const std::vector<std::uint32_t> kTruth = {0, 0, 0, 1, 1, 2, 2, 2, 2, 4, 4, 0, 1, 2, 0, 0, 2, 1, 4, 2};
const std::vector<std::uint32_t> kPredicted = {0, 1, 0, 1, 2, 2, 2, 0, 2, 0, 1, 0, 1, 3, 0, 2, 2, 3, 1, 2};
const std::vector<double> kProbabilities = {0.093, 0.769, 0.441, 0.715, 0.959, 0.537, 0.501, 0.089, 0.278, 0.5,
                                            0.672, 0.792, 0.386, 0.083, 0.297, 0.893, 0.225, 0.454, 0.914, 0.044};

TEST(Metrics, EqualScikitLearns) {
  const Metrics metrics = measure(kTruth, predictions_of(kPredicted, kProbabilities), 6);
  EXPECT_NEAR(metrics.accuracy, 0.55, 1e-12);
  EXPECT_NEAR(metrics.macro_f1, 0.365079365079365, 1e-12);
  EXPECT_NEAR(metrics.micro_f1, 0.55, 1e-12);
  EXPECT_NEAR(metrics.log_loss, 1.021634630581224, 1e-12);
}

TEST(Metrics, EqualScikitLearnsForEachLabel) {
  const Metrics metrics = measure(kTruth, predictions_of(kPredicted, kProbabilities), 6);
  constexpr LabelMetrics kExpected[] = {
      {0.666666666666667, 0.666666666666667, 0.666666666666667, 6, 6},
      {0.4, 0.5, 0.444444444444444, 4, 5},
      {0.714285714285714, 0.714285714285714, 0.714285714285714, 7, 7},
      {0, 0, 0, 0, 2},
      {0, 0, 0, 3, 0},
      {0, 0, 0, 0, 0},
  };
  ASSERT_EQ(metrics.labels.size(), 6u);
  for (std::size_t label = 0; label < 6; ++label) {
    EXPECT_NEAR(metrics.labels[label].precision, kExpected[label].precision, 1e-12) << label;
    EXPECT_NEAR(metrics.labels[label].recall, kExpected[label].recall, 1e-12) << label;
    EXPECT_NEAR(metrics.labels[label].f1, kExpected[label].f1, 1e-12) << label;
    EXPECT_EQ(metrics.labels[label].support, kExpected[label].support) << label;
    EXPECT_EQ(metrics.labels[label].predicted, kExpected[label].predicted) << label;
  }
}

TEST(Metrics, CountTheConfusions) {
  const Metrics metrics = measure(kTruth, predictions_of(kPredicted, kProbabilities), 6);
  const std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> expected = {
      {{0, 0}, 4}, {{0, 1}, 1}, {{0, 2}, 1}, {{1, 1}, 2}, {{1, 2}, 1}, {{1, 3}, 1},
      {{2, 0}, 1}, {{2, 2}, 5}, {{2, 3}, 1}, {{4, 0}, 1}, {{4, 1}, 2}};
  EXPECT_EQ(metrics.confusion, expected);
}

TEST(Metrics, CountAnUnknownClassAsWrong) {
  const Metrics metrics = measure(std::vector<std::uint32_t>{0, 1}, std::vector<Prediction>{{kNoLabel, 0}, {1, 1}}, 2);
  EXPECT_EQ(metrics.accuracy, 0.5);
  EXPECT_EQ(metrics.labels[0].support, 1u);
  EXPECT_EQ(metrics.labels[0].predicted, 0u);
  EXPECT_EQ(metrics.confusion.at({0, kNoLabel}), 1u);
  EXPECT_EQ(metrics.macro_f1, 0.5);
}

TEST(Metrics, AreOneForPerfectPredictions) {
  const Metrics metrics =
      measure(std::vector<std::uint32_t>{0, 1, 0}, std::vector<Prediction>{{0, 1}, {1, 1}, {0, 1}}, 2);
  EXPECT_EQ(metrics.accuracy, 1);
  EXPECT_EQ(metrics.macro_f1, 1);
  EXPECT_EQ(metrics.log_loss, 0);
}

TEST(Metrics, ClipProbabilitiesSoThatTheLossIsFinite) {
  for (const double p : {0.0, -0.0, 1e-300, std::numeric_limits<double>::quiet_NaN()}) {
    const Metrics metrics = measure(std::vector<std::uint32_t>{0}, std::vector<Prediction>{{1, p}}, 2);
    EXPECT_NEAR(metrics.log_loss, -std::log(1e-15), 1e-9) << p;
  }
}

TEST(Metrics, AreWrittenAsJson) {
  Metrics metrics;
  metrics.accuracy = 0.5;
  metrics.macro_f1 = 0.25;
  metrics.micro_f1 = 0.5;
  metrics.log_loss = 1e-7;
  EXPECT_EQ(metrics_to_json(metrics),
            "{\"accuracy\": 0.5, \"macro_f1\": 0.25, \"micro_f1\": 0.5, \"log_loss\": 1e-07}");
}

TEST(Mcnemar, EqualsTheExactBinomialTest) {
  struct Case {
    std::uint64_t only_first;
    std::uint64_t only_second;
    double p;
  };
  constexpr Case kCases[] = {
      {0, 0, 1},
      {1, 0, 1},
      {0, 5, 0.0625},
      {7, 0, 0.015625},
      {3, 3, 1},
      {2, 9, 0.0654296875},
      {10, 25, 0.0166738478001207},
      {120, 90, 0.0451140878648407},
      {500, 430, 0.0236088392925472},
      {1000, 1200, 2.18170264079142e-05},
  };
  for (const Case& one : kCases) {
    EXPECT_NEAR(mcnemar_p(one.only_first, one.only_second) / one.p, 1, 1e-9)
        << one.only_first << " " << one.only_second;
    EXPECT_EQ(mcnemar_p(one.only_first, one.only_second), mcnemar_p(one.only_second, one.only_first));
  }
}

TEST(Mcnemar, StaysAProbabilityForLargeCounts) {
  for (const std::uint64_t n : {100000u, 1000000u}) {
    EXPECT_NEAR(mcnemar_p(n, n), 1, 1e-6);
    EXPECT_GE(mcnemar_p(n, n / 2), 0);
    EXPECT_LT(mcnemar_p(n, n / 2), 1e-100);
  }
}

}  // namespace

}  // namespace reyearn
