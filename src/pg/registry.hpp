// Registry: which model images lie in shared memory, who holds them, and how often they are used. One table in the
// server's main shared memory, for all databases; the images themselves are dynamic shared memory segments.
//
//   absent ──request──► loading ──publish──► live ──retire──► retired ──last release──► absent
//                          └────abandon────► absent     ◄──revive──┘
//
// A live entry keeps its segment without anyone using it, a retired one as long as a backend holds it. An absent entry
// has no segment, only its counters, and its place is free for another version.
//
// One lightweight lock guards everything but the atomics; it is held for a scan of the table at the longest, and the
// only lock taken under it is PostgreSQL's own for segments. Functions raise errors only where that is said. What a
// backend holds or loads it gives back when it exits, and from then on it has no registry; a process that is killed
// takes all shared memory with it, as ever.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pg/shared_area.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// What makes two images the same. Numbers of versions restart when the extension is created again, which gives its
// tables new oids.
struct ImageIdentity {
  Oid database;
  Oid images;  // oid of reyearn.model_images
  std::int64_t version_id;
  std::uint64_t checksum;
  std::int32_t tenant_id;

  bool operator==(const ImageIdentity&) const = default;
};

// A model of this database.
struct ModelIdentity {
  Oid images;
  std::int32_t tenant_id;
  std::int64_t model_id;

  bool operator==(const ModelIdentity&) const = default;
};

enum class ImageState : std::uint8_t { kFree, kAbsent, kLoading, kLive, kRetired };

// Why a session has to read an image into memory of its own.
enum class WhyPrivate : std::uint8_t {
  kNone,
  kNoRegistry,    // the main segment had no room for the table
  kRegistryFull,  // every place has a segment
  kOverLimit,     // reyearn.shared_memory_limit
  kNoSegment,     // the operating system or PostgreSQL gave none
  kSlowLoader,    // another session is loading it and gets nowhere
  kHeldTooMany,   // this session uses as many as it can hold at a time
};

// What sessions add up in an entry.
struct Usage {
  std::uint64_t calls = 0;
  std::uint64_t timed_calls = 0;  // calls whose time was taken
  std::uint64_t nanoseconds = 0;  // of those
  std::uint64_t loads = 0;        // times the image was read from its table, into shared memory or a session's own
  std::uint64_t attaches = 0;     // times a session found it in shared memory
};

// An entry as it was at one moment.
struct EntryFacts {
  ImageIdentity identity;
  ImageState state;
  std::uint64_t bytes;
  int holders;
  Usage usage;
};

// The table as it was at one moment.
struct RegistryFacts {
  int capacity = 0;  // 0: there is none
  int live = 0;
  std::uint64_t live_bytes = 0;
  int retired = 0;
  std::uint64_t retired_bytes = 0;
  int backends_with_retired = 0;
  int backends_with_private = 0;
  std::uint64_t private_bytes = 0;
  std::uint64_t fallbacks = 0;  // since the server's start
  WhyPrivate last_fallback = WhyPrivate::kNone;
  TimestampTz last_fallback_time = 0;
};

class Registry {
 public:
  // The most entries a backend holds at a time.
  static constexpr int kMostHeld = 12;

  // From _PG_init: reserves room for a large table when the library is preloaded.
  static void reserve();

  struct Answer {
    enum What { kHeld, kClaimed, kBusy, kRefused } what;
    int entry = -1;
    dsm_handle segment = DSM_HANDLE_INVALID;  // kHeld
    WhyPrivate why = WhyPrivate::kNone;       // kRefused
  };

  // Asks for an image.
  //   kHeld     it is in shared memory and held: attach its segment, release() it later
  //   kClaimed  it is not, and this backend is to load it: publish() or abandon()
  //   kBusy     another backend is loading it: wait_for_loader(), then ask again
  //   kRefused  it has to be private
  // A backend holds an entry once, and claims one at a time. May raise PostgreSQL errors at its first call.
  Answer request(const ImageIdentity& identity, std::int64_t model_id, std::uint64_t bytes);

  // Waits for the end of a loading, good or bad. False when the loader has made no progress for ten seconds: it may
  // even wait for a lock that this session has. May raise PostgreSQL errors.
  bool wait_for_loader(int entry, const ImageIdentity& identity);

  // By the loader.
  void report_progress(std::uint64_t bytes_read);
  void publish(dsm_segment* segment, bool is_live);  // held from then on
  void abandon();

  // A version that became live while it was held as a retired one.
  void revive(int entry);
  void release(int entry);
  bool is_retired(int entry) const;

  // Retires what is live of a model but for one version; of a table of images; of a database. Backends that hold them
  // and wait for their clients are roused, so that they let go.
  void retire_model(const ModelIdentity& model, std::int64_t except_version_id);
  void retire_images(Oid images);
  // Retires what belonged to databases and extensions that were dropped meanwhile. `images` is the table of now.
  // Looks into catalogs: may raise PostgreSQL errors.
  void retire_orphans(Oid images);
  // Whether anything of a model is or was in shared memory since this server's start.
  bool knows_model(const ModelIdentity& model) const;

  // Adds to an entry that is held; to that of an image, if it still has one.
  void add_usage(int entry, const Usage& usage);
  void add_usage(const ImageIdentity& identity, const Usage& usage);
  void count_fallback(WhyPrivate why);
  void set_private_bytes(std::uint64_t bytes);  // may raise PostgreSQL errors at its first call

  RegistryFacts facts() const;
  // The entries of this database's images: writes at most `most`, returns how many.
  int list(Oid images, EntryFacts* into, int most) const;
  static constexpr int kMostEntries = 1024;

 private:
  struct Entry;
  struct Backend;
  struct Shared;

  friend Registry& registry();
  static SharedArea& area();
  static void initialize(Shared& shared, int capacity);
  void enter();
  void leave();

  // Under the lock.
  Backend& own_row();
  Entry* find(const ImageIdentity& identity) const;
  template <typename Condition>
  Entry* least_recently_used(Condition condition) const;
  bool can_make_room(std::uint64_t bytes) const;
  void make_room(std::uint64_t bytes);
  Entry* place_for(const ImageIdentity& identity, std::int64_t model_id);
  void hold(Entry& entry);
  void unhold(Entry& entry);
  void drop(Entry& entry);
  void retire(Entry& entry);
  template <typename Condition>
  void retire_if(Condition condition);

  Shared* shared_ = nullptr;  // none: nothing is shared
  bool is_entered_ = false;   // whether this backend's row is its own
  int claimed_ = -1;          // entry that this backend is loading
};

// The table as this process sees it. It is found at the first call, or made in what is left of the main segment;
// without room for it nothing is ever shared, and request() answers kRefused. May raise PostgreSQL errors at its first
// call.
Registry& registry();

}  // namespace reyearn::pg
