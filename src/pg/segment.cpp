#include "pg/segment.hpp"

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// The current owner of resources, for as long as this lives.
class CurrentOwner {
 public:
  explicit CurrentOwner(ResourceOwner owner) : before_(std::exchange(CurrentResourceOwner, owner)) {}
  ~CurrentOwner() { CurrentResourceOwner = before_; }
  CurrentOwner(const CurrentOwner&) = delete;

 private:
  ResourceOwner before_;
};

// What a failed call leaves behind belongs to a resource owner of its own, which goes with it. `nothing` is what it
// means when the call succeeds without a segment.
template <typename Call>
dsm_segment* get_segment(Call call, const char* nothing, char* why, std::size_t size) {
  const ResourceOwner own = pg_call([] { return ResourceOwnerCreate(CurrentResourceOwner, "reyearn segment"); });
  struct Work {
    Call call;
    dsm_segment* segment;
  } work{call, nullptr};
  why[0] = '\0';
  bool is_done;
  {
    const CurrentOwner current(own);
    is_done = pg_attempt(
        [](void* argument) {
          Work& of = *static_cast<Work*>(argument);
          of.segment = of.call();
          if (of.segment != nullptr) dsm_pin_mapping(of.segment);  // it is the Segment that unmaps it
        },
        &work, why, size);
  }
  for (const auto phase : {RESOURCE_RELEASE_BEFORE_LOCKS, RESOURCE_RELEASE_LOCKS, RESOURCE_RELEASE_AFTER_LOCKS}) {
    ResourceOwnerRelease(own, phase, false, false);
  }
  ResourceOwnerDelete(own);
  if (is_done && work.segment == nullptr) strlcpy(why, nothing, size);
  return is_done ? work.segment : nullptr;
}

}  // namespace

Segment Segment::create(std::size_t bytes, char* why, std::size_t size) {
  return Segment(get_segment([=] { return dsm_create(bytes, DSM_CREATE_NULL_IF_MAXSEGMENTS); },
                             "too many dynamic shared memory segments", why, size));
}

Segment Segment::attach(dsm_handle handle, char* why, std::size_t size) {
  return Segment(get_segment([=] { return dsm_attach(handle); }, "the segment is gone", why, size));
}

}  // namespace reyearn::pg
