// Naive Bayes against a slow dense reference in double precision and against numbers of scikit-learn.
#include "core/classify/naive_bayes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/classify/predictor.hpp"
#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;
using Image = std::vector<std::byte>;

struct Corpus {
  std::vector<std::string> texts;
  std::vector<std::uint32_t> labels;
  std::vector<ModelClass> classes;
};

// Each class prefers some words; the numbers of the words are spread over several powers of ten.
Corpus random_corpus(std::uint64_t seed, std::size_t texts, std::uint32_t classes) {
  Random random(seed);
  Corpus corpus;
  for (std::uint32_t c = 0; c < classes; ++c) corpus.classes.push_back({100 + c, "root.c" + std::to_string(c)});
  for (std::size_t i = 0; i < texts; ++i) {
    const auto label = static_cast<std::uint32_t>(random.below(random.between(1, classes)));
    std::string text;
    for (std::size_t n = random.one_in(15) ? 0 : random.below(25); n > 0; --n) {
      text += random.one_in(3) ? "own" + std::to_string(label * 10 + random.below(10))
                               : "w" + std::to_string(random.below(random.between(1, 300)));
      text += ' ';
    }
    corpus.texts.push_back(text);
    corpus.labels.push_back(label);
  }
  return corpus;
}

std::vector<std::uint32_t> all_rows(const Corpus& corpus) {
  std::vector<std::uint32_t> rows(corpus.texts.size());
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

Image train(const Corpus& corpus, const Parameters& parameters, const test::CountingOptions& counting = {},
            int threads = 1) {
  test::CountingOptions options = counting;
  options.text = parameters.text;
  const auto counts = test::count_texts(corpus.texts, options);
  const std::vector<std::uint32_t> rows = all_rows(corpus);
  return NaiveBayes().train(TrainingSet{*counts, rows, corpus.labels, corpus.classes}, parameters,
                            Execution{threads, nullptr});
}

// ---- the slow one: the formulas of scikit-learn's CountVectorizer, TfidfTransformer and MultinomialNB

class SlowNaiveBayes {
 public:
  SlowNaiveBayes(const Corpus& corpus, const Parameters& parameters) : parameters_(parameters) {
    std::map<std::string, std::size_t> document_frequency;
    std::vector<std::map<std::string, double>> counts;
    for (const std::string& text : corpus.texts) {
      counts.push_back(count(text));
      for (const auto& [feature, n] : counts.back()) ++document_frequency[feature];
    }
    const auto n = static_cast<double>(corpus.texts.size());
    for (const auto& [feature, df] : document_frequency) {
      if (static_cast<std::int64_t>(df) < parameters.min_df) continue;
      vocabulary_.emplace(feature, vocabulary_.size());
      idf_.push_back(std::log((1 + n) / (1 + static_cast<double>(df))) + 1);
    }
    const std::set<std::uint32_t> used(corpus.labels.begin(), corpus.labels.end());
    for (const std::uint32_t label : used) {
      std::vector<double> sums(vocabulary_.size(), parameters.alpha);
      double texts = 0;
      for (std::size_t i = 0; i < corpus.texts.size(); ++i) {
        if (corpus.labels[i] != label) continue;
        ++texts;
        const std::vector<double> x = vector_of(counts[i]);
        for (std::size_t f = 0; f < x.size(); ++f) sums[f] += x[f];
      }
      const double total = std::accumulate(sums.begin(), sums.end(), 0.0);
      for (double& sum : sums) sum = std::log(sum) - std::log(total);
      log_prior_.push_back(std::log(texts / n));
      log_probability_.push_back(sums);
    }
  }

  std::vector<double> scores(const std::string& text) const {
    const std::vector<double> x = vector_of(count(text));
    std::vector<double> scores = log_prior_;
    for (std::size_t c = 0; c < scores.size(); ++c) {
      for (std::size_t f = 0; f < x.size(); ++f) scores[c] += x[f] * log_probability_[c][f];
    }
    return scores;
  }

  std::size_t feature_count() const { return vocabulary_.size(); }

 private:
  std::map<std::string, double> count(const std::string& text) const {
    std::vector<std::string> words;
    Tokenizer().tokenize(text, [&](const Word& word) { words.emplace_back(word.text); });
    std::map<std::string, double> counts;
    for (std::size_t begin = 0; begin < words.size(); ++begin) {
      std::string gram;
      for (std::size_t n = 1; n <= parameters_.text.max_ngram && begin + n <= words.size(); ++n) {
        gram += " " + words[begin + n - 1];
        if (n >= parameters_.text.min_ngram) ++counts[gram];
      }
    }
    return counts;
  }

  std::vector<double> vector_of(const std::map<std::string, double>& counts) const {
    std::vector<double> x(vocabulary_.size(), 0);
    double squares = 0;
    for (const auto& [feature, n] : counts) {
      const auto found = vocabulary_.find(feature);
      if (found == vocabulary_.end()) continue;
      x[found->second] = n * idf_[found->second];
      squares += x[found->second] * x[found->second];
    }
    for (double& value : x) value = squares == 0 ? 0 : value / std::sqrt(squares);
    return x;
  }

  Parameters parameters_;
  std::map<std::string, std::size_t> vocabulary_;
  std::vector<double> idf_;
  std::vector<double> log_prior_;
  std::vector<std::vector<double>> log_probability_;
};

std::vector<double> log_probabilities(std::span<const double> scores) {
  std::vector<double> result(scores.begin(), scores.end());
  const double total = log_sum_exp(scores);
  for (double& one : result) one -= total;
  return result;
}

void expect_like_the_slow_one(const Corpus& corpus, const Parameters& parameters, double tolerance) {
  const SlowNaiveBayes slow(corpus, parameters);
  const Image image = train(corpus, parameters, {.shards = 3, .arrival_seed = 1});
  const ModelView view = ModelView::open(image);
  ASSERT_EQ(view.feature_count(), slow.feature_count());
  Predictor predictor(view);
  Random random(99);
  std::vector<std::string> texts = corpus.texts;
  texts.resize(std::min<std::size_t>(texts.size(), 60));
  for (int i = 0; i < 60; ++i) texts.push_back(test::random_text(random, random.below(30), 400));
  texts.push_back("");
  for (const std::string& text : texts) {
    const std::vector<double> expected = slow.scores(text);
    const std::vector<double> expected_log = log_probabilities(expected);
    const std::span<const double> scores = predictor.scores(text);
    const std::vector<double> log = log_probabilities(scores);
    ASSERT_EQ(scores.size(), expected.size());
    for (std::size_t c = 0; c < scores.size(); ++c) {
      ASSERT_NEAR(scores[c], expected[c], tolerance) << text;
      ASSERT_NEAR(log[c], expected_log[c], tolerance) << text;
    }
    std::vector<double> probabilities(scores.begin(), scores.end());
    softmax(probabilities);
    ASSERT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-12);
  }
}

