// Segment: a dynamic shared memory segment as this process has it mapped, until the Segment goes. Failing to get one
// is no error: memory runs out in ordinary operation.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "pg/postgres.hpp"

namespace reyearn::pg {

class Segment {
 public:
  Segment() = default;
  ~Segment() { reset(); }
  Segment(Segment&& other) noexcept : segment_(std::exchange(other.segment_, nullptr)) {}
  Segment& operator=(Segment&& other) noexcept {
    reset();
    segment_ = std::exchange(other.segment_, nullptr);
    return *this;
  }

  // Both give an empty one on failure, and say why in `why`.
  template <std::size_t kSize>
  static Segment create(std::size_t bytes, char (&why)[kSize]) {
    return create(bytes, why, kSize);
  }
  template <std::size_t kSize>
  static Segment attach(dsm_handle handle, char (&why)[kSize]) {
    return attach(handle, why, kSize);
  }

  explicit operator bool() const { return segment_ != nullptr; }
  dsm_segment* get() const { return segment_; }
  // At least as many bytes as were asked for.
  std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(dsm_segment_address(segment_)), dsm_segment_map_length(segment_)};
  }

 private:
  explicit Segment(dsm_segment* segment) : segment_(segment) {}
  static Segment create(std::size_t bytes, char* why, std::size_t size);
  static Segment attach(dsm_handle handle, char* why, std::size_t size);
  void reset() noexcept {
    if (segment_ != nullptr) dsm_detach(segment_);  // which at worst warns
    segment_ = nullptr;
  }

  dsm_segment* segment_ = nullptr;
};

}  // namespace reyearn::pg
