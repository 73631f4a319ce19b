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
enum { kTablesTenantId = 1, kTablesId, kTablesRelation, kTablesModelTenantId = 5, kTablesModelId, kTablesOwner, kTablesTimes };
enum {
  kRowsTenantId = 1,
  kRowsId,
  kRowsKey,
  kRowsLabel,
  kRowsClassId,
  kRowsVersionId,
  kRowsProbability,
  kRowsLearnedIn,
  kRowsColumns = kRowsLearnedIn
};

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

IndexScan begin_rows(const Attachment& attachment, Datum key) {
  ScanKeyData keys[3] = {
      int4_key(kRowsTenantId, attachment.tenant_id), int8_key(kRowsId, attachment.attachment_id), {}};
  ScanKeyInit(&keys[2], kRowsKey, BTEqualStrategyNumber, F_ARRAY_EQ, key);
  return begin_scan("attached_rows", "attached_rows_pkey", keys, 3, nullptr);
}

}  // namespace

std::optional<WrittenLabel> find_written_label(const Attachment& attachment, Datum key) {
  IndexScan s = begin_rows(attachment, key);
  std::optional<WrittenLabel> written;
  bool has_none = true;
  const HeapTuple row = next_row(s);
  if (HeapTupleIsValid(row)) (void)column(s, row, kRowsLabel, &has_none);
  if (!has_none) {
    written = WrittenLabel{PointerGetDatum(PG_DETOAST_DATUM_COPY(column(s, row, kRowsLabel))),
                           {DatumGetInt64(column(s, row, kRowsClassId)), DatumGetInt64(column(s, row, kRowsVersionId)),
                            DatumGetFloat4(column(s, row, kRowsProbability))}};
  }
  end_scan(s);
  return written;
}

namespace {

// Longer ones do not fit into an index, or make it slow: rows with such keys are not remembered.
constexpr std::size_t kLongestKey = 2000;

// Adds the row unless there is one of its key: looking for that first would cost as much again.
bool add_row(Relation table, HeapTuple row, Datum* values, bool* nulls) {
  simple_heap_insert(table, row);
  const Relation index = index_open(relation_oid("attached_rows_pkey"), RowExclusiveLock);
  IndexInfo* const info = BuildIndexInfo(index);
  const bool is_added = index_insert(index, values, nulls, &row->t_self, table, UNIQUE_CHECK_PARTIAL, false, info);
  index_close(index, RowExclusiveLock);
  if (!is_added) {
    CommandCounterIncrement();  // a command does not see what it has written itself
    simple_heap_delete(table, &row->t_self);
    CommandCounterIncrement();
  }
  return is_added;
}

// Replaces the row of a key, or adds one. What is not to be replaced stays.
void replace_row(Relation table, const Attachment& attachment, Datum* values, bool* nulls, const bool* replaced) {
  IndexScan s = begin_rows(attachment, values[kRowsKey - 1]);
  const HeapTuple old = next_row(s);
  const bool is_there = HeapTupleIsValid(old);
  HeapTuple row = nullptr;
  ItemPointerData place;
  if (is_there) {
    place = old->t_self;
    row = heap_modify_tuple(old, RelationGetDescr(table), values, nulls, const_cast<bool*>(replaced));
  }
  end_scan(s);
  if (is_there) {
    CatalogTupleUpdate(table, &place, row);
  } else {
    row = heap_form_tuple(RelationGetDescr(table), values, nulls);
    CatalogTupleInsert(table, row);
  }
  heap_freetuple(row);
}

bool fits(Datum key) { return VARSIZE(DatumGetPointer(key)) <= kLongestKey; }

}  // namespace

// Whoever writes a row of a key has the lock on the application's row of that key, so nobody else writes it meanwhile. The
// columns of the primary key are the first of the table, as index_insert takes them.
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
                                Datum{0}};
  bool nulls[kRowsColumns] = {false, false, false, false, false, false, false, true};
  constexpr bool kReplaced[kRowsColumns] = {false, false, false, true, true, true, true, false};
  const Relation table = table_open(relation_oid("attached_rows"), RowExclusiveLock);
  bool is_added = false;
  if (is_new) {
    const HeapTuple row = heap_form_tuple(RelationGetDescr(table), values, nulls);
    is_added = add_row(table, row, values, nulls);
    heap_freetuple(row);
  }
  if (!is_added) replace_row(table, attachment, values, nulls, kReplaced);
  table_close(table, RowExclusiveLock);
}

void note_learned(const Attachment& attachment, Datum key) {
  if (!fits(key)) return;
  Datum values[kRowsColumns] = {Int32GetDatum(attachment.tenant_id), Int64GetDatum(attachment.attachment_id), key};
  values[kRowsLearnedIn - 1] = Int32GetDatum(attachment.times_attached);
  bool nulls[kRowsColumns] = {false, false, false, true, true, true, true, false};
  constexpr bool kReplaced[kRowsColumns] = {false, false, false, false, false, false, false, true};
  const Relation table = table_open(relation_oid("attached_rows"), RowExclusiveLock);
  replace_row(table, attachment, values, nulls, kReplaced);
  table_close(table, RowExclusiveLock);
}

}  // namespace reyearn::pg