TEST(NaiveBayes, EqualsTheSlowOne) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    for (const std::uint32_t classes : {2, 5, 40}) {
      expect_like_the_slow_one(random_corpus(seed, 150, classes), Parameters{}, 1e-6);
    }
  }
}

TEST(NaiveBayes, EqualsTheSlowOneForAllItsParameters) {
  const Corpus corpus = random_corpus(4, 120, 4);
  for (const TextOptions& text : {TextOptions{1, 1}, TextOptions{1, 2}, TextOptions{2, 2}, TextOptions{1, 5}}) {
    for (const std::int64_t min_df : {1, 2, 5}) {
      for (const double alpha : {0.01, 0.5, 1.0, 100.0}) {
        Parameters parameters;
        parameters.text = text;
        parameters.min_df = min_df;
        parameters.alpha = alpha;
        expect_like_the_slow_one(corpus, parameters, 2e-6);
      }
    }
  }
}

TEST(NaiveBayes, EqualsTheSlowOneForExtremeSmoothing) {
  const Corpus corpus = random_corpus(5, 120, 3);
  Parameters parameters;
  for (const double alpha : {1e-10, 1e6}) {
    parameters.alpha = alpha;
    // Weights are floats: with the smallest alpha they are about 23, and their last bit is worth 2e-6.
    expect_like_the_slow_one(corpus, parameters, 5e-6);
  }
}

// ---- scikit-learn

const Corpus& letters() {
  static const Corpus corpus = {{"cheap pills buy now", "buy cheap watches now now now", "meeting moved to monday",
                                 "please review the report before the meeting", "lunch on monday",
                                 "dinner and a movie on friday", "Buy the report NOW", "the movie was cheap"},
                                {1, 1, 2, 2, 0, 0, 1, 0},
                                {{1, "private"}, {2, "spam"}, {3, "work"}}};
  return corpus;
}

struct Golden {
  std::string text;
  std::vector<double> log_probabilities;
};

void expect_golden(const Parameters& parameters, std::size_t features, const std::vector<Golden>& golden) {
  const Image image = train(letters(), parameters);
  const ModelView view = ModelView::open(image);
  EXPECT_EQ(view.feature_count(), features);
  Predictor predictor(view);
  for (const Golden& one : golden) {
    const std::vector<double> log = log_probabilities(predictor.scores(one.text));
    for (std::size_t c = 0; c < log.size(); ++c) EXPECT_NEAR(log[c], one.log_probabilities[c], 1e-6) << one.text;
  }
}

