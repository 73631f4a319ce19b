#include "pg/attachments.hpp"

#include <iterator>
#include <list>

#include "core/error.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/index_scan.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Column numbers, as in sql/install/73_attachments.sql.
enum {
  kTablesTenantId = 1,
  kTablesId,
  kTablesRelation,
  kTablesModelTenantId = 6,
  kTablesModelId,
  kTablesOwner,
  kTablesTimes
};
enum {
  kRowsTenantId = 1,
  kRowsId,
  kRowsKey,
  kRowsLabel,
  kRowsClassId,
  kRowsVersionId,
  kRowsProbability,
  kRowsTextHash,
  kRowsColumns = kRowsTextHash
};

enum {
  kLearnedTenantId = 1,
  kLearnedId,
  kLearnedKey,
  kLearnedTextHash,
  kLearnedTimes,
  kLearnedColumns = kLearnedTimes
};
enum { kWaitingTenantId = 1, kWaitingId, kWaitingIsRefused, kWaitingKey, kWaitingColumns = kWaitingKey };

constexpr std::size_t kMostKnown = 64;

// What this backend has looked up, the last first.
std::list<std::shared_ptr<const Attachment>>& known() {
  static auto* const all = new std::list<std::shared_ptr<const Attachment>>;
  return *all;
}

// Plain data: what pg_call can give back.
struct Found {
  bool exists = false;
  int tenant_id;
  Oid relation;
  int model_tenant_id;
  std::int64_t model_id;
  Oid owner;
  int times_attached;
  RowState state;
  const char* model = nullptr;
};

Found find_row(std::int64_t attachment_id, Snapshot snapshot) {
  ScanKeyData key = int8_key(kTablesId, attachment_id);
  IndexScan s = begin_scan("attached_tables", "attached_tables_pkey", &key, 1, snapshot);
  Found found;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) {
    found.exists = true;
    found.tenant_id = DatumGetInt32(column(s, row, kTablesTenantId));
    found.relation = DatumGetObjectId(column(s, row, kTablesRelation));
    found.model_tenant_id = DatumGetInt32(column(s, row, kTablesModelTenantId));
    found.model_id = DatumGetInt64(column(s, row, kTablesModelId));
    found.owner = DatumGetObjectId(column(s, row, kTablesOwner));
    found.times_attached = DatumGetInt32(column(s, row, kTablesTimes));
    found.state = state_of(s, row);
  }
  end_scan(s);
  if (found.exists) {
    ModelRow model{found.model_tenant_id, found.model_id, {}};
    const bool may_use = found.model_tenant_id == found.tenant_id || find_share(model, found.tenant_id, snapshot);
    found.model = may_use ? model_name(model, snapshot) : nullptr;
  }
  return found;
}

bool is_or_lies_in(Oid relation, Oid table) {
  return relation == table ||
         (get_rel_relispartition(relation) && list_member_oid(get_partition_ancestors(relation), table));
}

}  // namespace

std::shared_ptr<const Attachment> known_attachment(std::int64_t attachment_id, Oid relation, Snapshot snapshot) {
  for (const std::shared_ptr<const Attachment>& one : known()) {
    if (one->attachment_id != attachment_id) continue;
    const bool holds = pg_call([&] { return is_or_lies_in(relation, one->relation) && shows(snapshot, one->state); });
    return holds ? one : nullptr;
  }
  return nullptr;
}

std::shared_ptr<const Attachment> find_attachment(std::int64_t attachment_id, Oid relation, Snapshot snapshot) {
  known().remove_if([&](const auto& one) { return one->attachment_id == attachment_id; });
  const Found found = pg_call([&] { return find_row(attachment_id, snapshot); });
  if (found.exists && !pg_call([&] { return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(found.owner)); })) {
    throw Error(ErrorCode::kUnknownName, "the role that attached the table was dropped", "",
                "Detach the table and attach it again.");
  }
  // The trigger of another table must not lend it what the owner of this attachment may do.
  if (!found.exists || !pg_call([&] { return is_or_lies_in(relation, found.relation); })) {
    throw Error(ErrorCode::kUnknownName, "attachment " + std::to_string(attachment_id) + " of the table does not exist",
                "", "Drop its triggers, and attach the table again with reyearn_attach().");
  }
  auto attachment = std::make_shared<const Attachment>(
      Attachment{found.tenant_id, attachment_id, found.relation, found.model_tenant_id, found.model_id, found.owner,
                 found.times_attached, found.state, found.model != nullptr ? found.model : ""});
  known().push_front(attachment);
  if (known().size() > kMostKnown) known().pop_back();
  return attachment;
}

