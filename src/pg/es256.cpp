#include "pg/es256.hpp"

#ifndef REYEARN_WITH_OPENSSL
#error "the Makefile defines REYEARN_WITH_OPENSSL"
#endif

#if REYEARN_WITH_OPENSSL

#include <memory>
#include <new>
#include <string>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/error.hpp"

namespace reyearn::pg {

namespace {

constexpr const char* kHint =
    "Give what \"openssl ec -in private.pem -pubout\" prints; \"openssl ecparam -name prime256v1 -genkey -noout -out "
    "private.pem\" makes a pair of keys.";
constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
constexpr std::string_view kWhiteSpace = " \t\r\n";
constexpr std::size_t kMaxKeyBytes = 8192;
constexpr std::size_t kHalf = kEs256SignatureBytes / 2;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
struct FreeMemory {
  void operator()(void* memory) const { OPENSSL_free(memory); }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Input = std::unique_ptr<BIO, Free<BIO_free>>;
using Bytes = std::unique_ptr<unsigned char, FreeMemory>;
using Text = std::unique_ptr<char, FreeMemory>;

// Takes back what is put into OpenSSL's queue of errors meanwhile: PostgreSQL reads the same queue for its connections.
class ErrorMark {
 public:
  ErrorMark() { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
  ErrorMark(const ErrorMark&) = delete;
};

[[noreturn]] void refuse(const std::string& detail) {
  throw Error(ErrorCode::kInvalidArgument, "public key is not valid", detail, kHint);
}

// With these arguments OpenSSL fails to make an object only for want of memory.
template <typename Pointer>
Pointer made(Pointer pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

// The text between the two lines of a PEM, decoded. OpenSSL would look for them anywhere and take the first.
Bytes der_of(std::string_view text, long& size) {
  if (text.size() > kMaxKeyBytes) refuse("It is longer than " + std::to_string(kMaxKeyBytes) + " bytes.");
  const std::string_view pem = trimmed(text);
  if (pem.empty()) refuse("It is empty.");
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    refuse("It is a private key, which only those who sign may have.");
  }
  if (!pem.starts_with(kBegin) || !pem.ends_with(kEnd)) {
    refuse("It does not begin with \"" + std::string(kBegin) + "\" and end with \"" + std::string(kEnd) + "\".");
  }
  if (pem.find(kBegin, 1) != std::string_view::npos) refuse("It is more than one key.");
  const Input input = made(Input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* der = nullptr;
  const bool is_read = PEM_read_bio(input.get(), &name, &header, &der, &size) == 1;
  const Text owned_name(name);
  const Text owned_header(header);
  Bytes owned_der(der);
  if (!is_read || std::string_view(name) != PEM_STRING_PUBLIC) {
    refuse("What is between its first and last line is not in base64.");
  }
  if (*header != '\0') refuse("It has a header, as encrypted keys have.");
  return owned_der;
}

// A key on P-256. Each way to be something else is refused by name: what a key is taken for must not depend on a token.
Key parse_public_key(std::string_view text) {
  long size = 0;
  const Bytes der = der_of(text, size);
  const unsigned char* end = der.get();
  Key key(d2i_PUBKEY(nullptr, &end, size));
  if (!key || end != der.get() + size) refuse("It is not an encoded public key.");

  const char* type = EVP_PKEY_get0_type_name(key.get());
  if (EVP_PKEY_is_a(key.get(), "EC") != 1) {
    refuse("It is a key for " + std::string(type != nullptr ? type : "another algorithm") +
           ", not for ECDSA on P-256 (prime256v1).");
  }
  char encoding[32] = "";
  char curve[64] = "";
  if (EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, nullptr) != 1 ||
      std::string_view(encoding) != OSSL_PKEY_EC_ENCODING_GROUP ||
      EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, nullptr) != 1) {
    refuse("It does not name its curve; that must be P-256 (prime256v1).");
  }
  if (std::string_view(curve) != SN_X9_62_prime256v1) {
    refuse("It is on the curve " + std::string(curve) + ", not on P-256 (prime256v1).");
  }
  const KeyContext context = made(KeyContext(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)));
  if (EVP_PKEY_public_check_quick(context.get()) != 1) refuse("It is not a point of its curve.");
  return key;
}

Number number_of(const std::uint8_t* bytes) { return made(Number(BN_bin2bn(bytes, kHalf, nullptr))); }

// The signature as OpenSSL wants it: in DER.
Bytes der_of(const Es256Signature& signature, int& size) {
  const Signature pair = made(Signature(ECDSA_SIG_new()));
  Number r = number_of(signature.data());
  Number s = number_of(signature.data() + kHalf);
  if (ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) throw std::bad_alloc();
  static_cast<void>(r.release());  // they belong to the pair now
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) throw std::bad_alloc();
  return Bytes(der);
}

}  // namespace

void require_openssl() {}

void check_public_key(std::string_view pem) {
  const ErrorMark mark;
  parse_public_key(pem);
}

bool is_signed(std::string_view message, const Es256Signature& signature, std::string_view public_key) {
  const ErrorMark mark;
  const Key key = parse_public_key(public_key);
  int size = 0;
  const Bytes der = der_of(signature, size);
  const DigestContext context = made(DigestContext(EVP_MD_CTX_new()));
  if (EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key.get(), nullptr) != 1) {
    throw Error(ErrorCode::kInternal, "could not begin to verify a signature",
                "OpenSSL has no ECDSA with SHA-256, or no memory.");
  }
  // Beside 1 and 0 there is -1: a signature out of range, or no memory.
  return EVP_DigestVerify(context.get(), der.get(), static_cast<std::size_t>(size),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
}

}  // namespace reyearn::pg

#else

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

void require_openssl() {
  pg_call([] {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("tokens cannot be verified"),
                    errdetail("This library was built without OpenSSL."),
                    errhint("Install libssl-dev, then build and install the library again.")));
  });
}

void check_public_key(std::string_view) { require_openssl(); }

bool is_signed(std::string_view, const Es256Signature&, std::string_view) {
  require_openssl();
  return false;
}

}  // namespace reyearn::pg

#endif
