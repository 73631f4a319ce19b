// The launcher: one process a server that starts workers where trainings are due; see background.hpp. It exists when
// the library is preloaded, and on a standby from its promotion on.
#pragma once

namespace reyearn::pg {

// From _PG_init.
void register_launcher();

}  // namespace reyearn::pg
