// Labels: which are refused, and where.
#include "core/label.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace reyearn {

namespace {

using namespace std::string_view_literals;

std::string detail_for(std::string_view label) {
  return test::error_of([&] { check_label(label); }).detail();
}

TEST(Label, IsMadeOfElementsJoinedByDots) {
  for (const std::string_view label : {"a", "email", "email.business.trips", "A_1.B_2", "0.1.2", "_", "_._"}) {
    EXPECT_NO_THROW(check_label(label)) << label;
  }
}

TEST(Label, SaysWhichCharacterIsWrong) {
  EXPECT_EQ(detail_for("a b"), "Character 2, \" \", is not allowed.");
  EXPECT_EQ(detail_for("e-mail"), "Character 2, \"-\", is not allowed.");
  EXPECT_EQ(detail_for("email.café.x"), "Character 10, \"é\", is not allowed.");
  EXPECT_EQ(detail_for("日本"), "Character 1, \"日\", is not allowed.");
  EXPECT_EQ(detail_for("a\0b"sv), "Character 2, \"\0\", is not allowed."sv);
}

TEST(Label, SaysWhichElementIsEmpty) {
  EXPECT_EQ(detail_for(""), "It is empty.");
  EXPECT_EQ(detail_for("."), "The element that should begin at character 1 is empty.");
  EXPECT_EQ(detail_for("a."), "The element that should begin at character 3 is empty.");
  EXPECT_EQ(detail_for(".a"), "The element that should begin at character 1 is empty.");
  EXPECT_EQ(detail_for("a..b"), "The element that should begin at character 3 is empty.");
}

TEST(Label, IsLimitedInLengthAndDepth) {
  const std::string longest(kMaxLabelElement, 'x');
  EXPECT_NO_THROW(check_label(longest + "." + longest));
  EXPECT_EQ(detail_for("a." + longest + "x.b"),
            "The element that begins at character 3 is longer than 255 characters.");
  std::string deepest = "a";
  for (std::size_t i = 1; i < kMaxLabelLevels; ++i) deepest += ".a";
  EXPECT_NO_THROW(check_label(deepest));
  EXPECT_EQ(detail_for(deepest + ".a"), "It has more than 65535 elements.");
}

TEST(Label, SurvivesRandomBytes) {
  test::Random random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string label;
    for (std::size_t n = random.below(12); n > 0; --n) label += static_cast<char>(random.below(256));
    try {
      check_label(label);
      EXPECT_TRUE(is_label(label));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidText);
      EXPECT_FALSE(is_label(label));
    }
  }
}

TEST(LabelPrefix, IsTheFirstElements) {
  EXPECT_EQ(label_prefix("email.business.trips", 1), "email");
  EXPECT_EQ(label_prefix("email.business.trips", 2), "email.business");
  EXPECT_EQ(label_prefix("email.business.trips", 3), "email.business.trips");
  EXPECT_EQ(label_prefix("email.business.trips", 9), "email.business.trips");
  EXPECT_EQ(label_prefix("email", 1), "email");
  EXPECT_EQ(label_prefix("email", 0), "");
  EXPECT_EQ(label_prefix("", 1), "");
}

}  // namespace

}  // namespace reyearn