bool is_anything_attached() {
  IndexScan s = begin_scan("attached_tables", "attached_tables_pkey", nullptr, 0, GetActiveSnapshot());
  const bool is_any = HeapTupleIsValid(next_row(s));
  end_scan(s);
  return is_any;
}

namespace {

// Longer ones do not fit into an index, or make it slow.
constexpr std::size_t kLongestKey = 2000;

ScanKeyData array_key(AttrNumber attribute, Datum key) {
  ScanKeyData scan_key;
  ScanKeyInit(&scan_key, attribute, BTEqualStrategyNumber, F_ARRAY_EQ, key);
  return scan_key;
}

IndexScan begin_rows(const Attachment& attachment, Datum key, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kRowsTenantId, attachment.tenant_id), int8_key(kRowsId, attachment.attachment_id),
                        array_key(kRowsKey, key)};
  return begin_scan("attached_rows", "attached_rows_pkey", keys, std::size(keys), snapshot);
}

IndexScan begin_waiting(const Attachment& attachment, Datum key) {
  ScanKeyData refused;
  ScanKeyInit(&refused, kWaitingIsRefused, BTEqualStrategyNumber, F_BOOLEQ, BoolGetDatum(false));
  ScanKeyData keys[] = {int4_key(kWaitingTenantId, attachment.tenant_id),
                        int8_key(kWaitingId, attachment.attachment_id), refused, array_key(kWaitingKey, key)};
  return begin_scan("waiting_rows", "waiting_rows_pkey", keys, std::size(keys), nullptr);
}

// The place of the one row that the scan finds; ends it.
std::optional<ItemPointerData> place_of(IndexScan& s) {
  const HeapTuple row = next_row(s);
  const auto place = HeapTupleIsValid(row) ? std::optional(row->t_self) : std::nullopt;
  end_scan(s);
  return place;
}

// Adds a row unless there is one with its primary key, or another transaction is about to add or to delete one: looking for
// that first would cost as much again. The columns of the primary key are the first of the table, as index_insert takes them.
bool add_row(const char* name, const char* primary_key, Datum* values, bool* nulls) {
  const Relation table = table_open(relation_oid(name), RowExclusiveLock);
  const HeapTuple row = heap_form_tuple(RelationGetDescr(table), values, nulls);
  simple_heap_insert(table, row);
  const Relation index = index_open(relation_oid(primary_key), RowExclusiveLock);
  IndexInfo* const info = BuildIndexInfo(index);
  const bool is_added = index_insert(index, values, nulls, &row->t_self, table, UNIQUE_CHECK_PARTIAL, false, info);
  index_close(index, RowExclusiveLock);
  if (!is_added) {
    CommandCounterIncrement();  // a command does not see what it has written itself
    simple_heap_delete(table, &row->t_self);
    CommandCounterIncrement();
  }
  heap_freetuple(row);
  table_close(table, RowExclusiveLock);
  return is_added;
}

void replace_row(const Attachment& attachment, Datum* values, bool* nulls) {
  IndexScan s = begin_rows(attachment, values[kRowsKey - 1], nullptr);
  std::optional<ItemPointerData> place = place_of(s);
  const Relation table = table_open(relation_oid("attached_rows"), RowExclusiveLock);
  const HeapTuple row = heap_form_tuple(RelationGetDescr(table), values, nulls);
  if (place) {
    CatalogTupleUpdate(table, &*place, row);
  } else {
    CatalogTupleInsert(table, row);
  }
  heap_freetuple(row);
  table_close(table, RowExclusiveLock);
}

void delete_row(const char* name, std::optional<ItemPointerData> place) {
  if (!place) return;
  const Relation table = table_open(relation_oid(name), RowExclusiveLock);
  CatalogTupleDelete(table, &*place);
  table_close(table, RowExclusiveLock);
}

}  // namespace

bool fits(Datum key) { return VARSIZE(DatumGetPointer(key)) <= kLongestKey; }

