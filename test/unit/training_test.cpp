// Training from texts to verdict, end to end, on made-up texts.
#include "core/classify/training.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "core/classify/naive_bayes.hpp"
#include "core/classify/predictor.hpp"
#include "support.hpp"

namespace reyearn {

namespace {

using namespace std::chrono_literals;
using test::Random;
using Image = std::vector<std::byte>;

const std::vector<ModelClass> kClasses = {{101, "topic.art"}, {102, "topic.law"}, {103, "topic.war"}};

// One word is of the class, out of many; the others are of all classes; the number makes the text unique.
std::string text_of(Random& random, std::uint32_t label, std::size_t number) {
  std::string text = "text" + std::to_string(number) + " own" + std::to_string(label) + "_" +
                     std::to_string(random.below(random.between(1, 600)));
  for (std::size_t i = 0; i < 5; ++i) text += " w" + std::to_string(random.below(100));
  return text;
}

// A request and its texts, by row. Texts are added in any order and sorted by their hashes, as a request must be.
struct Data {
  TrainingRequest request;
  std::vector<std::string> texts;
  std::uint64_t arrival_seed = 0;

  explicit Data(std::vector<ModelClass> classes = kClasses) { request.classes = std::move(classes); }

  void add(const std::string& text, std::uint32_t label) {
    request.examples.push_back({test::content_hash(text), static_cast<std::int64_t>(text_of_hash_.size()), label});
    text_of_hash_[request.examples.back().content_hash] = text;
    sort();
  }
  // `is_poisoned`: labelled by chance.
  void add_random(std::size_t count, std::uint64_t seed, bool is_poisoned = false) {
    Random random(seed);
    for (std::size_t i = 0; i < count; ++i) {
      const auto truth = static_cast<std::uint32_t>(random.below(3));
      const std::string text = text_of(random, truth, seed * 1000000 + i);
      const std::uint32_t label = is_poisoned ? static_cast<std::uint32_t>(random.below(3)) : truth;
      request.examples.push_back({test::content_hash(text), static_cast<std::int64_t>(i), label});
      text_of_hash_[request.examples.back().content_hash] = text;
    }
    sort();
  }
  void sort() {
    std::sort(request.examples.begin(), request.examples.end(),
              [](const Example& a, const Example& b) { return a.content_hash < b.content_hash; });
    texts.clear();
    for (const Example& example : request.examples) texts.push_back(text_of_hash_.at(example.content_hash));
  }

  TextSource source() const {
    return [this](const EmitText& emit) {
      std::vector<std::uint32_t> order(texts.size());
      std::iota(order.begin(), order.end(), 0u);
      if (arrival_seed != 0) Random(arrival_seed).shuffle(order);
      for (const std::uint32_t row : order) emit(row, texts[row]);
    };
  }
  TrainingOutcome train() const { return reyearn::train(request, source()); }

  // What is held out, by the split alone.
  std::vector<std::uint32_t> held_out() const {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < texts.size(); ++row) {
      if (is_held_out(request.examples[row].content_hash, request.parameters.holdout)) rows.push_back(row);
    }
    return rows;
  }

