// SQL entry points for tokens: reyearn_login, reyearn.check_public_key.
//
// What a token says is looked at in an order that gives nobody an answer without a signature: its header, of which only
// the name of the key counts; the key; the signature; then what it claims. The header does not choose how it is
// verified: it is ES256, or refused.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "core/signed_token.hpp"
#include "pg/acts_as.hpp"
#include "pg/catalog.hpp"
#include "pg/datum.hpp"
#include "pg/es256.hpp"
#include "pg/guard.hpp"
#include "pg/login.hpp"
#include "pg/spi.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr std::int64_t kLeewaySeconds = 30;  // by so much may the clocks of issuer and server differ
constexpr const char* kIssuerHint = "Have whoever issues the tokens look into it.";

[[noreturn]] void refuse(const std::string& detail, const char* hint = kIssuerHint) {
  throw invalid_token(detail, hint);
}

std::string_view text_of(const JsonbValue& value) {
  return {value.val.string.val, static_cast<std::size_t>(value.val.string.len)};
}

// One of the two JSON objects of a token. Of a key that comes twice the last counts, as RFC 7519 allows.
class Claims {
 public:
  // `json` is in UTF-8 if it is text at all; `part` names it in errors.
  Claims(const std::string& json, const char* part) {
    Jsonb* parsed = nullptr;
    char message[1];  // quotes what it is about
    const bool is_json = pg_attempt(
        [&] {
          const char* text = pg_any_to_server(json.data(), static_cast<int>(json.size()), PG_UTF8);
          // Conversion may have been unnecessary, or made it longer. No zero byte is valid text.
          const std::size_t size = text == json.data() ? json.size() : std::strlen(text);
          parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(text, size))));
        },
        message);
    if (!is_json || !JB_ROOT_IS_OBJECT(parsed)) refuse(std::string("Its ") + part + " is not a JSON object.");
    object_ = &parsed->root;
  }

  std::optional<JsonbValue> find(std::string_view key) const {
    JsonbValue value;
    const bool exists = pg_call([&] {
      return getKeyJsonValueFromContainer(object_, key.data(), static_cast<int>(key.size()), &value) != nullptr;
    });
    if (!exists) return std::nullopt;
    return value;
  }

  JsonbValue require(const std::string& key) const {
    const std::optional<JsonbValue> value = find(key);
    if (!value) refuse("It has no \"" + key + "\".");
    return *value;
  }

  // A text, not an empty one.
  std::string_view text(const std::string& key) const {
    const JsonbValue value = require(key);
    if (value.type != jbvString || value.val.string.len == 0) refuse("Its \"" + key + "\" is not a text.");
    return text_of(value);
  }

  // A time in seconds since 1970; none when there is no such claim.
  std::optional<TimestampTz> time(const std::string& key) const {
    const std::optional<JsonbValue> value = find(key);
    if (!value) return std::nullopt;
    if (value->type != jbvNumeric) refuse("Its \"" + key + "\" is not a number.");
    const double unix_seconds = pg_call([&] {
      return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
    });
    constexpr double kEpoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * static_cast<double>(SECS_PER_DAY);
    constexpr double kMargin = SECS_PER_DAY;  // for the leeway and for rounding
    const double seconds = unix_seconds - kEpoch;
    const bool is_a_time = seconds > static_cast<double>(MIN_TIMESTAMP) / USECS_PER_SEC + kMargin &&
                           seconds < static_cast<double>(END_TIMESTAMP) / USECS_PER_SEC - kMargin;
    if (!is_a_time) refuse("Its \"" + key + "\" is not a time.");
    return std::llround(seconds * USECS_PER_SEC);
  }

  // Whether a text, or an array of texts, is or has this one.
  bool has(const std::string& key, std::string_view text) const {
    const JsonbValue value = require(key);
    if (value.type == jbvString) return text_of(value) == text;
    const bool is_array = value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data);
    if (!is_array) refuse("Its \"" + key + "\" is neither a text nor an array of texts.");
    bool is_there = false;
    for (uint32 i = 0; i < JsonContainerSize(value.val.binary.data); ++i) {
      const JsonbValue* element = pg_call([&] { return getIthJsonbValueFromContainer(value.val.binary.data, i); });
      if (element->type != jbvString) refuse("Its \"" + key + "\" is neither a text nor an array of texts.");
      is_there = is_there || text_of(*element) == text;
    }
    return is_there;
  }

 private:
  JsonbContainer* object_ = nullptr;
};

bool is_jwt(std::string_view type) {
  constexpr std::string_view kType = "JWT";
  return std::equal(type.begin(), type.end(), kType.begin(), kType.end(),
                    [](char a, char b) { return pg_ascii_toupper(static_cast<unsigned char>(a)) == b; });
}

