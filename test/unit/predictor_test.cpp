// Scores of a model by hand, and what is made of scores.
#include "core/classify/predictor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/model/linear_model.hpp"
#include "support.hpp"

namespace reyearn {

namespace {

// Two words, two classes, numbers that are easy to follow.
LinearModel small_model() {
  LinearModel model;
  model.algorithm = "by_hand";
  model.classes = {{1, "a"}, {2, "b"}};
  model.class_scores = {{-1, -5}, {-2, -7}};
  model.features = {hash_word("cat"), hash_word("dog")};
  model.idf = {3, 4};
  model.weights = {{{0, 2.0F}, {1, 1.0F}}, {{1, 8.0F}}};
  return model;
}

std::vector<double> scores_of(Predictor& predictor, std::string_view text) {
  const std::span<const double> scores = predictor.scores(text);
  return {scores.begin(), scores.end()};
}

TEST(Predictor, AddsPriorsAbsentWordsAndWeights) {
  const std::vector<std::byte> image = small_model().to_image();
  Predictor predictor(ModelView::open(image));
  // x = (3, 4) / 5
  const std::vector<double> both = scores_of(predictor, "Cat and dog");
  EXPECT_NEAR(both[0], -1 - 5 * 1.4 + 0.6 * 2 + 0.8 * 1, 1e-12);
  EXPECT_NEAR(both[1], -2 - 7 * 1.4 + 0.8 * 8, 1e-12);
  // Counts, too: x = (6, 4) / √52
  const std::vector<double> more = scores_of(predictor, "cat cat dog");
  EXPECT_NEAR(more[0], -1 + (-5 * 10 + 6 * 2 + 4 * 1) / std::sqrt(52), 1e-12);
  EXPECT_NEAR(more[1], -2 + (-7 * 10 + 4 * 8) / std::sqrt(52), 1e-12);
}

TEST(Predictor, GivesThePriorsForTextsWithoutKnownWords) {
  const std::vector<std::byte> image = small_model().to_image();
  Predictor predictor(ModelView::open(image));
  for (const std::string_view text : {"", " ", "x", "unknown words", "\xFF\xFF"}) {
    EXPECT_EQ(scores_of(predictor, text), (std::vector<double>{-1, -2})) << text;
  }
}

TEST(Predictor, DoesNotRememberThePreviousText) {
  const std::vector<std::byte> image = small_model().to_image();
  Predictor predictor(ModelView::open(image));
  const std::vector<double> first = scores_of(predictor, "cat");
  scores_of(predictor, "dog dog dog");
  EXPECT_EQ(scores_of(predictor, "cat"), first);
}

TEST(Predictor, ScoresAlikeWithDenseAndSparseRows) {
  test::Random random(1);
  LinearModel model;
  model.algorithm = "by_hand";
  for (int c = 0; c < 31; ++c) {  // groups of eight, of four, and single ones
    model.classes.push_back({c, "c" + std::to_string(c)});
    model.class_scores.push_back({-1.0 - c, -9.0});
    model.weights.emplace_back();
    for (std::uint32_t f = 0; f < 50; ++f) {
      if (random.one_in(6)) model.weights.back().push_back({f, static_cast<float>(random.below(50)) / 8});
    }
  }
  for (int f = 0; f < 50; ++f) {
    model.features.push_back(hash_word("w" + std::to_string(f)));
    model.idf.push_back(1 + static_cast<float>(f) / 8);
  }
  const std::vector<std::byte> sparse = model.to_image();
  for (auto& list : model.weights) {  // the same weights, but none left out
    std::vector<LinearModel::Weight> all;
    for (std::uint32_t f = 0; f < 50; ++f) all.push_back({f, 0});
    for (const LinearModel::Weight& weight : list) all[weight.feature] = weight;
    list = all;
  }
  const std::vector<std::byte> dense = model.to_image();
  Predictor sparse_predictor(ModelView::open(sparse));
  Predictor dense_predictor(ModelView::open(dense));
  ASSERT_TRUE(sparse_predictor.model().is_sparse());
  ASSERT_FALSE(dense_predictor.model().is_sparse());
  for (int round = 0; round < 200; ++round) {
    const std::string text = test::random_text(random, random.below(40), 70);
    const std::vector<double> by_sparse = scores_of(sparse_predictor, text);
    const std::vector<double> by_dense = scores_of(dense_predictor, text);
    for (std::size_t c = 0; c < by_dense.size(); ++c) EXPECT_NEAR(by_sparse[c], by_dense[c], 1e-12);  // other order
  }
}

TEST(BestClass, IsTheFirstOfEqualOnes) {
  EXPECT_EQ(best_class(std::vector<double>{-3, -1, -1, -2}), 1u);
  EXPECT_EQ(best_class(std::vector<double>{5}), 0u);
}

TEST(Softmax, SumsToOneHoweverFarTheScoresAre) {
  for (const std::vector<double>& scores : {std::vector<double>{0},
                                            {1, 2, 3},
                                            {-1e5, -1e5 - 1},
                                            {1e300, -1e300},
                                            {-700, -800, -900},
                                            std::vector<double>(1000, -12345.678)}) {
    std::vector<double> probabilities = scores;
    softmax(probabilities);
    EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-9);
    for (const double p : probabilities) EXPECT_TRUE(p >= 0 && p <= 1 + 1e-12);
    EXPECT_EQ(best_class(probabilities), best_class(scores));
  }
}

TEST(LogSumExp, IsExactWhereTheSumWouldOverflow) {
  EXPECT_NEAR(log_sum_exp(std::vector<double>{1000, 1000}), 1000 + std::log(2), 1e-9);
  EXPECT_NEAR(log_sum_exp(std::vector<double>{-1000, -1001}), -1000 + std::log1p(std::exp(-1)), 1e-9);
}

}  // namespace

}  // namespace reyearn
