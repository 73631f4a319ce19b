// The reyearn.* settings.
#pragma once

namespace reyearn::pg {

struct Settings {
  char* default_model = nullptr;  // empty: none
  int training_threads = 0;
  int shared_memory_limit_mb = 0;  // of model images in shared memory, of all databases together
};

const Settings& settings();

// Once, from _PG_init.
void define_settings();

}  // namespace reyearn::pg
