#include "pg/index_scan.hpp"

#include "pg/datum.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

ScanKeyData int4_key(AttrNumber attribute, int value) {
  ScanKeyData key;
  ScanKeyInit(&key, attribute, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
  return key;
}

ScanKeyData int8_key(AttrNumber attribute, std::int64_t value) {
  ScanKeyData key;
  ScanKeyInit(&key, attribute, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
  return key;
}

ScanKeyData text_key(AttrNumber attribute, std::string_view value) {
  ScanKeyData key;
  ScanKeyInit(&key, attribute, BTEqualStrategyNumber, F_TEXTEQ, text_datum(value));
  return key;
}

IndexScan begin_scan(const char* table, const char* index, ScanKeyData* keys, int key_count, Snapshot snapshot) {
  IndexScan s;
  s.table = table_open(relation_oid(table), AccessShareLock);
  s.index = index_open(relation_oid(index), AccessShareLock);
  s.scan = systable_beginscan_ordered(s.table, s.index, snapshot, key_count, keys);  // NULL: the catalog snapshot
  return s;
}

HeapTuple next_row(IndexScan& s) { return systable_getnext_ordered(s.scan, ForwardScanDirection); }

void end_scan(IndexScan& s) {
  systable_endscan_ordered(s.scan);
  index_close(s.index, AccessShareLock);
  table_close(s.table, AccessShareLock);
}

Datum column(const IndexScan& s, HeapTuple row, AttrNumber number, bool* is_null) {
  bool ignored;
  return heap_getattr(row, number, RelationGetDescr(s.table), is_null != nullptr ? is_null : &ignored);
}

RowState state_of(const IndexScan& s, HeapTuple row) {
  if (!TTS_IS_BUFFERTUPLE(s.scan->slot)) return {};  // no table of PostgreSQL's own kind
  return {.table = RelationGetRelid(s.table),
          .file = file_of(s.table),
          .place = row->t_self,
          .written_by = HeapTupleHeaderGetRawXmin(row->t_data),
          .id = DatumGetInt64(column(s, row, kRowId)),
          .buffer = reinterpret_cast<const BufferHeapTupleTableSlot*>(s.scan->slot)->buffer};
}

}  // namespace reyearn::pg