  std::map<ContentHash, std::string> text_of_hash_;
};

// The outcome of a training as the live version of the next one.
LiveVersion live_version(const Data& data, const TrainingOutcome& outcome, int version = 1) {
  LiveVersion live;
  live.version = version;
  live.algorithm = data.request.algorithm;
  live.parameters = data.request.parameters;
  live.serving = outcome.serving;
  live.judge = outcome.judge;
  live.judge_holdout = outcome.judge.empty() ? 0 : data.request.parameters.holdout;
  live.data_digest = data_digest(data.request);
  return live;
}

std::int64_t predicted_class(const Image& image, std::string_view text) {
  const ModelView view = ModelView::open(image);
  Predictor predictor(view);
  return view.class_id(best_class(predictor.scores(text)));
}

// Naive Bayes trained on some of the rows alone.
Image train_on(const Data& data, const std::vector<std::uint32_t>& rows) {
  const auto counts = test::count_texts(data.texts, {.text = data.request.parameters.text});
  std::vector<std::uint32_t> labels;
  for (const Example& example : data.request.examples) labels.push_back(example.label);
  return NaiveBayes().train(TrainingSet{*counts, rows, labels, data.request.classes}, data.request.parameters, {});
}

std::vector<std::uint32_t> all_rows(const Data& data) {
  std::vector<std::uint32_t> rows(data.texts.size());
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

double accuracy(const Data& data, const Image& image, const std::vector<std::uint32_t>& rows) {
  double right = 0;
  for (const std::uint32_t row : rows) {
    right += predicted_class(image, data.texts[row]) == data.request.classes[data.request.examples[row].label].id;
  }
  return right / static_cast<double>(rows.size());
}

Data large_data() {
  Data data;
  data.add_random(1500, 1);
  return data;
}

Data small_data() {
  Data data;
  data.add_random(60, 2);
  return data;
}

// ---- holdout

TEST(Training, ScoresLargeDataOnHeldOutTexts) {
  const Data data = large_data();
  const TrainingOutcome outcome = data.train();
  const std::vector<std::uint32_t> held_out = data.held_out();
  ASSERT_GE(held_out.size(), 200u);
  EXPECT_EQ(outcome.compared_by, ComparedBy::kHoldout);
  EXPECT_EQ(outcome.compared_on, held_out.size());
  EXPECT_TRUE(outcome.verdict.promote);
  EXPECT_EQ(outcome.verdict.reason, "first version");
  EXPECT_FALSE(outcome.live_score.has_value());
  EXPECT_FALSE(outcome.live_metrics.has_value());
  EXPECT_FALSE(outcome.p_value.has_value());
  EXPECT_GT(outcome.score, 0.6);
  EXPECT_LT(outcome.score, 1);  // or the other tests would show little
  EXPECT_NEAR(outcome.score, accuracy(data, outcome.judge, held_out), 1e-12);
  EXPECT_EQ(outcome.score, outcome.metrics.accuracy);
}

TEST(Training, TrainsTheJudgeWithoutTheHeldOutTexts) {
  const Data data = large_data();
  const TrainingOutcome outcome = data.train();
  const std::vector<std::uint32_t> held_out = data.held_out();
  std::vector<std::uint32_t> others;
  for (const std::uint32_t row : all_rows(data)) {
    if (!std::binary_search(held_out.begin(), held_out.end(), row)) others.push_back(row);
  }
  EXPECT_EQ(outcome.judge, train_on(data, others));
  EXPECT_EQ(outcome.serving, train_on(data, all_rows(data)));
}

TEST(Training, ServesTheJudgeWhenItIsNotRefitted) {
  Data data = large_data();
  data.request.parameters.refit = false;
  const TrainingOutcome outcome = data.train();
  EXPECT_FALSE(outcome.judge.empty());
  EXPECT_EQ(outcome.serving, outcome.judge);
}

// ---- cross-validation

TEST(Training, ScoresSmallDataByCrossValidation) {
  const Data data = small_data();
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(outcome.compared_by, ComparedBy::kCrossValidation);
  EXPECT_EQ(outcome.compared_on, data.texts.size());
  EXPECT_TRUE(outcome.judge.empty());
  EXPECT_EQ(outcome.serving, train_on(data, all_rows(data)));

  // The same by hand.
  std::vector<ContentHash> hashes;
  std::vector<std::uint32_t> labels;
  for (const Example& example : data.request.examples) {
    hashes.push_back(example.content_hash);
    labels.push_back(example.label);
  }
  const std::vector<std::uint32_t> folds = assign_folds(hashes, labels, 5, 0);
  double right = 0;
  for (std::uint32_t fold = 0; fold < 5; ++fold) {
    std::vector<std::uint32_t> inside;
    std::vector<std::uint32_t> outside;
    for (const std::uint32_t row : all_rows(data)) (folds[row] == fold ? inside : outside).push_back(row);
    right += accuracy(data, train_on(data, outside), inside) * static_cast<double>(inside.size());
  }
  EXPECT_NEAR(outcome.score, right / static_cast<double>(data.texts.size()), 1e-12);
}

TEST(Training, ChoosesTheComparisonBySizes) {
  Data data = large_data();
  EXPECT_EQ(data.train().compared_by, ComparedBy::kHoldout);
  data.request.parameters.holdout = 0;  // as the user wishes
  EXPECT_EQ(data.train().compared_by, ComparedBy::kCrossValidation);
  data.request.parameters.holdout = 0.1;  // about 150 texts
  EXPECT_EQ(data.train().compared_by, ComparedBy::kCrossValidation);

  data.request.parameters.holdout = 0.2;
  data.request.classes.push_back({104, "topic.zoo"});
  for (int i = 0; i < 4; ++i) data.add("zebra lion number" + std::to_string(i), 3);
  EXPECT_EQ(data.train().compared_by, ComparedBy::kCrossValidation);
  data.add("zebra lion number5", 3);
  EXPECT_EQ(data.train().compared_by, ComparedBy::kHoldout);
}

TEST(Training, TakesAClassWithOneExample) {
  Data data = small_data();
  data.request.parameters.alpha = 0.01;  // the default of 1 would smooth it away
  data.request.classes.push_back({104, "topic.zoo"});
  data.add("zebra lion giraffe", 3);
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(outcome.metrics.labels[3].support, 1u);
  EXPECT_EQ(outcome.metrics.labels[3].recall, 0);  // nothing to learn it from while it is tested
  EXPECT_EQ(predicted_class(outcome.serving, "zebra lion giraffe"), 104);
}

TEST(Training, TakesTwoExamplesInAll) {
  Data data({{1, "a"}, {2, "b"}});
  data.add("good fine nice", 0);
  data.add("bad awful poor", 1);
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(outcome.compared_on, 2u);
  EXPECT_EQ(outcome.score, 0);
  EXPECT_TRUE(outcome.verdict.promote);
  EXPECT_EQ(predicted_class(outcome.serving, "a fine day"), 1);
  EXPECT_EQ(predicted_class(outcome.serving, "an awful day"), 2);
}

TEST(Training, TakesTextsWithoutWords) {
  Data data({{1, "a"}, {2, "b"}, {3, "empty"}});
  for (int i = 0; i < 10; ++i) {
    data.add("good fine nice number" + std::to_string(i), 0);
    data.add("bad awful poor number" + std::to_string(i), 1);
    data.add(std::string(static_cast<std::size_t>(i), ' '), 2);
  }
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(predicted_class(outcome.serving, "a fine day"), 1);
  EXPECT_EQ(predicted_class(outcome.serving, "an awful day"), 2);
  EXPECT_GT(outcome.score, 0.6);
}

TEST(Training, TakesATextThatDidNotCome) {
  Data data = small_data();
  const TrainingOutcome expected = [&] {
    Data empty = data;
    empty.texts[5] = "";
    return empty.train();
  }();
  const TrainingOutcome outcome = train(data.request, [&](const EmitText& emit) {
    for (std::uint32_t row = 0; row < data.texts.size(); ++row) {
      if (row != 5) emit(row, data.texts[row]);
    }
  });
  EXPECT_EQ(outcome.serving, expected.serving);
}

// ---- against a live version

TEST(Training, ComparesWithTheLiveJudgeOnTheSameTexts) {
  Data data = large_data();
  const TrainingOutcome first = data.train();
  data.request.live = live_version(data, first);
  const TrainingOutcome again = data.train();
  EXPECT_EQ(again.score, first.score);
  EXPECT_EQ(again.live_score, first.score);
  EXPECT_EQ(again.p_value, 1);
  EXPECT_FALSE(again.verdict.promote);  // equal, and nothing new was learned
  EXPECT_EQ(again.serving, first.serving);
  EXPECT_EQ(again.judge, first.judge);

  data.add_random(1500, 3);
  const TrainingOutcome more = data.train();
  ASSERT_TRUE(more.live_score.has_value());
  EXPECT_NEAR(*more.live_score, accuracy(data, first.judge, data.held_out()), 1e-12);
  EXPECT_EQ(more.compared_on, data.held_out().size());
  ASSERT_TRUE(more.live_metrics.has_value());
  EXPECT_EQ(more.live_metrics->accuracy, *more.live_score);
}

TEST(Training, PromotesWhatHasLearnedMore) {
  Data data = large_data();
  const LiveVersion live = live_version(data, data.train());
  data.add_random(6000, 4);
  data.request.live = live;
  const TrainingOutcome outcome = data.train();
  EXPECT_GT(outcome.score, *outcome.live_score);
  EXPECT_LT(*outcome.p_value, 0.05);
  EXPECT_TRUE(outcome.verdict.promote) << outcome.verdict.reason;
}

TEST(Training, KeepsPoisonedLabelsOutOfLargeData) {
  Data data = large_data();
  data.request.live = live_version(data, data.train());
  data.add_random(1500, 5, true);
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(outcome.compared_by, ComparedBy::kHoldout);
  EXPECT_LT(outcome.score, *outcome.live_score);
  EXPECT_FALSE(outcome.verdict.promote) << outcome.verdict.reason;
  EXPECT_NE(outcome.verdict.reason.find("worse"), std::string::npos);
}

// Small data cannot tell a poisoned text from a correction: what is compared are the ways to train.
TEST(Training, ComparesWaysToTrainInSmallData) {
  Data data = small_data();
  const TrainingOutcome first = data.train();
  data.request.live = live_version(data, first);
  const TrainingOutcome same = data.train();
  EXPECT_EQ(same.score, *same.live_score);
  EXPECT_FALSE(same.verdict.promote);

  data.add_random(30, 6, true);
  const TrainingOutcome more = data.train();
  EXPECT_EQ(more.compared_by, ComparedBy::kCrossValidation);
  EXPECT_EQ(more.score, *more.live_score);
  EXPECT_EQ(more.p_value, 1);
  EXPECT_TRUE(more.verdict.promote) << more.verdict.reason;
}

TEST(Training, KeepsWorseParametersOut) {
  for (const std::size_t count : {300, 2500}) {  // by cross-validation and by held-out texts
    Data data;
    data.add_random(count, 7);
    data.request.parameters.alpha = 0.1;
    data.request.live = live_version(data, data.train());
    data.request.parameters.min_df = 30;
    const TrainingOutcome outcome = data.train();
    EXPECT_EQ(outcome.compared_by, count == 300 ? ComparedBy::kCrossValidation : ComparedBy::kHoldout);
    EXPECT_LT(outcome.score, *outcome.live_score);
    EXPECT_FALSE(outcome.verdict.promote);
    data.request.promotion = Promotion::kAlways;
    EXPECT_TRUE(data.train().verdict.promote);
  }
}

TEST(Training, ComparesWithALiveVersionThatUsesOtherFeatures) {
  for (const std::size_t count : {200, 1500}) {
    Data data;
    data.add_random(count, 8);
    data.request.parameters.text = {1, 2};
    LiveVersion live = live_version(data, data.train());
    live.judge.clear();  // so that its like must be trained again, from a matrix of its own
    live.judge_holdout = 0;
    const TrainingOutcome pairs = data.train();
    data.request.parameters.text = {1, 1};
    const TrainingOutcome words = data.train();
    data.request.live = live;
    const TrainingOutcome outcome = data.train();
    EXPECT_EQ(outcome.score, words.score);
    EXPECT_EQ(*outcome.live_score, pairs.score);
    EXPECT_EQ(outcome.serving, words.serving);
  }
}

TEST(Training, LearnsACorrectionAfterATie) {
  const std::string text = "quite singular wording";
  for (const std::size_t count : {60, 1500}) {
    for (const bool is_held_out_text : {false, true}) {
      Data data;
      data.request.parameters.alpha = 0.01;
      data.add_random(count, 9);
      std::string unique = text;
      while (is_held_out(test::content_hash(unique), 0.2) != is_held_out_text) unique += " again";
      data.add(unique, 0);
      const TrainingOutcome first = data.train();
      EXPECT_EQ(predicted_class(first.serving, text), 101);
      data.request.live = live_version(data, first);
      for (std::size_t row = 0; row < data.texts.size(); ++row) {
        if (data.texts[row] == unique) data.request.examples[row].label = 1;
      }
      const TrainingOutcome corrected = data.train();
      EXPECT_EQ(corrected.score, *corrected.live_score);
      EXPECT_TRUE(corrected.verdict.promote) << corrected.verdict.reason;
      EXPECT_EQ(predicted_class(corrected.serving, text), 102);
    }
  }
}

TEST(Training, ScoresAnImportedVersionByItsImage) {
  for (const std::size_t count : {60, 1500}) {
    Data data;
    data.add_random(count, 10);
    Data other;
    other.add_random(400, 11);
    LiveVersion live = live_version(other, other.train());
    live.judge.clear();
    live.judge_holdout = 0;
    live.data_digest.reset();
    live.algorithm = "of another library";
    data.request.live = live;
    const TrainingOutcome outcome = data.train();
    const std::vector<std::uint32_t> rows = count == 60 ? all_rows(data) : data.held_out();
    EXPECT_NEAR(*outcome.live_score, accuracy(data, live.serving, rows), 1e-12);
  }
}

TEST(Training, IgnoresAJudgeThatHasSeenTheTexts) {
  Data data = large_data();
  data.request.parameters.holdout = 0.15;
  LiveVersion live = live_version(data, data.train());
  data.request.parameters.holdout = 0.2;
  data.request.live = live;
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(outcome.compared_by, ComparedBy::kHoldout);
  EXPECT_EQ(*outcome.live_score, outcome.score);  // trained alike, without what is held out now
}

TEST(Training, CountsClassesThatAreNoMoreAsWrong) {
  Data data = large_data();
  const LiveVersion live = live_version(data, data.train());
  // topic.law was merged into topic.art since.
  data.request.classes = {{101, "topic.art"}, {103, "topic.war"}};
  for (Example& example : data.request.examples) example.label = example.label == 2 ? 1 : 0;
  data.request.live = live;
  const TrainingOutcome outcome = data.train();
  double right = 0;
  for (const std::uint32_t row : data.held_out()) {
    const std::int64_t predicted = predicted_class(live.judge, data.texts[row]);
    right += predicted == data.request.classes[data.request.examples[row].label].id;
  }
  EXPECT_NEAR(*outcome.live_score, right / static_cast<double>(data.held_out().size()), 1e-12);
  EXPECT_GT(outcome.score, *outcome.live_score);
  std::uint64_t unknown = 0;
  for (const auto& [pair, count] : outcome.live_metrics->confusion) unknown += pair.second == kNoLabel ? count : 0;
  EXPECT_GT(unknown, 0u);
}

TEST(Training, PromotesOverADamagedVersion) {
  for (const std::size_t count : {60, 1500}) {
    Data data;
    data.add_random(count, 12);
    LiveVersion live = live_version(data, data.train());
    live.serving[100] ^= std::byte{1};
    data.request.live = live;
    const TrainingOutcome outcome = data.train();
    EXPECT_FALSE(outcome.live_score.has_value());
    EXPECT_TRUE(outcome.verdict.promote);
    data.request.live->serving.clear();
    EXPECT_TRUE(data.train().verdict.promote);
  }
}

TEST(Training, DoesWithoutADamagedJudge) {
  Data data = large_data();
  LiveVersion live = live_version(data, data.train());
  live.judge.resize(live.judge.size() / 2);
  data.request.live = live;
  const TrainingOutcome outcome = data.train();
  EXPECT_EQ(*outcome.live_score, outcome.score);
}

// ---- the same bytes

TEST(Training, GivesTheSameBytesForEveryNumberOfThreadsAndOrderOfTexts) {
  for (const std::size_t count : {120, 1500}) {
    Data data;
    data.add_random(count, 13);
    data.request.parameters.text = {1, 2};
    const TrainingOutcome expected = data.train();
    for (const int threads : {1, 2, 3, 7}) {
      data.request.execution.threads = threads;
      data.arrival_seed = static_cast<std::uint64_t>(threads);
      const TrainingOutcome outcome = data.train();
      EXPECT_EQ(outcome.serving, expected.serving);
      EXPECT_EQ(outcome.judge, expected.judge);
      EXPECT_EQ(outcome.score, expected.score);
      EXPECT_EQ(outcome.metrics.log_loss, expected.metrics.log_loss);
    }
  }
}

TEST(Training, GivesTheSameBytesWhenCountsSpill) {
  const test::TemporaryDirectory directory;
  Data data = large_data();
  const TrainingOutcome expected = data.train();
  EXPECT_EQ(expected.spilled_bytes, 0u);
  data.request.memory_limit = 4000;
  data.request.spill_space.directory = directory.path();
  data.request.execution.threads = 2;
  const TrainingOutcome outcome = data.train();
  EXPECT_GT(outcome.spilled_bytes, 0u);
  EXPECT_EQ(outcome.serving, expected.serving);
  EXPECT_EQ(outcome.judge, expected.judge);
  EXPECT_TRUE(directory.is_empty());
}

TEST(Training, ScoresTheSameWithTheSameSeed) {
  Data data = small_data();
  data.request.parameters.seed = 1;
  const double first = data.train().metrics.log_loss;
  EXPECT_EQ(data.train().metrics.log_loss, first);
  data.request.parameters.seed = 2;
  EXPECT_NE(data.train().metrics.log_loss, first);  // other folds
}

// ---- the digest

TEST(DataDigest, ChangesWithEachTextAndEachClassAlone) {
  const Data data = small_data();
  const DataDigest digest = data_digest(data.request);
  std::set<DataDigest> all = {digest};

  TrainingRequest same = data.request;  // what does not belong to the data
  same.parameters.alpha = 0.5;
  same.algorithm = "naive_bayes";
  same.classes[0].label = "renamed";
  same.examples[0].observation_id += 1000;
  same.execution.threads = 3;
  EXPECT_EQ(data_digest(same), digest);

  for (std::size_t row = 0; row < data.request.examples.size(); ++row) {
    TrainingRequest other = data.request;
    other.examples[row].label = (other.examples[row].label + 1) % 3;
    EXPECT_TRUE(all.insert(data_digest(other)).second);
    other = data.request;
    other.examples[row].content_hash[31] ^= 1;
    EXPECT_TRUE(all.insert(data_digest(other)).second);
    other = data.request;
    other.examples.erase(other.examples.begin() + static_cast<std::ptrdiff_t>(row));
    EXPECT_TRUE(all.insert(data_digest(other)).second);
  }
  TrainingRequest other = data.request;
  other.classes[1].id = 7;
  EXPECT_TRUE(all.insert(data_digest(other)).second);
  EXPECT_NO_THROW(data_digest(TrainingRequest{}));
}

// ---- refusals, failures, cancellation

TEST(Training, NeedsExamplesOfTwoClasses) {
  Data none;
  EXPECT_EQ(test::error_of([&] { none.train(); }).code(), ErrorCode::kNotEnoughData);

  Data one({{1, "topic.only"}});
  one.add("some text", 0);
  one.add("another text", 0);
  const Error error = test::error_of([&] { one.train(); });
  EXPECT_EQ(error.code(), ErrorCode::kNotEnoughData);
  EXPECT_EQ(error.detail(), "All confirmed annotations are of class \"topic.only\".");
}

TEST(Training, NeedsWords) {
  Data data({{1, "a"}, {2, "b"}});
  data.add("", 0);
  data.add("? !", 1);
  data.add("x y z", 1);
  const Error error = test::error_of([&] { data.train(); });
  EXPECT_EQ(error.code(), ErrorCode::kNotEnoughData);
  EXPECT_STREQ(error.what(), "the annotated texts contain no words");
}

TEST(Training, RefusesAnUnknownAlgorithmBeforeItReads) {
  Data data = small_data();
  data.request.algorithm = "oracle";
  bool was_read = false;
  const Error error = test::error_of([&] { train(data.request, [&](const EmitText&) { was_read = true; }); });
  EXPECT_EQ(error.code(), ErrorCode::kUnknownName);
  EXPECT_FALSE(was_read);
}

TEST(Training, PassesOnWhatTheSourceThrows) {
  const std::size_t before = test::thread_count();
  Data data = large_data();
  data.request.execution.threads = 3;
  EXPECT_THROW(train(data.request,
                     [&](const EmitText& emit) {
                       for (std::uint32_t row = 0; row < 1000; ++row) emit(row, data.texts[row]);
                       throw std::runtime_error("the connection was lost");
                     }),
               std::runtime_error);
  EXPECT_EQ(test::thread_count(), before);
}

TEST(Training, ReportsTemporaryFilesThatCannotBeWritten) {
  const std::size_t before = test::thread_count();
  Data data = large_data();
  data.request.memory_limit = 1000;
  data.request.execution.threads = 2;
  data.request.spill_space.directory = "/proc/no-such-directory";
  EXPECT_EQ(test::error_of([&] { data.train(); }).code(), ErrorCode::kIo);
  const test::TemporaryDirectory directory;
  data.request.spill_space = {directory.path(), 10000};
  EXPECT_EQ(test::error_of([&] { data.train(); }).code(), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(directory.is_empty());
  EXPECT_EQ(test::thread_count(), before);
}

TEST(Training, SaysHowFarItIs) {
  Data data;
  data.add_random(300, 1);
  std::vector<std::uint64_t> done;
  std::vector<Phase> phases;
  data.request.report_progress = [&](Phase phase, std::uint64_t texts, std::uint64_t total) {
    if (phases.empty() || phases.back() != phase) phases.push_back(phase);
    if (phase != Phase::kReading) return;
    EXPECT_EQ(total, 300u);
    done.push_back(texts);
  };
  train(data.request, data.source());
  EXPECT_EQ(phases, std::vector({Phase::kReading, Phase::kComparing, Phase::kLearning}));
  ASSERT_EQ(done.size(), 301u);
  for (std::uint64_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], i);
}

TEST(Training, IsCancelledAtAnyTime) {
  const std::size_t before = test::thread_count();
  const std::thread::id caller = std::this_thread::get_id();
  const test::TemporaryDirectory directory;
  Data data = large_data();
  data.request.execution.threads = 2;
  data.request.memory_limit = 1000;
  data.request.spill_space.directory = directory.path();
  int completed = 0;
  // From the first question to the last: the loop ends when the training comes to its end uncancelled.
  for (int questions = 0; completed < 3 && questions < 2000; ++questions) {
    int asked = 0;
    data.request.execution.should_stop = [&] {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      return asked++ >= questions;
    };
    try {
      data.train();
      ++completed;
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::kCancelled);
    }
    ASSERT_EQ(test::thread_count(), before);
    ASSERT_TRUE(directory.is_empty());
  }
  EXPECT_EQ(completed, 3);
}

TEST(Training, IsCancelledWithinAShortTime) {
  Data data;
  data.add_random(20000, 14);
  data.request.execution.threads = 2;
  for (const auto delay : {5ms, 20ms, 50ms}) {
    const auto begin = std::chrono::steady_clock::now();
    data.request.execution.should_stop = [&] { return std::chrono::steady_clock::now() - begin > delay; };
    try {
      data.train();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kCancelled);
      EXPECT_LT(std::chrono::steady_clock::now() - begin, delay + 5s);
    }
  }
}

}  // namespace

}  // namespace reyearn
