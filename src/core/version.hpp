// Version of this library. Part of what decides whether a training would change anything.
#pragma once

namespace reyearn {

inline constexpr const char* kLibraryVersion = "1.0";

}  // namespace reyearn