// CountVectorizer(ngram_range, min_df) → TfidfTransformer() → MultinomialNB(alpha).predict_log_proba, version 1.2.1.
TEST(NaiveBayes, EqualsScikitLearn) {
  expect_golden({}, 21,
                {{"buy cheap pills", {-1.371976575, -0.526478068, -1.859739715}},
                 {"the meeting on monday", {-0.836443947, -1.374973309, -1.158664206}},
                 {"movie", {-0.641766844, -1.279256790, -1.632735303}},
                 {"nothing known here", {-0.980829253, -0.980829253, -1.386294361}},
                 {"now now now lunch", {-1.294629330, -0.569816505, -1.830263081}},
                 {"report report review", {-1.272254968, -0.883049633, -1.183252206}},
                 {"", {-0.980829253, -0.980829253, -1.386294361}}});
}

TEST(NaiveBayes, EqualsScikitLearnWithPairsOfWords) {
  Parameters parameters;
  parameters.text = {1, 2};
  parameters.alpha = 0.1;
  expect_golden(parameters, 48,
                {{"buy cheap pills", {-3.303299751, -0.059273928, -3.873294389}},
                 {"the meeting on monday", {-0.631227871, -2.854843238, -0.890386885}},
                 {"movie", {-0.215572653, -2.214139477, -2.468960717}},
                 {"nothing known here", {-0.980829253, -0.980829253, -1.386294361}},
                 {"now now now lunch", {-2.548672693, -0.123745258, -3.264665269}},
                 {"report report review", {-2.252816073, -0.911834076, -0.707021933}}});
}

TEST(NaiveBayes, EqualsScikitLearnWithPairsAlone) {
  Parameters parameters;
  parameters.text = {2, 2};
  parameters.alpha = 0.5;
  expect_golden(parameters, 27,
                {{"buy cheap pills", {-1.445155128, -0.519485484, -1.775114914}},
                 {"the meeting on monday", {-0.751822709, -1.390289792, -1.274786923}},
                 {"movie", {-0.980829253, -0.980829253, -1.386294361}}});
}

TEST(NaiveBayes, EqualsScikitLearnWithoutRareWords) {
  Parameters parameters;
  parameters.min_df = 2;
  expect_golden(parameters, 9,
                {{"buy cheap pills", {-1.264235250, -0.589131284, -1.815627670}},
                 {"the meeting on monday", {-0.819044094, -1.668228961, -0.992722690}},
                 {"movie", {-0.545969745, -1.445399519, -1.687030157}},
                 {"now now now lunch", {-1.519145073, -0.482252597, -1.809658957}}});
}

TEST(NaiveBayes, EqualsScikitLearnWithTheSmallestAlpha) {
  Parameters parameters;
  parameters.alpha = 1e-10;
  const Image image = train(letters(), parameters);
  Predictor predictor(ModelView::open(image));
  const std::vector<Golden> golden = {{"buy cheap pills", {-27.819861726, 0, -38.933535448}},
                                      {"the meeting on monday", {-0.758994250, -24.101021300, -0.631369378}},
                                      {"movie", {0, -22.894097975, -23.030780806}},
                                      {"report report review", {-30.143401947, -10.829734663, -0.000019802}}};
  for (const Golden& one : golden) {
    const std::vector<double> log = log_probabilities(predictor.scores(one.text));
    for (std::size_t c = 0; c < log.size(); ++c) EXPECT_NEAR(log[c], one.log_probabilities[c], 1e-5) << one.text;
  }
}

// ---- borders

TEST(NaiveBayes, GivesThePriorsToTextsWithoutKnownWords) {
  const Image image = train(letters(), {});
  Predictor predictor(ModelView::open(image));
  for (const std::string_view text : {"", "unknown", "x y z"}) {
    const std::span<const double> scores = predictor.scores(text);
    EXPECT_NEAR(scores[0], std::log(3.0 / 8), 1e-12);
    EXPECT_NEAR(scores[1], std::log(3.0 / 8), 1e-12);
    EXPECT_NEAR(scores[2], std::log(2.0 / 8), 1e-12);
  }
}

TEST(NaiveBayes, KnowsOnlyClassesThatHaveAText) {
  Corpus corpus = letters();
  corpus.classes.insert(corpus.classes.begin() + 1, ModelClass{77, "never seen"});
  for (std::uint32_t& label : corpus.labels) label += label >= 1;
  const Image image = train(corpus, {});
  EXPECT_EQ(image, train(letters(), {}));
}

