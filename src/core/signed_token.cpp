#include "core/signed_token.hpp"

#include <algorithm>
#include <optional>

namespace reyearn {

namespace {

constexpr const char* kHint =
    "Give a JSON Web Token in the compact form, header.payload.signature, that was signed with ES256.";

// The six bits that a character stands for.
std::optional<std::uint32_t> sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return std::nullopt;
}

// Every sequence of bytes has one form only: bits that no byte takes must be zero.
std::optional<std::string> decode_base64url(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char c : text) {
    const auto next = sextet(c);
    if (!next) return std::nullopt;
    bits = bits << 6 | *next;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes += static_cast<char>(bits >> bit_count & 0xFF);
    bits &= (1U << bit_count) - 1;
  }
  if (bit_count == 6 || bits != 0) return std::nullopt;
  return bytes;
}

std::string decode(std::string_view part, const char* name) {
  std::optional<std::string> bytes = decode_base64url(part);
  if (!bytes) {
    throw invalid_token(std::string("Its ") + name + " is not in base64url: A-Z, a-z, 0-9, - and _, without padding.",
                        kHint);
  }
  return *std::move(bytes);
}

}  // namespace

Error invalid_token(const std::string& detail, const std::string& hint) {
  return Error(ErrorCode::kInvalidToken, "token is not valid", detail, hint);
}

SignedToken parse_signed_token(std::string_view token) {
  if (token.size() > kMaxTokenBytes) {
    throw invalid_token("It is longer than " + std::to_string(kMaxTokenBytes) + " bytes.", kHint);
  }
  const auto dots = std::count(token.begin(), token.end(), '.');
  if (dots != 2) {
    throw invalid_token("It does not have three parts joined by dots: it has " + std::to_string(dots + 1) + ".", kHint);
  }
  const std::size_t first_dot = token.find('.');
  const std::size_t second_dot = token.rfind('.');
  SignedToken parsed;
  parsed.header = decode(token.substr(0, first_dot), "header");
  parsed.payload = decode(token.substr(first_dot + 1, second_dot - first_dot - 1), "payload");
  parsed.signed_part = token.substr(0, second_dot);
  const std::string signature = decode(token.substr(second_dot + 1), "signature");
  if (signature.size() != kEs256SignatureBytes) {
    throw invalid_token("Its signature has " + std::to_string(signature.size()) + " bytes, one of ES256 has " +
                            std::to_string(kEs256SignatureBytes) + ".",
                        kHint);
  }
  std::copy(signature.begin(), signature.end(), parsed.signature.begin());
  return parsed;
}

}  // namespace reyearn
