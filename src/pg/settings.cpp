#include "pg/settings.hpp"

#include <algorithm>
#include <thread>

#include "pg/login.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr int kMaxThreads = 64;
constexpr int kMaxWorkers = 64;

Settings current;

}  // namespace

const Settings& settings() { return current; }

void define_settings() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  DefineCustomStringVariable("reyearn.default_model", "Model that is used when a call names none.", nullptr,
                             &current.default_model, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("reyearn.tenant", "Tenant to act for, among those that the role may use.",
                             "Needed only by roles that may use several.", &current.tenant, "", PGC_USERSET, 0, nullptr,
                             nullptr, nullptr);
  DefineCustomIntVariable("reyearn.training_threads", "Threads that one training uses.",
                          "More than the number of cores gain nothing.", &current.training_threads, std::min(cores, 4),
                          1, kMaxThreads, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("reyearn.shared_memory_limit", "Shared memory that model images may take, in all databases.",
                          "What does not fit is read into the memory of each session that uses it.",
                          &current.shared_memory_limit_mb, 1024, 1, MAX_KILOBYTES / 1024, PGC_SIGHUP, GUC_UNIT_MB,
                          nullptr, nullptr, nullptr);
  DefineCustomIntVariable("reyearn.max_workers", "Trainings in the background at a time, in all databases.",
                          "0: models are trained on request only. max_worker_processes has to allow for them.",
                          &current.max_workers, 2, 0, kMaxWorkers, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("reyearn.probe_interval", "How often databases are searched for trainings that are due.",
                          "Nothing depends on it but what a crash or COMMIT PREPARED leaves without a notice.",
                          &current.probe_interval_s, 60, 1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                          nullptr);
  DefineCustomBoolVariable("reyearn.notify", "Sends NOTIFY reyearn_annotation with changes of annotations.",
                           "Commits that notify take turns: off makes many small ones faster.", &current.notify, true,
                           PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define_login_setting();
  MarkGUCPrefixReserved("reyearn");
}

}  // namespace reyearn::pg
