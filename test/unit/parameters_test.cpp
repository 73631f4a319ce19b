// Parameters: ranges, types and names are checked; what is written can be read.
#include "core/parameters.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support.hpp"

namespace reyearn {

namespace {

using Pair = std::vector<double>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Case {
  const char* name;
  std::vector<ParameterValue> accepted;
  std::vector<ParameterValue> refused;
};

const std::vector<Case> kCases = {
    {"holdout", {0.0, 0.2, 0.9}, {-0.001, 0.91, 1.0, kNan, kInfinity, true, std::string("0.2"), nullptr, Pair{0.2}}},
    {"refit", {true, false}, {1.0, 0.0, std::string("true"), nullptr, Pair{}}},
    {"seed",
     {0.0, 1.0, 42.0, 9007199254740991.0},
     {-1.0, 0.5, 1e16, kNan, kInfinity, false, std::string("1"), nullptr}},
    {"ngram_range",
     {Pair{1, 1}, Pair{1, 2}, Pair{2, 2}, Pair{5, 5}, Pair{1, 5}},
     {Pair{}, Pair{1}, Pair{1, 2, 3}, Pair{0, 1}, Pair{-1, 1}, Pair{2, 1}, Pair{1, 6}, Pair{1, 1.5}, Pair{0.5, 1},
      Pair{1, kNan}, Pair{kNan, 1}, Pair{1, kInfinity}, Pair{-kInfinity, 1}, Pair{1, 4294967297}, 1.0, true,
      std::string("[1, 2]"), nullptr}},
    {"min_df", {1.0, 2.0, 1000000.0}, {0.0, -1.0, 1.5, 1000001.0, kNan, kInfinity, true, std::string("2"), nullptr}},
    {"alpha", {1e-10, 0.1, 1.0, 1e6}, {0.0, 9e-11, -1.0, 1000001.0, kNan, kInfinity, true, std::string("1"), nullptr}},
};

Parameters with(const char* name, const ParameterValue& value) {
  Parameters parameters;
  set_parameter(parameters, name, value);
  return parameters;
}

TEST(Parameters, HaveTheDefaultsOfTheDocumentation) {
  EXPECT_EQ(parameters_to_json(Parameters{}),
            "{\"holdout\": 0.2, \"refit\": true, \"seed\": 0, \"ngram_range\": [1, 1], \"min_df\": 1, \"alpha\": 1}");
}

TEST(Parameters, AreAllCoveredByThisTest) {
  std::vector<std::string> names;
  for (const ParameterSpec& spec : parameter_specs()) names.emplace_back(spec.name);
  std::vector<std::string> covered;
  for (const Case& one : kCases) covered.emplace_back(one.name);
  EXPECT_EQ(names, covered);
}

TEST(Parameters, TakeTheWholeRange) {
  for (const Case& one : kCases) {
    for (const ParameterValue& value : one.accepted) EXPECT_NO_THROW(with(one.name, value)) << one.name;
  }
}

TEST(Parameters, RefuseWhatIsOutOfRangeOrOfAnotherType) {
  for (const Case& one : kCases) {
    for (std::size_t i = 0; i < one.refused.size(); ++i) {
      SCOPED_TRACE(std::string(one.name) + " " + std::to_string(i));
      Parameters parameters;
      const Error error = test::error_of([&] { set_parameter(parameters, one.name, one.refused[i]); });
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_EQ(std::string(error.what()), "invalid value for parameter \"" + std::string(one.name) + "\"");
      EXPECT_EQ(parameters_to_json(parameters), parameters_to_json(Parameters{}));  // unchanged
    }
  }
}

TEST(Parameters, SayTheRangeOfARefusedValue) {
  const Error error = test::error_of([] { with("min_df", 0.0); });
  EXPECT_EQ(error.detail(), "It takes a value of type integer: 1 to 1000000.");
  EXPECT_FALSE(error.hint().empty());
}

TEST(Parameters, ReachTheField) {
  EXPECT_EQ(with("holdout", 0.25).holdout, 0.25);
  EXPECT_FALSE(with("refit", false).refit);
  EXPECT_EQ(with("seed", 9007199254740991.0).seed, 9007199254740991);
  EXPECT_EQ(with("ngram_range", Pair{2, 3}).text, (TextOptions{2, 3}));
  EXPECT_EQ(with("min_df", 7.0).min_df, 7);
  EXPECT_EQ(with("alpha", 0.01).alpha, 0.01);
}

TEST(Parameters, ListTheKnownNamesForAnUnknownOne) {
  for (const std::string name : {"alfa", "", "ALPHA", "alpha ", "alph"}) {
    const Error error = test::error_of([&] { with(name.c_str(), 1.0); });
    EXPECT_EQ(error.code(), ErrorCode::kUnknownName);
    EXPECT_EQ(std::string(error.what()), "unknown parameter \"" + name + "\"");
    EXPECT_EQ(error.detail(), "The parameters are holdout, refit, seed, ngram_range, min_df, alpha.");
  }
}

TEST(Parameters, AreDescribed) {
  for (const ParameterSpec& spec : parameter_specs()) {
    EXPECT_NE(std::string(spec.type), "");
    EXPECT_NE(std::string(spec.range), "");
    EXPECT_NE(std::string(spec.description), "");
    EXPECT_EQ(spec.belongs_to_model, std::string(spec.name) == "holdout");
  }
}

// As much of a JSON reader as the output needs: it is the test that the output is JSON.
class Reader {
 public:
  explicit Reader(std::string_view json) : json_(json) {}

  Parameters read() {
    Parameters parameters;
    expect("{");
    do {
      expect("\"");
      const std::size_t end = json_.find('"');
      const std::string name(json_.substr(0, end));
      json_.remove_prefix(end);
      expect("\":");
      set_parameter(parameters, name, value());
    } while (skip(","));
    expect("}");
    EXPECT_EQ(json_, "");
    return parameters;
  }

 private:
  ParameterValue value() {
    skip(" ");
    if (skip("true")) return true;
    if (skip("false")) return false;
    if (!skip("[")) return number();
    Pair pair{number()};
    expect(",");
    pair.push_back(number());
    expect("]");
    return pair;
  }

  double number() {
    skip(" ");
    const std::size_t size = std::min(json_.find_first_not_of("0123456789+-.eE"), json_.size());
    const std::string digits(json_.substr(0, size));
    EXPECT_TRUE(!digits.empty() && (std::isdigit(static_cast<unsigned char>(digits[0])) != 0)) << digits;
    json_.remove_prefix(size);
    return std::stod(digits);
  }

  bool skip(std::string_view what) {
    while (json_.starts_with(' ')) json_.remove_prefix(1);
    if (!json_.starts_with(what)) return false;
    json_.remove_prefix(what.size());
    return true;
  }
  void expect(std::string_view what) { EXPECT_TRUE(skip(what)) << what << " in " << json_; }

  std::string_view json_;
};

TEST(Parameters, CanBeReadBackFromTheirJson) {
  for (const Case& one : kCases) {
    for (const ParameterValue& value : one.accepted) {
      const std::string json = parameters_to_json(with(one.name, value));
      EXPECT_EQ(parameters_to_json(Reader(json).read()), json);
    }
  }
}

TEST(Parameters, KeepEveryBitOfANumber) {
  test::Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const double alpha = std::ldexp(static_cast<double>(random.next() | 1), static_cast<int>(random.below(50)) - 95);
    if (!(alpha >= 1e-10 && alpha <= 1e6)) continue;
    EXPECT_EQ(Reader(parameters_to_json(with("alpha", alpha))).read().alpha, alpha);
  }
}

}  // namespace

}  // namespace reyearn
