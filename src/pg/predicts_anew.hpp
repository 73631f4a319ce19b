// PredictsAnew: while one is alive, an UPDATE of an attached table that changes neither text nor label has the labels
// predicted anew that are not people's, and what that writes is not learned from. For the attachment's own writes.
//
// Statements of the application's triggers within such an UPDATE change something, and are treated as ever.
#pragma once

#include <cstdint>
#include <utility>

namespace reyearn::pg {

class PredictsAnew {
 public:
  explicit PredictsAnew(std::int64_t attachment_id) : before_(std::exchange(attachment(), attachment_id)) {}
  ~PredictsAnew() { attachment() = before_; }
  PredictsAnew(const PredictsAnew&) = delete;

  static bool is_at(std::int64_t attachment_id) { return attachment() == attachment_id; }

 private:
  static std::int64_t& attachment() {
    static std::int64_t now = 0;  // attachments are numbered from 1
    return now;
  }

  std::int64_t before_;
};

}  // namespace reyearn::pg
