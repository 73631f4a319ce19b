#include "pg/login.hpp"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <system_error>

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr const char* kSetting = "reyearn.login";

struct State {
  char* value = nullptr;       // the setting; empty: no login
  std::optional<Login> login;  // the same, parsed
  bool is_logging_in = false;  // whether log_in is setting it
};
State state;

class LoggingIn {
 public:
  LoggingIn() { state.is_logging_in = true; }
  ~LoggingIn() { state.is_logging_in = false; }
  LoggingIn(const LoggingIn&) = delete;
};

template <typename Number>
const char* parse(const char* from, const char* end, Number& number) {
  const auto [stop, error] = std::from_chars(from, end, number);
  return error == std::errc{} ? stop : nullptr;
}

// "tenant_id expires", the latter in PostgreSQL's microseconds.
std::optional<Login> parse_login(const char* value) {
  const char* end = value + std::strlen(value);
  Login login;
  std::int64_t expires;
  const char* stop = parse(value, end, login.tenant_id);
  if (stop == nullptr || *stop != ' ' || parse(stop + 1, end, expires) != end) return std::nullopt;
  login.expires = expires;
  return login;
}

// Besides log_in, a parallel worker that takes over its leader's settings. Those of the leader's database and role come
// by there too, and are refused as in the leader.
bool may_set(GucSource source) {
  return state.is_logging_in || (InitializingParallelWorker && source == PGC_S_SESSION);
}

bool check_login(char** value, void**, GucSource source) {
  if (**value == '\0' || (may_set(source) && parse_login(*value))) return true;
  GUC_check_errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM);
  GUC_check_errmsg("parameter \"%s\" cannot be set", kSetting);
  GUC_check_errdetail("It holds what a token has proved.");
  GUC_check_errhint("Call reyearn_login() with a token.");
  return false;
}

void assign_login(const char* value, void*) { state.login = value != nullptr ? parse_login(value) : std::nullopt; }

}  // namespace

const Login* current_login() { return state.login ? &*state.login : nullptr; }

void log_in(const Login& login) {
  char value[64];
  std::snprintf(value, sizeof value, "%d %lld", login.tenant_id, static_cast<long long>(login.expires));
  const LoggingIn logging_in;
  pg_call([&] { set_config_option(kSetting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false); });
}

void define_login_setting() {
  DefineCustomStringVariable(
      kSetting, "The tenant that a token has logged this transaction in for, and until when.",
      "Set by reyearn_login() alone.", &state.value, "", PGC_SUSET,
      GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_SUPERUSER_ONLY, check_login,
      assign_login, nullptr);
}

}  // namespace reyearn::pg
