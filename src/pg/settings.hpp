// The reyearn.* settings.
#pragma once

namespace reyearn::pg {

struct Settings {
  char* default_model = nullptr;  // empty: none
  int training_threads = 0;
};

const Settings& settings();

// Once, from _PG_init.
void define_settings();

}  // namespace reyearn::pg
