// Error: the one exception type of the core. The boundary maps its code to an SQLSTATE.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace reyearn {

enum class ErrorCode {
  kInvalidArgument,  // a value out of range or of the wrong kind
  kInvalidText,      // text that does not have the form it must have
  kUnknownName,      // a name that is not among the known ones
  kNotEnoughData,    // nothing to learn from
  kCorruptModel,     // bytes that are not a complete model
  kNewerModel,       // bytes written by a newer library
  kLimitExceeded,    // larger than a format or a machine allows
  kIo,               // a temporary file failed
  kCancelled,        // should_stop said so
  kInvalidToken,     // a token that proves nothing
  kInternal,         // a library failed in a way no input should cause
};

// `what()` is the message: lower case, no final period. Detail and hint are full sentences, possibly empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string detail = {}, std::string hint = {})
      : std::runtime_error(message), code_(code), detail_(std::move(detail)), hint_(std::move(hint)) {}

  ErrorCode code() const noexcept { return code_; }
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorCode code_;
  std::string detail_;
  std::string hint_;
};

}  // namespace reyearn
