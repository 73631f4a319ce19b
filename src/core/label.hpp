// Labels: paths of a taxonomy, such as "email.business.trips".
#pragma once

#include <string>
#include <string_view>

namespace reyearn {

inline constexpr std::size_t kMaxLabelElement = 255;
inline constexpr std::size_t kMaxLabelLevels = 65535;

// Throws Error(kInvalidArgument), which names the first character that is wrong, unless `label` is one or more
// elements of [A-Za-z0-9_], joined by dots.
void check_label(std::string_view label);
bool is_label(std::string_view label);

// The first `depth` elements; the whole label when it has no more.
std::string_view label_prefix(std::string_view label, std::size_t depth);

}  // namespace reyearn
