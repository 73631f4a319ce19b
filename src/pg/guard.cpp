#include "pg/guard.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// The only mapping of the core's codes.
int sqlstate_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return ERRCODE_INVALID_PARAMETER_VALUE;
    case ErrorCode::kInvalidText:
      return ERRCODE_INVALID_TEXT_REPRESENTATION;
    case ErrorCode::kUnknownName:
      return ERRCODE_UNDEFINED_OBJECT;
    case ErrorCode::kNotEnoughData:
      return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    case ErrorCode::kCorruptModel:
      return ERRCODE_DATA_CORRUPTED;
    case ErrorCode::kNewerModel:
      return ERRCODE_FEATURE_NOT_SUPPORTED;
    case ErrorCode::kLimitExceeded:
      return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    case ErrorCode::kIo:
      return ERRCODE_IO_ERROR;
    case ErrorCode::kCancelled:
      return ERRCODE_QUERY_CANCELED;
    case ErrorCode::kInvalidToken:
      return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    case ErrorCode::kInternal:
      break;
  }
  return ERRCODE_INTERNAL_ERROR;
}

template <std::size_t Size>
void copy(char (&to)[Size], std::string_view from) noexcept {
  const std::size_t length = std::min(from.size(), Size - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

// A clipped text may end within a character.
template <std::size_t Size>
void copy_whole(char (&to)[Size], const char* from) noexcept {
  copy(to, from != nullptr ? from : "");
  const int length = static_cast<int>(std::strlen(to));
  to[pg_mbcliplen(to, length, length)] = '\0';
}

char* whole_characters(const char* text) {
  const int length = static_cast<int>(std::strlen(text));
  return pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, length, length)));
}

}  // namespace

void Failure::set(const Error& error) noexcept {
  sqlstate = sqlstate_of(error.code());
  copy(message, error.what());
  copy(detail, error.detail());
  copy(hint, error.hint());
}

void Failure::set_out_of_memory() noexcept {
  sqlstate = ERRCODE_OUT_OF_MEMORY;
  copy(message, "out of memory");
}

void Failure::set(const std::exception& error) noexcept { copy(message, error.what()); }

void Failure::set(const ErrorData& error) noexcept {
  sqlstate = error.sqlerrcode;
  copy_whole(message, error.message);
  copy_whole(detail, error.detail);
  copy_whole(hint, error.hint);
}

void report(const Failure& failure) {
  if (failure.is_pg_error) PG_RE_THROW();
  ereport(ERROR, (errcode(failure.sqlstate != 0 ? failure.sqlstate : ERRCODE_INTERNAL_ERROR),
                  errmsg_internal("%s", whole_characters(failure.message)),
                  failure.detail[0] != '\0' ? errdetail_internal("%s", whole_characters(failure.detail)) : 0,
                  failure.hint[0] != '\0' ? errhint("%s", whole_characters(failure.hint)) : 0));
  pg_unreachable();
}

bool pg_try(void (*call)(void*), void* argument) {
  const MemoryContext context = CurrentMemoryContext;
  volatile bool is_done = true;
  PG_TRY();
  { call(argument); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    is_done = false;
  }
  PG_END_TRY();
  return is_done;
}

bool pg_attempt(void (*call)(void*), void* argument, char* message, std::size_t size) {
  if (pg_try(call, argument)) return true;
  if (geterrcode() == ERRCODE_QUERY_CANCELED) throw PgError{};  // what ends the backend is no error
  ErrorData* error = pg_call([] { return CopyErrorData(); });
  FlushErrorState();
  strlcpy(message, error->message, size);
  FreeErrorData(error);
  return false;
}

bool check_for_interrupts() {
  if (INTERRUPTS_PENDING_CONDITION()) pg_call([] { CHECK_FOR_INTERRUPTS(); });
  return false;
}

}  // namespace reyearn::pg
