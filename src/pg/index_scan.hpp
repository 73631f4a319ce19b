// IndexScan: the rows of a table of schema reyearn that one of its indexes finds, without SPI.
//
// All functions may raise PostgreSQL errors: call them with no C++ object alive, or in pg_call. A scan is plain data
// without a destructor: an error ends the (sub)transaction, which releases what is open.
#pragma once

#include <cstdint>
#include <string_view>

#include "pg/catalog.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// The column of the number of a row, in all tables of which states are kept.
inline constexpr AttrNumber kRowId = 2;

ScanKeyData int4_key(AttrNumber attribute, int value);
ScanKeyData int8_key(AttrNumber attribute, std::int64_t value);
// Of a text column with collation "C", which is what ScanKeyInit assumes.
ScanKeyData text_key(AttrNumber attribute, std::string_view value);

struct IndexScan {
  Relation table;
  Relation index;
  SysScanDesc scan;
};

// In the order of the index. Without a snapshot: what is committed now, and what this transaction has done.
IndexScan begin_scan(const char* table, const char* index, ScanKeyData* keys, int key_count, Snapshot snapshot);
HeapTuple next_row(IndexScan& s);
void end_scan(IndexScan& s);

Datum column(const IndexScan& s, HeapTuple row, AttrNumber number, bool* is_null = nullptr);
RowState state_of(const IndexScan& s, HeapTuple row);

}  // namespace reyearn::pg
