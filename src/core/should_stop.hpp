// ShouldStop: what long work asks now and then, whether to give up. Nothing: it never gives up.
#pragma once

#include <functional>

#include "core/error.hpp"

namespace reyearn {

using ShouldStop = std::function<bool()>;

// Throws Error(kCancelled) when the work is to give up.
inline void stop_if_asked(const ShouldStop& should_stop) {
  if (should_stop && should_stop()) throw Error(ErrorCode::kCancelled, "cancelled");
}

}  // namespace reyearn
