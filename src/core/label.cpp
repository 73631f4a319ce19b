#include "core/label.hpp"

#include "core/error.hpp"

namespace reyearn {

namespace {

constexpr const char* kHint =
    "A label is made of elements of ASCII letters, digits and underscores, joined by dots: email.business.trips.";

bool is_element_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

[[noreturn]] void reject(std::string_view label, const std::string& detail) {
  throw Error(ErrorCode::kInvalidText, "invalid label \"" + std::string(label) + "\"", detail, kHint);
}

// The character that begins at byte `at`, whole.
std::string_view character_at(std::string_view label, std::size_t at) {
  std::size_t end = at + 1;
  while (end < label.size() && (static_cast<unsigned char>(label[end]) & 0xC0) == 0x80) ++end;
  return label.substr(at, end - at);
}

}  // namespace

void check_label(std::string_view label) {
  if (label.empty()) reject(label, "It is empty.");
  std::size_t element_begin = 0;
  std::size_t levels = 1;
  for (std::size_t at = 0; at <= label.size(); ++at) {
    const bool is_end = at == label.size();
    if (!is_end && is_element_character(label[at])) continue;
    // All before `at` is ASCII: bytes and characters are the same.
    const std::string position = std::to_string(at + 1);
    if (!is_end && label[at] != '.') {
      reject(label, "Character " + position + ", \"" + std::string(character_at(label, at)) + "\", is not allowed.");
    }
    if (at == element_begin) reject(label, "The element that should begin at character " + position + " is empty.");
    if (at - element_begin > kMaxLabelElement) {
      reject(label, "The element that begins at character " + std::to_string(element_begin + 1) + " is longer than " +
                        std::to_string(kMaxLabelElement) + " characters.");
    }
    element_begin = at + 1;
    levels += !is_end;
  }
  if (levels > kMaxLabelLevels) reject(label, "It has more than " + std::to_string(kMaxLabelLevels) + " elements.");
}

bool is_label(std::string_view label) {
  try {
    check_label(label);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string_view label_prefix(std::string_view label, std::size_t depth) {
  std::size_t end = 0;
  for (std::size_t level = 0; level < depth; ++level) {
    const std::size_t dot = label.find('.', end + (level > 0));
    if (dot == std::string_view::npos) return label;
    end = dot;
  }
  return label.substr(0, end);
}

}  // namespace reyearn
