// The bytes of an image as its version's rows in reyearn.model_images have them, in memory of this backend.
#pragma once

#include <cstddef>
#include <vector>

#include "pg/catalog.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Empty when the version has no image of that kind. The bytes may be damaged. Throws PgError, Error(kInternal).
std::vector<std::byte> load_image(const VersionRow& version, const char* kind, Snapshot snapshot);

}  // namespace reyearn::pg
