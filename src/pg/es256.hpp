// ES256: ECDSA signatures with SHA-256 on the curve P-256, verified by OpenSSL's libcrypto. In a library built without
// it (make WITH_OPENSSL=0) all functions here throw PgError, of an error that says so.
#pragma once

#include <string_view>

#include "core/signed_token.hpp"

namespace reyearn::pg {

// Does nothing but that.
void require_openssl();

// Throws Error(kInvalidArgument) unless the text is one public key on P-256 in PEM ("BEGIN PUBLIC KEY") and nothing
// else.
void check_public_key(std::string_view pem);

// Whether the signature of the message was made with the private half of that key. Throws as check_public_key does.
[[nodiscard]] bool is_signed(std::string_view message, const Es256Signature& signature, std::string_view public_key);

}  // namespace reyearn::pg
