// PredictsAnew: while one is alive, an UPDATE of an attached table that changes neither text nor label has the labels
// predicted anew that are not people's, and what that writes is not learned from. For the attachment's own writes: statements
// of the application's triggers within such an UPDATE are treated as ever.
#pragma once

#include <cstdint>

#include "pg/postgres.hpp"

namespace reyearn::pg {

class PredictsAnew {
 public:
  explicit PredictsAnew(std::int64_t attachment_id) : before_(now()) { now() = {attachment_id, trigger_depth() + 1}; }
  ~PredictsAnew() { now() = before_; }
  PredictsAnew(const PredictsAnew&) = delete;

  // Asked by a trigger.
  static bool is_at(std::int64_t attachment_id) {
    return now().attachment_id == attachment_id && now().trigger_depth == trigger_depth();
  }

 private:
  struct Place {
    std::int64_t attachment_id = 0;  // attachments are numbered from 1
    int trigger_depth = 0;  // how many triggers are being executed, each called by a statement of the one before
  };

  static Place& now() {
    static Place place;
    return place;
  }
  static int trigger_depth() { return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, Datum{0})); }

  Place before_;
};

}  // namespace reyearn::pg
