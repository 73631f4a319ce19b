// Signed tokens: which are taken apart, and which are refused as no tokens at all.
#include "core/signed_token.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace reyearn {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string base64url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (bit_count += 8; bit_count >= 6; bit_count -= 6) text += kAlphabet[bits >> (bit_count - 6) & 63];
  }
  if (bit_count > 0) text += kAlphabet[bits << (6 - bit_count) & 63];
  return text;
}

const std::string kSignature(86, 'A');  // 64 zero bytes

std::string detail_for(std::string_view token) {
  const Error error = test::error_of([&] { parse_signed_token(token); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidToken);
  EXPECT_STREQ(error.what(), "token is not valid");
  EXPECT_NE(error.hint(), "");
  return error.detail();
}

std::string not_base64url(const std::string& part) {
  return "Its " + part + " is not in base64url: A-Z, a-z, 0-9, - and _, without padding.";
}

TEST(SignedToken, IsTakenApart) {
  std::string signature;
  for (int i = 0; i < 64; ++i) signature += static_cast<char>(i * 4);
  const std::string signed_part = base64url(R"({"alg":"ES256"})") + "." + base64url(R"({"iss":"me"})");
  const std::string token = signed_part + "." + base64url(signature);
  const SignedToken parsed = parse_signed_token(token);
  EXPECT_EQ(parsed.header, R"({"alg":"ES256"})");
  EXPECT_EQ(parsed.payload, R"({"iss":"me"})");
  EXPECT_EQ(parsed.signed_part, signed_part);
  EXPECT_EQ(parsed.signed_part.data(), token.data());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(parsed.signature[static_cast<std::size_t>(i)], i * 4);
}

TEST(SignedToken, CarriesAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (std::size_t size = 0; size <= all.size(); ++size) {
    const std::string_view bytes = std::string_view(all).substr(all.size() - size);
    const std::string token = base64url(bytes) + "." + base64url(bytes) + "." + kSignature;
    const SignedToken parsed = parse_signed_token(token);
    EXPECT_EQ(parsed.header, bytes);
    EXPECT_EQ(parsed.payload, bytes);
  }
}

TEST(SignedToken, HasThreeParts) {
  EXPECT_EQ(detail_for(""), "It does not have three parts joined by dots: it has 1.");
  EXPECT_EQ(detail_for("e30.e30"), "It does not have three parts joined by dots: it has 2.");
  EXPECT_EQ(detail_for("e30.e30." + kSignature + "."), "It does not have three parts joined by dots: it has 4.");
  EXPECT_EQ(detail_for("...."), "It does not have three parts joined by dots: it has 5.");
  EXPECT_EQ(detail_for(".."), "Its signature has 0 bytes, one of ES256 has 64.");
}

TEST(SignedToken, IsLimitedInLength) {
  const std::string rest = "AAAA.." + kSignature;
  const std::string longest = "AAAA." + std::string(kMaxTokenBytes - rest.size(), 'A') + "." + kSignature;
  ASSERT_EQ(longest.size(), kMaxTokenBytes);
  EXPECT_NO_THROW(parse_signed_token(longest));
  EXPECT_EQ(detail_for(longest + "A"), "It is longer than 8192 bytes.");
  EXPECT_EQ(detail_for(std::string(1 << 20, '.')), "It is longer than 8192 bytes.");
}

TEST(SignedToken, RefusesWhatIsNoBase64Url) {
  for (const std::string_view wrong : {"e30=", "e30 ", " e30", "e\n30", "e+30", "e/30", "é", "%65"}) {
    EXPECT_EQ(detail_for(std::string(wrong) + ".e30." + kSignature), not_base64url("header")) << wrong;
    EXPECT_EQ(detail_for("e30." + std::string(wrong) + "." + kSignature), not_base64url("payload")) << wrong;
    EXPECT_EQ(detail_for("e30.e30." + std::string(wrong)), not_base64url("signature")) << wrong;
  }
  EXPECT_EQ(detail_for("e30\0.e30."sv), not_base64url("header"));
  EXPECT_EQ(detail_for("e30.e30." + kSignature + "=="), not_base64url("signature"));
  EXPECT_EQ(detail_for("e30.e30." + kSignature + "\n"), not_base64url("signature"));
}

// Of all ways to write the same bytes one is right: else a token could be changed and still be verified.
TEST(SignedToken, RefusesBitsLeftOver) {
  EXPECT_NO_THROW(parse_signed_token("AA.AAA." + kSignature));
  for (const std::string_view wrong : {"A", "AAAAA", "AB", "AP", "AAB", "AAD"}) {
    EXPECT_EQ(detail_for(std::string(wrong) + ".e30." + kSignature), not_base64url("header")) << wrong;
  }
  EXPECT_EQ(detail_for("e30.e30." + kSignature.substr(1) + "B"), not_base64url("signature"));
}

TEST(SignedToken, HasASignatureOfItsSize) {
  EXPECT_EQ(detail_for("e30.e30."), "Its signature has 0 bytes, one of ES256 has 64.");
  EXPECT_EQ(detail_for("e30.e30." + base64url(std::string(63, 'x'))),
            "Its signature has 63 bytes, one of ES256 has 64.");
  EXPECT_EQ(detail_for("e30.e30." + base64url(std::string(65, 'x'))),
            "Its signature has 65 bytes, one of ES256 has 64.");
}

TEST(SignedToken, IsNotQuotedInErrors) {
  for (const std::string_view token : {"secret", "se cret.e30.", "secret.secret.secret"}) {
    EXPECT_EQ(detail_for(token).find("secret"), std::string::npos);
  }
}

TEST(SignedToken, SurvivesRandomBytes) {
  test::Random random(1);
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string token = "e30.e30." + kSignature;
    for (std::size_t edits = random.below(4); edits > 0; --edits) {
      const auto any = static_cast<char>(random.below(256));
      token[random.below(token.size())] = random.one_in(3) ? any : random.pick(kAlphabet);
    }
    try {
      const SignedToken parsed = parse_signed_token(token);
      const std::string_view signature(reinterpret_cast<const char*>(parsed.signature.data()), parsed.signature.size());
      EXPECT_EQ(base64url(parsed.header) + "." + base64url(parsed.payload) + "." + base64url(signature), token);
      ++taken;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidToken);
    }
  }
  EXPECT_GT(taken, 1000);
}

}  // namespace

}  // namespace reyearn
