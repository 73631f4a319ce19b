#include "pg/stored_image.hpp"

#include "core/error.hpp"
#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

std::vector<std::byte> load_image(const VersionRow& version, const char* kind, Snapshot snapshot) {
  std::vector<std::byte> bytes(pg_call([&] { return image_size(version, kind, snapshot); }));
  if (!pg_call([&] { return read_image(version, kind, bytes, snapshot); })) {
    throw Error(ErrorCode::kInternal, "model image changed while it was read");
  }
  return bytes;
}

}  // namespace reyearn::pg
