// Announcements: what a transaction tells others about models when it commits.
//
//   channel             payload      when
//   reyearn_annotation  a model's id  annotations that it learns from have changed
//   reyearn_model       a model's id  a version has gone live, or a run has ended
//
// Collected while the transaction runs, without what a savepoint took back, and sent before it commits: a NOTIFY in a
// trigger would make PREPARE TRANSACTION fail. Ids only, never a name or a text: anybody may LISTEN. After the commit
// the launcher is woken. A prepared transaction announces nothing: the launcher finds what it leaves.
#pragma once

#include <cstdint>

#include "pg/postgres.hpp"

namespace reyearn::pg {

enum class Announcement : std::uint8_t {
  kAnnotation,  // to the channel, and there is work for a worker
  kModel,       // to the channel
  kWork,        // there is work, such as a training that was asked for
};

// May raise PostgreSQL errors, when memory runs out.
void announce(Announcement what, std::int64_t model_id);

// Before the commit: NOTIFY. Throws PgError.
void send_announcements();
// Before the commit, and before a transaction is prepared: finds the table of workers, when that may still fail.
void find_background();
// After the commit, and raising no errors: wakes whoever does the work.
void wake_for_announcements();
// After a transaction was prepared: COMMIT PREPARED, perhaps by another session, wakes nobody.
void leave_announcements_to_probe();
// At the end of every transaction, and of a savepoint.
void forget_announcements();
void keep_announcements(SubTransactionId of, SubTransactionId parent);
void drop_announcements(SubTransactionId of);

}  // namespace reyearn::pg