// The name of the key, of a header that asks for nothing else than what is done anyway.
std::string_view key_id_of(const Claims& header) {
  constexpr const char* kAlgorithmHint = "Sign tokens with ES256: ECDSA on P-256 with SHA-256.";
  const std::optional<JsonbValue> algorithm = header.find("alg");
  if (!algorithm || algorithm->type != jbvString || text_of(*algorithm) != "ES256") {
    refuse("Its \"alg\" is not \"ES256\".", kAlgorithmHint);
  }
  if (header.find("crit")) refuse("It has \"crit\": extensions that must be understood, and none is.");
  const std::optional<JsonbValue> type = header.find("typ");
  if (type && (type->type != jbvString || !is_jwt(text_of(*type)))) refuse("Its \"typ\" is not \"JWT\".");
  return header.text("kid");
}

struct LoginKey {
  std::string public_key;
  std::string issuer;
  std::string audience;
  std::optional<int> tenant_id;
};

// By what is committed now, in transactions of any age: a key that was taken away counts no longer.
std::optional<LoginKey> read_key(std::string_view key_id) {
  const ActsAs acting(pg_call([] { return extension_owner(); }));
  Spi spi;
  pg_call([] { PushActiveSnapshot(GetLatestSnapshot()); });
  spi.query("SELECT public_key, issuer, audience, tenant_id FROM reyearn.login_keys WHERE key_id = $1",
            {spi_text(key_id)});
  std::optional<LoginKey> key;
  if (spi.row_count() > 0) {
    const SpiRow row = spi.row(0);
    key = {std::string(row.text(1)), std::string(row.text(2)), std::string(row.text(3)), std::nullopt};
    if (!row.is_null(4)) key->tenant_id = row.int4(4);
  }
  pg_call([] { PopActiveSnapshot(); });
  spi.finish();
  return key;
}

LoginKey find_key(std::string_view key_id) {
  const std::optional<LoginKey> key = read_key(key_id);
  if (!key) refuse("Its \"kid\" is not among the keys.", "The owner of the extension adds keys to reyearn.login_keys.");
  return *key;
}

std::optional<int> find_tenant_id(std::string_view name) {
  return pg_call([&] {
    const Tenant* const tenant = find_tenant(c_string(name));
    return tenant != nullptr ? std::optional(tenant->tenant_id) : std::nullopt;
  });
}

// The clock is asked, not the transaction's begin: that may lie long back.
TimestampTz check_times(const Claims& payload) {
  constexpr TimestampTz kLeeway = kLeewaySeconds * USECS_PER_SEC;
  const TimestampTz now = GetCurrentTimestamp();
  payload.require("exp");
  const TimestampTz expires = *payload.time("exp") + kLeeway;
  if (now >= expires) refuse("It has expired.", "Get a new token.");
  const std::optional<TimestampTz> not_before = payload.time("nbf");
  if (not_before && now < *not_before - kLeeway) {
    refuse("It is not valid yet.", "Use it from its \"nbf\" on; see that the clocks are right.");
  }
  return expires;
}

struct NamedLogin {
  Login login;
  std::string_view tenant;  // in memory of PostgreSQL
};

NamedLogin verify(std::string_view token) {
  require_openssl();
  const SignedToken parsed = parse_signed_token(token);
  const Claims header(parsed.header, "header");
  const LoginKey key = find_key(key_id_of(header));
  if (!is_signed(parsed.signed_part, parsed.signature, key.public_key)) {
    refuse("Its signature was not made with the key that \"kid\" names.");
  }
  const Claims payload(parsed.payload, "payload");
  if (payload.text("iss") != key.issuer) refuse("Its \"iss\" is not the issuer of its key.");
  if (!payload.has("aud", key.audience)) refuse("Its \"aud\" is not the audience of its key.");
  const TimestampTz expires = check_times(payload);
  const std::string_view tenant = payload.text("tenant");
  const std::optional<int> tenant_id = find_tenant_id(tenant);
  if (!tenant_id || (key.tenant_id && *key.tenant_id != *tenant_id)) {
    refuse("Its \"tenant\" is none that its key may speak for.");
  }
  return {{*tenant_id, expires}, tenant};
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_check_public_key);
PGDLLEXPORT Datum reyearn_check_public_key(PG_FUNCTION_ARGS) {
  const std::string_view pem = text_view(PG_GETARG_DATUM(0));
  guard([&] { check_public_key(pem); });
  PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(reyearn_login);
PGDLLEXPORT Datum reyearn_login(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"token\" must not be NULL"),
                    errhint("Give a JSON Web Token.")));
  }
  const std::string_view token = text_view(PG_GETARG_DATUM(0));
  const Datum tenant = guard([&] {
    const NamedLogin verified = verify(token);
    log_in(verified.login);
    return pg_call([&] { return text_datum(verified.tenant); });
  });
  if (!IsTransactionBlock()) {
    ereport(WARNING, (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION), errmsg("login ends with this statement"),
                      errhint("Call reyearn_login() in a transaction block: BEGIN comes first.")));
  }
  return tenant;
}

}  // extern "C"

}  // namespace reyearn::pg
