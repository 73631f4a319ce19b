#include "pg/settings.hpp"

#include <algorithm>
#include <thread>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr int kMaxThreads = 64;

Settings current;

}  // namespace

const Settings& settings() { return current; }

void define_settings() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  DefineCustomStringVariable("reyearn.default_model", "Model that is used when a call names none.", nullptr,
                             &current.default_model, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("reyearn.training_threads", "Threads that one training uses.",
                          "More than the number of cores gain nothing.", &current.training_threads, std::min(cores, 4),
                          1, kMaxThreads, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("reyearn.shared_memory_limit", "Shared memory that model images may take, in all databases.",
                          "What does not fit is read into the memory of each session that uses it.",
                          &current.shared_memory_limit_mb, 1024, 1, MAX_KILOBYTES / 1024, PGC_SIGHUP, GUC_UNIT_MB,
                          nullptr, nullptr, nullptr);
  MarkGUCPrefixReserved("reyearn");
}

}  // namespace reyearn::pg
