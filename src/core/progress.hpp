// ReportProgress: what long work calls, on the thread that started it, to say how far it is. Nothing: nobody asks.
#pragma once

#include <cstdint>
#include <functional>

namespace reyearn {

// Of a training, in this order.
enum class Phase { kReading, kComparing, kLearning };

// `done` of `total` texts of a phase; both 0 where a phase cannot say.
using ReportProgress = std::function<void(Phase phase, std::uint64_t done, std::uint64_t total)>;

}  // namespace reyearn
