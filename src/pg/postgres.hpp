// The one place that includes PostgreSQL's headers, so that their C linkage and their macros are dealt with once.
// It comes last in every file that includes it. Differences between PostgreSQL 15 and 18 are settled here too.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/tablespace.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"
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

}  // namespace reyearn::pg
