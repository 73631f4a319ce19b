// The gate: every case of its table.
#include "core/eval/gate.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace reyearn {

namespace {

Comparison comparison(double score, double live_score, bool has_other_data) {
  Comparison c;
  c.metric = "accuracy";
  c.score = score;
  c.live_version = 4;
  c.live_score = live_score;
  c.texts = 250;
  c.has_other_data = has_other_data;
  return c;
}

TEST(Gate, PromotesAsTheTableSays) {
  struct Case {
    Promotion promotion;
    double score;
    bool has_other_data;
    bool is_promoted;
  };
  // The live version scores 0.5.
  constexpr Case kCases[] = {
      {Promotion::kIfBetter, 0.6, false, true},    {Promotion::kIfBetter, 0.6, true, true},
      {Promotion::kIfBetter, 0.5, false, false},   {Promotion::kIfBetter, 0.5, true, true},
      {Promotion::kIfBetter, 0.4, false, false},   {Promotion::kIfBetter, 0.4, true, false},
      {Promotion::kIfNotWorse, 0.6, false, true},  {Promotion::kIfNotWorse, 0.6, true, true},
      {Promotion::kIfNotWorse, 0.5, false, true},  {Promotion::kIfNotWorse, 0.5, true, true},
      {Promotion::kIfNotWorse, 0.4, false, false}, {Promotion::kIfNotWorse, 0.4, true, false},
      {Promotion::kAlways, 0.6, false, true},      {Promotion::kAlways, 0.5, false, true},
      {Promotion::kAlways, 0.4, false, true},      {Promotion::kAlways, 0.4, true, true},
      {Promotion::kNever, 0.6, false, false},      {Promotion::kNever, 0.5, true, false},
      {Promotion::kNever, 0.4, true, false},
  };
  for (const Case& one : kCases) {
    const Verdict verdict = judge(one.promotion, comparison(one.score, 0.5, one.has_other_data));
    EXPECT_EQ(verdict.promote, one.is_promoted) << verdict.reason;
    EXPECT_FALSE(verdict.reason.empty());
  }
}

TEST(Gate, PromotesTheFirstVersionUnlessTold) {
  Comparison first;
  first.metric = "accuracy";
  for (const Promotion promotion : {Promotion::kIfBetter, Promotion::kIfNotWorse, Promotion::kAlways}) {
    EXPECT_TRUE(judge(promotion, first).promote);
    EXPECT_EQ(judge(promotion, first).reason, "first version");
  }
  EXPECT_FALSE(judge(Promotion::kNever, first).promote);
  EXPECT_EQ(judge(Promotion::kNever, first).reason, "promotion is \"never\"");
}

TEST(Gate, PromotesOverADamagedVersionUnlessTold) {
  Comparison c = comparison(0.1, 0, true);
  c.live_score.reset();
  for (const Promotion promotion : {Promotion::kIfBetter, Promotion::kIfNotWorse, Promotion::kAlways}) {
    EXPECT_TRUE(judge(promotion, c).promote);
    EXPECT_EQ(judge(promotion, c).reason, "the image of version 4 is damaged");
  }
  EXPECT_FALSE(judge(Promotion::kNever, c).promote);
}

TEST(Gate, GivesTheFactsInItsReason) {
  const std::string reason = judge(Promotion::kIfBetter, comparison(0.91236, 0.5, false)).reason;
  EXPECT_EQ(reason, "accuracy 0.9124 against 0.5000 of version 4 on the same 250 texts: better");
}

TEST(Gate, SurvivesAnOverlongMetric) {
  const std::string metric(1000, 'm');
  Comparison c = comparison(1, 0, false);
  c.metric = metric;
  EXPECT_LT(judge(Promotion::kIfBetter, c).reason.size(), 400u);
}

TEST(Promotion, IsKnownByItsFourNames) {
  EXPECT_EQ(parse_promotion("if_better"), Promotion::kIfBetter);
  EXPECT_EQ(parse_promotion("if_not_worse"), Promotion::kIfNotWorse);
  EXPECT_EQ(parse_promotion("always"), Promotion::kAlways);
  EXPECT_EQ(parse_promotion("never"), Promotion::kNever);
  for (const std::string_view name : {"", "better", "IF_BETTER", "always "}) {
    const Error error = test::error_of([&] { parse_promotion(name); });
    EXPECT_EQ(error.code(), ErrorCode::kUnknownName);
    EXPECT_EQ(error.detail(), "It is one of if_better, if_not_worse, always, never.");
  }
}

}  // namespace

}  // namespace reyearn
