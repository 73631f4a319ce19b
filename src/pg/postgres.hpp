// The one place that includes PostgreSQL's headers, so that their C linkage and their macros are dealt with once.
// It comes last in every file that includes it. Differences between PostgreSQL 15 and 18 are settled here too.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/extension.h"
#include "commands/tablespace.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/logicalworker.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "extension/ltree/ltree.h"
}

#if PG_VERSION_NUM < 150000
#error "reyearn needs PostgreSQL 15 or later"
#endif

// PostgreSQL's printf macros would change calls in C++ headers and sources alike.
#undef printf
#undef snprintf
#undef vsnprintf
#undef sprintf
#undef fprintf
#undef vprintf
#undef vfprintf
#undef strerror

namespace reyearn::pg {

// The local transaction id of this backend: changes with every transaction.
inline LocalTransactionId local_transaction_id() {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

// Number of this backend among all that the server may have at a time: from 0, below MaxBackends.
inline int backend_number() {
#if PG_VERSION_NUM >= 170000
  return MyProcNumber;
#else
  return MyBackendId - 1;
#endif
}

// Makes a backend that waits for its client run an empty transaction; one at work does so once it waits.
inline void rouse_backend(pid_t pid, int number) {
#if PG_VERSION_NUM >= 170000
  SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, number);
#else
  SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, number + 1);
#endif
}

// Whether this backend holds a heavyweight lock.
inline bool holds_lock(const LOCKTAG& tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(&tag, mode, false);
#else
  return LockHeldByMe(&tag, mode);
#endif
}

// The file that a table is in: another one after it was rewritten.
inline Oid file_of(Relation relation) {
#if PG_VERSION_NUM >= 160000
  return relation->rd_locator.relNumber;
#else
  return relation->rd_node.relNode;
#endif
}

// Pins a block if it still lies in the buffer where it was seen before.
inline bool pin_recent_buffer(Relation relation, BlockNumber block, Buffer seen) {
#if PG_VERSION_NUM >= 160000
  return ReadRecentBuffer(relation->rd_locator, MAIN_FORKNUM, block, seen);
#else
  return ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, seen);
#endif
}

}  // namespace reyearn::pg
