// The reyearn.* settings.
#pragma once

namespace reyearn::pg {

struct Settings {
  char* default_model = nullptr;  // empty: none
  char* tenant = nullptr;         // that was chosen; empty: none
  int training_threads = 0;
  int max_workers = 0;             // trainings in the background at a time; 0: none
  int probe_interval_s = 0;        // between two searches for trainings that nobody has announced
  bool notify = true;              // whether annotations come with a NOTIFY
  int shared_memory_limit_mb = 0;  // of model images in shared memory, of all databases together
};

const Settings& settings();

// Once, from _PG_init.
void define_settings();

}  // namespace reyearn::pg
