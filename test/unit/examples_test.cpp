// Which confirmed annotation of a text counts.
#include "core/classify/examples.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support.hpp"

namespace reyearn {

namespace {

// In the order of their labels.
const std::vector<ModelClass> kClasses = {{10, "email"},
                                          {11, "email.business"},
                                          {12, "email.business.trips"},
                                          {13, "email.businesses"},
                                          {14, "email.private"}};
enum : std::uint32_t { kEmail, kBusiness, kTrips, kBusinesses, kPrivate };

Confirmation confirm(std::int64_t observation, std::uint32_t label, std::int64_t time, std::int64_t annotation = 0) {
  return {observation, annotation, time, label, test::content_hash(std::to_string(observation))};
}

// Label that counts for the one text; empty when there is no example.
std::string label_of(std::vector<Confirmation> confirmations) {
  TrainingRequest request;
  set_examples(request, confirmations, kClasses);
  if (request.examples.size() != 1) return "";
  EXPECT_EQ(request.classes.size(), 1u);
  return request.classes[request.examples[0].label].label;
}

TEST(Examples, TakeTheNewestConfirmation) {
  EXPECT_EQ(label_of({confirm(1, kPrivate, 5), confirm(1, kTrips, 3)}), "email.private");
  EXPECT_EQ(label_of({confirm(1, kPrivate, 3), confirm(1, kTrips, 5)}), "email.business.trips");
}

TEST(Examples, TakeTheLaterAnnotationOfTwoAtATime) {
  EXPECT_EQ(label_of({confirm(1, kPrivate, 5, 1), confirm(1, kTrips, 5, 2)}), "email.business.trips");
  EXPECT_EQ(label_of({confirm(1, kPrivate, 5, 2), confirm(1, kTrips, 5, 1)}), "email.private");
}

TEST(Examples, TakeTheDeepestBelowTheNewest) {
  EXPECT_EQ(label_of({confirm(1, kEmail, 9), confirm(1, kBusiness, 5), confirm(1, kTrips, 1)}), "email.business.trips");
  EXPECT_EQ(label_of({confirm(1, kBusiness, 9), confirm(1, kTrips, 1)}), "email.business.trips");
  EXPECT_EQ(label_of({confirm(1, kTrips, 9), confirm(1, kBusiness, 1)}), "email.business.trips");
  // Another branch, or one that only begins with the same letters, is not below.
  EXPECT_EQ(label_of({confirm(1, kPrivate, 9), confirm(1, kTrips, 1)}), "email.private");
  EXPECT_EQ(label_of({confirm(1, kBusiness, 9), confirm(1, kBusinesses, 1)}), "email.business");
}

TEST(Examples, TakeTheNewerOfTwoAtOneDepthBelowTheNewest) {
  EXPECT_EQ(label_of({confirm(1, kEmail, 9), confirm(1, kPrivate, 5), confirm(1, kBusiness, 4)}), "email.private");
  EXPECT_EQ(label_of({confirm(1, kEmail, 9), confirm(1, kPrivate, 4), confirm(1, kBusiness, 5)}), "email.business");
}

TEST(Examples, AreOneForEachTextInTheOrderOfTheirHashes) {
  std::vector<Confirmation> confirmations;
  for (std::int64_t i = 0; i < 50; ++i) {
    confirmations.push_back(confirm(i, i % 2 == 0 ? kTrips : kPrivate, i));
    if (i % 3 == 0) confirmations.push_back(confirm(i, kBusiness, i - 100));
  }
  TrainingRequest request;
  request.examples.resize(7);  // of an earlier use
  set_examples(request, confirmations, kClasses);
  ASSERT_EQ(request.examples.size(), 50u);
  EXPECT_TRUE(std::is_sorted(request.examples.begin(), request.examples.end(),
                             [](const Example& a, const Example& b) { return a.content_hash < b.content_hash; }));
  for (const Example& example : request.examples) {
    EXPECT_EQ(request.classes[example.label].id, example.observation_id % 2 == 0 ? 12 : 14);
    EXPECT_EQ(example.content_hash, test::content_hash(std::to_string(example.observation_id)));
  }
}

TEST(Examples, LeaveOutClassesThatHaveNone) {
  std::vector<Confirmation> confirmations = {confirm(1, kPrivate, 1), confirm(2, kEmail, 1)};
  TrainingRequest request;
  set_examples(request, confirmations, kClasses);
  ASSERT_EQ(request.classes.size(), 2u);
  EXPECT_EQ(request.classes[0].label, "email");
  EXPECT_EQ(request.classes[1].label, "email.private");
}

TEST(Examples, DoNotDependOnTheOrderOfConfirmations) {
  std::vector<Confirmation> confirmations;
  for (std::int64_t i = 0; i < 40; ++i) {
    for (std::uint32_t label = 0; label < 5; ++label)
      confirmations.push_back(confirm(i, label, (i * 7 + label * 3) % 5, i * 5 + label));
  }
  TrainingRequest expected;
  set_examples(expected, confirmations, kClasses);
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    test::Random(seed).shuffle(confirmations);
    TrainingRequest request;
    set_examples(request, confirmations, kClasses);
    ASSERT_EQ(request.examples.size(), expected.examples.size());
    for (std::size_t i = 0; i < request.examples.size(); ++i) {
      EXPECT_EQ(request.examples[i].observation_id, expected.examples[i].observation_id);
      EXPECT_EQ(request.examples[i].label, expected.examples[i].label);
    }
  }
}

TEST(Examples, MayBeNone) {
  std::vector<Confirmation> none;
  TrainingRequest request;
  set_examples(request, none, kClasses);
  EXPECT_TRUE(request.examples.empty());
  EXPECT_TRUE(request.classes.empty());
}

TEST(Types, AreTheFirstElementsEachOnce) {
  EXPECT_EQ(types_of(kClasses), (std::vector<std::string>{"email"}));
  EXPECT_EQ(types_of({{1, "b.x"}, {2, "a"}, {3, "b"}, {4, "a.c.d"}}), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(types_of({}).empty());
}

}  // namespace

}  // namespace reyearn