TEST(NaiveBayes, LearnsFromTheRowsItIsGivenAlone) {
  const Corpus corpus = random_corpus(6, 200, 3);
  Corpus half{{}, {}, corpus.classes};
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < corpus.texts.size(); row += 2) {
    rows.push_back(row);
    half.texts.push_back(corpus.texts[row]);
    half.labels.push_back(corpus.labels[row]);
  }
  const auto counts = test::count_texts(corpus.texts);
  const Image image =
      NaiveBayes().train(TrainingSet{*counts, rows, corpus.labels, corpus.classes}, {}, Execution{2, nullptr});
  EXPECT_EQ(image, train(half, {}));  // not even the vocabulary of the others is in it
}

TEST(NaiveBayes, LearnsPriorsAloneWhenNoWordIsFrequentEnough) {
  Parameters parameters;
  parameters.min_df = 1000;
  const Image image = train(letters(), parameters);
  const ModelView view = ModelView::open(image);
  EXPECT_EQ(view.feature_count(), 0u);
  Predictor predictor(view);
  EXPECT_NEAR(predictor.scores("buy cheap pills")[2], std::log(0.25), 1e-12);
}

TEST(NaiveBayes, TakesTextsWithoutWords) {
  Corpus corpus = letters();
  corpus.texts[4] = "";
  corpus.texts[5] = "a b c";
  corpus.texts[7] = " ";  // the whole class
  expect_like_the_slow_one(corpus, {}, 1e-6);
}

TEST(NaiveBayes, TakesOneClassAndOneText) {
  const Corpus corpus{{"a single text"}, {0}, {{5, "only"}}};
  const Image image = train(corpus, {});
  Predictor predictor(ModelView::open(image));
  EXPECT_EQ(best_class(predictor.scores("anything")), 0u);
  expect_like_the_slow_one(corpus, {}, 1e-6);
}

TEST(NaiveBayes, TakesHugeCountsOfOneWord) {
  Corpus corpus = letters();
  for (int i = 0; i < 200000; ++i) corpus.texts[0] += " cheap";
  expect_like_the_slow_one(corpus, {}, 1e-6);
}

// ---- the same bytes

TEST(NaiveBayes, GivesTheSameBytesForEveryNumberOfThreads) {
  const Corpus corpus = random_corpus(7, 9000, 12);  // several tasks of rows
  Parameters parameters;
  parameters.text = {1, 2};
  const Image image = train(corpus, parameters);
  for (const int threads : {2, 3, 7}) {
    EXPECT_EQ(train(corpus, parameters, {.shards = threads, .arrival_seed = 5}, threads), image) << threads;
  }
}

TEST(NaiveBayes, GivesTheSameBytesHoweverTextsArrive) {
  const Corpus corpus = random_corpus(8, 500, 5);
  const Image image = train(corpus, {});
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_EQ(train(corpus, {}, {.shards = 1 + static_cast<int>(seed % 4), .arrival_seed = seed}), image);
  }
}

TEST(NaiveBayes, GivesTheSameBytesWhenCountsSpill) {
  const test::TemporaryDirectory directory;
  const Corpus corpus = random_corpus(9, 500, 5);
  const Image image = train(corpus, {});
  for (const std::size_t limit : {0, 1000, 10000}) {
    EXPECT_EQ(train(corpus, {}, {.shards = 2, .memory_limit = limit, .directory = directory.path()}, 2), image);
  }
}

TEST(NaiveBayes, IsCancelled) {
  const Corpus corpus = random_corpus(10, 2000, 5);
  const auto counts = test::count_texts(corpus.texts);
  const std::vector<std::uint32_t> rows = all_rows(corpus);
  EXPECT_TRUE(test::is_cancelled_soon([&] {
    NaiveBayes().train(TrainingSet{*counts, rows, corpus.labels, corpus.classes}, {},
                       Execution{2, [] { return true; }});
  }));
}

TEST(Algorithm, IsFoundByName) {
  EXPECT_EQ(find_algorithm("naive_bayes").name(), "naive_bayes");
  EXPECT_NO_THROW(find_algorithm("auto"));
}

TEST(Algorithm, OfAnUnknownNameIsRefusedWithAList) {
  for (const std::string_view name : {"", "svm", "AUTO", "naive_bayes "}) {
    const Error error = test::error_of([&] { find_algorithm(name); });
    EXPECT_EQ(error.code(), ErrorCode::kUnknownName);
    EXPECT_NE(error.detail().find("auto, naive_bayes"), std::string::npos) << error.detail();
  }
}

}  // namespace

}  // namespace reyearn
