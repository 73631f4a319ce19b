// Signed tokens: JSON Web Tokens (RFC 7519) in the compact form, of which only those with an ES256 signature are taken.
// What they say and whether the signature is right is up to the caller.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace reyearn {

inline constexpr std::size_t kMaxTokenBytes = 8192;
inline constexpr std::size_t kEs256SignatureBytes = 64;

using Es256Signature = std::array<std::uint8_t, kEs256SignatureBytes>;  // r and s, 32 bytes each

struct SignedToken {
  std::string header;            // should be JSON
  std::string payload;           // the same; nothing in it counts before the signature is verified
  std::string_view signed_part;  // what the signature is of; lies in the token's own bytes
  Es256Signature signature;
};

// Takes a token apart. Throws Error(kInvalidToken) unless it has exactly three parts, all of them in base64url (RFC
// 4648, without padding, white space and bits left over), and the last is a signature of the right size.
SignedToken parse_signed_token(std::string_view token);

// The error for any token that is refused, whatever is wrong with it. It must not quote what nobody has signed.
Error invalid_token(const std::string& detail, const std::string& hint);

}  // namespace reyearn