std::optional<WrittenLabel> find_written_label(const Attachment& attachment, Datum key, Snapshot snapshot) {
  IndexScan s = begin_rows(attachment, key, snapshot);
  std::optional<WrittenLabel> written;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) {
    written = WrittenLabel{PointerGetDatum(PG_DETOAST_DATUM_COPY(column(s, row, kRowsLabel))),
                           {DatumGetInt64(column(s, row, kRowsClassId)), DatumGetInt64(column(s, row, kRowsVersionId)),
                            DatumGetFloat4(column(s, row, kRowsProbability))},
                           DatumGetInt64(column(s, row, kRowsTextHash))};
  }
  end_scan(s);
  return written;
}

bool is_now_called(const Attachment& attachment, const WrittenLabel& written, Datum label, Snapshot snapshot) {
  if (attachment.model_tenant_id != attachment.tenant_id) return false;
  const ClassRow now = find_class_row(attachment.model_tenant_id, written.predicted.class_id, snapshot);
  return now.exists && label_of(now.label) == text_view(label);
}

void keep_written_label(const Attachment& attachment, Datum key, const WrittenLabel& written, bool is_new) {
  if (!fits(key)) return;
  const PredictedClass& predicted = written.predicted;
  Datum values[kRowsColumns] = {Int32GetDatum(attachment.tenant_id),
                                Int64GetDatum(attachment.attachment_id),
                                key,
                                written.label,
                                Int64GetDatum(predicted.class_id),
                                Int64GetDatum(predicted.version_id),
                                Float4GetDatum(predicted.probability),
                                Int64GetDatum(written.text_hash)};
  bool nulls[kRowsColumns] = {};
  if (is_new && add_row("attached_rows", "attached_rows_pkey", values, nulls)) return;
  replace_row(attachment, values, nulls);
}

void forget_written_label(const Attachment& attachment, Datum key) {
  IndexScan s = begin_rows(attachment, key, nullptr);
  delete_row("attached_rows", place_of(s));
}

void note_learned(int tenant_id, std::int64_t attachment_id, int times_attached, Datum key, std::int64_t text_hash) {
  if (!fits(key)) return;
  Datum values[kLearnedColumns] = {Int32GetDatum(tenant_id), Int64GetDatum(attachment_id), key,
                                   Int64GetDatum(text_hash), Int32GetDatum(times_attached)};
  bool nulls[kLearnedColumns] = {};
  (void)add_row("learned_rows", "learned_rows_pkey", values, nulls);
}

bool is_learned(const Attachment& attachment, Datum key, std::int64_t text_hash) {
  ScanKeyData keys[] = {int4_key(kLearnedTenantId, attachment.tenant_id),
                        int8_key(kLearnedId, attachment.attachment_id), array_key(kLearnedKey, key),
                        int8_key(kLearnedTextHash, text_hash)};
  IndexScan s = begin_scan("learned_rows", "learned_rows_pkey", keys, std::size(keys), nullptr);
  return place_of(s).has_value();
}

bool is_learned_anew(const Attachment& attachment, Datum key, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kLearnedTenantId, attachment.tenant_id),
                        int8_key(kLearnedId, attachment.attachment_id), array_key(kLearnedKey, key)};
  IndexScan s = begin_scan("learned_rows", "learned_rows_pkey", keys, std::size(keys), snapshot);
  bool is_anew = false;
  for (HeapTuple row = next_row(s); HeapTupleIsValid(row) && !is_anew; row = next_row(s)) {
    is_anew = DatumGetInt32(column(s, row, kLearnedTimes)) == attachment.times_attached;
  }
  end_scan(s);
  return is_anew;
}

bool add_waiting(int tenant_id, std::int64_t attachment_id, Datum key) {
  if (!fits(key)) return false;
  Datum values[kWaitingColumns] = {Int32GetDatum(tenant_id), Int64GetDatum(attachment_id), BoolGetDatum(false), key};
  bool nulls[kWaitingColumns] = {};
  return add_row("waiting_rows", "waiting_rows_pkey", values, nulls);
}

bool is_waiting(const Attachment& attachment, Datum key) {
  IndexScan s = begin_waiting(attachment, key);
  return place_of(s).has_value();
}

void stop_waiting(const Attachment& attachment, Datum key) {
  IndexScan s = begin_waiting(attachment, key);
  delete_row("waiting_rows", place_of(s));
}

std::int64_t text_hash(Datum text) {
  const std::string_view bytes = text_view(text);
  return static_cast<std::int64_t>(
      hash_bytes_extended(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), 0));
}

}  // namespace reyearn::pg
