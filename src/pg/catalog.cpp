#include "pg/catalog.hpp"

#include <cstring>

#include "pg/datum.hpp"
#include "pg/index_scan.hpp"
#include "pg/name_list.hpp"
#include "pg/settings.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Column numbers, as in sql/install/10_tables.sql; later versions only append columns.
enum { kModelsTenantId = 1, kModelsModelId, kModelsName };
enum {
  kVersionsTenantId = 1,
  kVersionsVersionId,
  kVersionsModelId,
  kVersionsVersion,
  kVersionsIsLive,
  kVersionsImageBytes = 13,
  kVersionsImageChecksum = 14,
  kVersionsTimePruned = 22,
};
enum { kImagesData = 5 };
enum { kClassesTenantId = 1, kClassesClassId, kClassesLabel };
enum { kSharesTenantId = 1, kSharesModelId, kSharesToTenantId, kSharesTimeCreated = 5 };
enum { kMergedIntoClassId = 3 };
enum { kObservationsId = 2 };

std::optional<ModelRow> find_model_named(int tenant_id, std::string_view name, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kModelsTenantId, tenant_id), text_key(kModelsName, name)};
  IndexScan s = begin_scan("models", "models_tenant_id_name_key", keys, 2, snapshot);
  std::optional<ModelRow> model;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) {
    model = ModelRow{tenant_id, DatumGetInt64(column(s, row, kModelsModelId)), state_of(s, row)};
  }
  end_scan(s);
  return model;
}

}  // namespace

bool find_share(ModelRow& model, int to_tenant_id, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kSharesTenantId, model.tenant_id), int8_key(kSharesModelId, model.model_id),
                        int4_key(kSharesToTenantId, to_tenant_id)};
  IndexScan s = begin_scan("model_shares", "model_shares_pkey", keys, 3, snapshot);
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) {
    model.is_shared = true;
    model.share = state_of(s, row);
  }
  end_scan(s);
  return model.is_shared;
}

namespace {

// A model named tenant/name.
std::optional<ModelRow> find_model_of(std::string_view tenant_name, std::string_view name, Snapshot snapshot) {
  const std::optional<int> mine = current_tenant_if_any();  // first: its errors must not tell what others have
  const Tenant* const tenant = find_tenant(c_string(tenant_name));
  if (tenant == nullptr) return std::nullopt;
  const int tenant_id = tenant->tenant_id;
  std::optional<ModelRow> model = find_model_named(tenant_id, name, snapshot);
  if (!model || may_use_tenant(tenant_id)) return model;
  if (!mine || !find_share(*model, *mine, snapshot)) return std::nullopt;
  return model;
}

// The only model of the tenant. One that another tenant shares is not chosen unless it is named: that would leave it to
// others what a prediction without a name does.
ModelRow only_model(int tenant_id, Snapshot snapshot) {
  ScanKeyData key = int4_key(kModelsTenantId, tenant_id);
  IndexScan s = begin_scan("models", "models_tenant_id_name_key", &key, 1, snapshot);
  ModelRow model{tenant_id, 0, {}};
  NameList names;
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    model.model_id = DatumGetInt64(column(s, row, kModelsModelId));
    model.state = state_of(s, row);
    names.add(text_view(column(s, row, kModelsName)));
  }
  end_scan(s);
  if (names.count() == 0) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no model"),
                    errhint("Create one with reyearn_create_model().")));
  }
  if (names.count() > 1) {
    ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER), errmsg("there are several models, and none was named"),
                    errdetail("The models are %s.", names.text()),
                    errhint("Name one of them, or set reyearn.default_model.")));
  }
  return model;
}

VersionRow version_row(const IndexScan& s, HeapTuple row) {
  VersionRow version;
  bool is_not_pruned;
  version.state = state_of(s, row);
  version.tenant_id = DatumGetInt32(column(s, row, kVersionsTenantId));
  version.version_id = DatumGetInt64(column(s, row, kVersionsVersionId));
  version.model_id = DatumGetInt64(column(s, row, kVersionsModelId));
  version.version = DatumGetInt32(column(s, row, kVersionsVersion));
  version.is_live = DatumGetBool(column(s, row, kVersionsIsLive));
  version.image_bytes = DatumGetInt64(column(s, row, kVersionsImageBytes));
  version.image_checksum = static_cast<std::uint64_t>(DatumGetInt64(column(s, row, kVersionsImageChecksum)));
  column(s, row, kVersionsTimePruned, &is_not_pruned);
  version.is_pruned = !is_not_pruned;
  return version;
}

// The first version that the scan finds.
std::optional<VersionRow> scan_version(const char* index, ScanKeyData* keys, int key_count, Snapshot snapshot,
                                       ScanDirection direction = ForwardScanDirection) {
  IndexScan s = begin_scan("model_versions", index, keys, key_count, snapshot);
  std::optional<VersionRow> version;
  if (const HeapTuple row = systable_getnext_ordered(s.scan, direction); HeapTupleIsValid(row)) {
    version = version_row(s, row);
  }
  end_scan(s);
  return version;
}

// The class that took the annotations of a merged one.
std::optional<std::int64_t> find_merged(int tenant_id, std::int64_t class_id, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(1, tenant_id), int8_key(2, class_id)};
  IndexScan s = begin_scan("merged_classes", "merged_classes_pkey", keys, 2, snapshot);
  std::optional<std::int64_t> into;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row))
    into = DatumGetInt64(column(s, row, kMergedIntoClassId));
  end_scan(s);
  return into;
}

// Calls visit(bytes) with each chunk of an image, in order, until it returns false.
template <typename Visit>
void visit_chunks(const VersionRow& version, const char* kind, Snapshot snapshot, Visit visit) {
  ScanKeyData keys[] = {int4_key(1, version.tenant_id), int8_key(2, version.version_id), text_key(3, kind)};
  IndexScan s = begin_scan("model_images", "model_images_pkey", keys, 3, snapshot);
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    const Datum stored = column(s, row, kImagesData);
    if (!visit(stored)) break;
    CHECK_FOR_INTERRUPTS();
  }
  end_scan(s);
}

}  // namespace

// The buffer is asked for first: the table may have been cut short since, and reading beyond its end is an error.
bool shows(Snapshot snapshot, const RowState& state) {
  if (!BufferIsValid(state.buffer)) return false;
  Relation table = try_table_open(state.table, AccessShareLock);
  if (table == nullptr) return false;
  bool is_shown = false;
  if (file_of(table) == state.file && pin_recent_buffer(table, ItemPointerGetBlockNumber(&state.place), state.buffer)) {
    HeapTupleData row;
    Buffer buffer;
    row.t_self = state.place;
    if (heap_fetch(table, snapshot, &row, &buffer, false)) {
      bool is_null;
      is_shown = HeapTupleHeaderGetRawXmin(row.t_data) == state.written_by &&
                 DatumGetInt64(heap_getattr(&row, kRowId, RelationGetDescr(table), &is_null)) == state.id;
      ReleaseBuffer(buffer);
    }
    ReleaseBuffer(state.buffer);
  }
  table_close(table, AccessShareLock);
  return is_shown;
}

Oid relation_oid(const char* name) {
  const Oid schema = get_namespace_oid("reyearn", true);
  const Oid relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
  if (!OidIsValid(relation)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"reyearn.%s\" does not exist", name),
                    errhint("Is the extension installed in this database? CREATE EXTENSION reyearn CASCADE;")));
  }
  return relation;
}

Oid owner_of_relation(Oid relation) {
  const HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for relation %u", relation);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
}

Oid extension_owner() { return owner_of_relation(relation_oid("tenants")); }

void check_may_read(const char* table) { check_may_read(relation_oid(table)); }

bool may_read(Oid table) { return pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK; }

void check_may_read(Oid table) {
  const AclResult result = pg_class_aclcheck(table, GetUserId(), ACL_SELECT);
  if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, get_rel_name(table));
}

ModelRow find_model(std::string_view name, Snapshot snapshot) {
  const bool is_default = name.data() == nullptr;
  if (is_default) name = settings().default_model;
  if (is_default && name.empty()) return only_model(current_tenant(), snapshot);
  const std::size_t slash = name.find('/');
  const std::optional<ModelRow> model = slash == std::string_view::npos
                                            ? find_model_named(current_tenant(), name, snapshot)
                                            : find_model_of(name.substr(0, slash), name.substr(slash + 1), snapshot);
  if (!model) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("model \"%s\" does not exist", c_string(name)),
                    is_default ? errdetail("It is what reyearn.default_model names.") : 0,
                    is_default ? errhint("Set reyearn.default_model to the name of a model, or reset it.")
                               : errhint("SELECT name FROM reyearn.model_overview; lists the models.")));
  }
  return *model;
}

ModelRow find_own_model(std::string_view name, Snapshot snapshot) {
  const ModelRow model = find_model(name, snapshot);
  if (model.is_shared) {
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("model \"%s\" is shared for predictions only", model_name(model, snapshot)),
                    errdetail("It belongs to another tenant."),
                    errhint("Use it with reyearn_predict(), reyearn_predict_proba() or reyearn_classify().")));
  }
  if (model.tenant_id != current_tenant()) {
    const char* const tenant = find_tenant(model.tenant_id)->name;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("model \"%s\" is not of the tenant that is acted for", model_name(model, snapshot)),
                    errhint("SET reyearn.tenant = %s;", quote_literal_cstr(tenant))));
  }
  return model;
}

void visit_shared_models(int tenant_id, Snapshot snapshot, void (*visit)(const char* name, TimestampTz since, void*),
                         void* argument) {
  ScanKeyData key = int4_key(kSharesToTenantId, tenant_id);
  IndexScan s = begin_scan("model_shares", "model_shares_to", &key, 1, snapshot);
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    const ModelRow model{
        DatumGetInt32(column(s, row, kSharesTenantId)), DatumGetInt64(column(s, row, kSharesModelId)), {}};
    const Tenant* const tenant = find_tenant(model.tenant_id);
    const char* const name = model_name(model, snapshot);
    if (tenant == nullptr || name == nullptr) continue;
    visit(psprintf("%s/%s", tenant->name, name), DatumGetTimestampTz(column(s, row, kSharesTimeCreated)), argument);
  }
  end_scan(s);
}

char* model_name(const ModelRow& model, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kModelsTenantId, model.tenant_id), int8_key(kModelsModelId, model.model_id)};
  IndexScan s = begin_scan("models", "models_pkey", keys, 2, snapshot);
  char* name = nullptr;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) name = c_string(text_view(column(s, row, kModelsName)));
  end_scan(s);
  const Tenant* const other = name != nullptr && model.is_shared ? find_tenant(model.tenant_id) : nullptr;
  return other != nullptr ? psprintf("%s/%s", other->name, name) : name;
}

std::optional<VersionRow> find_live_version(const ModelRow& model, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kVersionsTenantId, model.tenant_id), int8_key(kVersionsModelId, model.model_id)};
  return scan_version("model_versions_live", keys, 2, snapshot);
}

bool is_live_for_all(const VersionRow& version) {
  const std::optional<VersionRow> live = find_live_version({version.tenant_id, version.model_id, {}}, nullptr);
  return live && live->version_id == version.version_id && !TransactionIdIsCurrentTransactionId(live->state.written_by);
}

std::optional<VersionRow> find_version(const ModelRow& model, int version, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kVersionsTenantId, model.tenant_id), int8_key(kVersionsModelId, model.model_id),
                        int4_key(kVersionsVersion, version)};
  return scan_version("model_versions_tenant_id_model_id_version_key", keys, 3, snapshot);
}

int newest_version(const ModelRow& model, Snapshot snapshot) {
  ScanKeyData keys[] = {int4_key(kVersionsTenantId, model.tenant_id), int8_key(kVersionsModelId, model.model_id)};
  const std::optional<VersionRow> newest =
      scan_version("model_versions_tenant_id_model_id_version_key", keys, 2, snapshot, BackwardScanDirection);
  return newest ? newest->version : 0;
}

bool read_image(const VersionRow& version, const char* kind, std::span<std::byte> into, Snapshot snapshot,
                void (*progress)(std::size_t)) {
  std::size_t size = 0;
  bool fits = true;
  visit_chunks(version, kind, snapshot, [&](Datum stored) {
    bytea* chunk = DatumGetByteaPP(stored);
    const std::size_t chunk_size = VARSIZE_ANY_EXHDR(chunk);
    fits = chunk_size <= into.size() - size;
    if (fits) std::memcpy(into.data() + size, VARDATA_ANY(chunk), chunk_size);
    size += chunk_size;
    // Chunks are copied out of TOAST one by one: together they would take the image's size again.
    if (chunk != reinterpret_cast<bytea*>(DatumGetPointer(stored))) pfree(chunk);
    if (progress != nullptr) progress(size);
    return fits;
  });
  return fits && size == into.size();
}

std::size_t image_size(const VersionRow& version, const char* kind, Snapshot snapshot) {
  std::size_t size = 0;
  visit_chunks(version, kind, snapshot, [&](Datum stored) {
    size += toast_raw_datum_size(stored) - VARHDRSZ;
    return true;
  });
  return size;
}

std::int64_t count_models(int tenant_id) {
  ScanKeyData key = int4_key(kModelsTenantId, tenant_id);
  IndexScan s = begin_scan("models", "models_pkey", &key, 1, nullptr);
  std::int64_t count = 0;
  while (HeapTupleIsValid(next_row(s))) ++count;
  end_scan(s);
  return count;
}

std::int64_t bytes_of_images(int tenant_id) {
  ScanKeyData key = int4_key(1, tenant_id);
  IndexScan s = begin_scan("model_images", "model_images_pkey", &key, 1, nullptr);
  std::int64_t bytes = 0;
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    bytes += static_cast<std::int64_t>(toast_raw_datum_size(column(s, row, kImagesData)) - VARHDRSZ);
  }
  end_scan(s);
  return bytes;
}

ClassRow find_class_row(int tenant_id, std::int64_t class_id, Snapshot snapshot) {
  const auto merged_into = find_merged(tenant_id, class_id, snapshot);
  if (merged_into) class_id = *merged_into;
  ScanKeyData keys[] = {int4_key(1, tenant_id), int8_key(2, class_id)};
  IndexScan s = begin_scan("classes", "classes_pkey", keys, 2, snapshot);
  ClassRow found;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) {
    const Datum label = PointerGetDatum(PG_DETOAST_DATUM_COPY(column(s, row, kClassesLabel)));
    found = {true, merged_into ? RowState{} : state_of(s, row), class_id, label};
  }
  end_scan(s);
  return found;
}

namespace {

// The number of the class, once the row at `place` is locked and if it still has the label; not when it has changed or
// gone meanwhile. The lock is that of a foreign key's check.
std::optional<std::int64_t> lock_class_row(const IndexScan& s, ItemPointerData place, const ScanKeyData& label,
                                           Snapshot snapshot) {
  TupleTableSlot* const slot = table_slot_create(s.table, nullptr);
  uint8 flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;
  if (!IsolationUsesXactSnapshot()) flags |= TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
  TM_FailureData failure;
  const TM_Result result = table_tuple_lock(s.table, &place, snapshot, slot, GetCurrentCommandId(false),
                                            LockTupleKeyShare, LockWaitBlock, flags, &failure);
  if (result != TM_Ok && IsolationUsesXactSnapshot()) {
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("could not serialize access due to concurrent update"), errhint("Retry the transaction.")));
  }
  std::optional<std::int64_t> id;
  if (result == TM_Ok) {
    bool is_null;
    const Datum now = slot_getattr(slot, kClassesLabel, &is_null);
    if (DatumGetBool(FunctionCall2(const_cast<FmgrInfo*>(&label.sk_func), now, label.sk_argument))) {
      id = DatumGetInt64(slot_getattr(slot, kClassesClassId, &is_null));
    }
  }
  ExecDropSingleTupleTableSlot(slot);
  return id;
}

}  // namespace

std::optional<std::int64_t> lock_class(int tenant_id, Datum label) {
  for (;;) {
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    const Snapshot snapshot = GetActiveSnapshot();
    ScanKeyData keys[2] = {int4_key(kClassesTenantId, tenant_id), {}};
    const Relation classes = table_open(relation_oid("classes"), RowShareLock);
    const Oid type = TupleDescAttr(RelationGetDescr(classes), kClassesLabel - 1)->atttypid;
    const TypeCacheEntry* const ltree = lookup_type_cache(type, TYPECACHE_EQ_OPR_FINFO);
    ScanKeyInit(&keys[1], kClassesLabel, BTEqualStrategyNumber, ltree->eq_opr_finfo.fn_oid, label);
    IndexScan s = begin_scan("classes", "classes_tenant_id_label_key", keys, 2, snapshot);
    const HeapTuple row = next_row(s);
    const bool is_there = HeapTupleIsValid(row);
    std::optional<std::int64_t> id;
    if (is_there) id = lock_class_row(s, row->t_self, keys[1], snapshot);
    end_scan(s);
    table_close(classes, NoLock);
    PopActiveSnapshot();
    if (id || !is_there) return id;
  }
}

std::optional<std::int64_t> find_observation(int tenant_id, Datum content_hash, Snapshot snapshot) {
  ScanKeyData keys[2] = {int4_key(1, tenant_id), {}};
  // The scan key names columns of the table; the index finds them itself.
  ScanKeyInit(&keys[1], 4, BTEqualStrategyNumber, F_BYTEAEQ, content_hash);
  IndexScan s = begin_scan("observations", "observations_tenant_id_content_hash_key", keys, 2, snapshot);
  std::optional<std::int64_t> id;
  if (const HeapTuple row = next_row(s); HeapTupleIsValid(row)) id = DatumGetInt64(column(s, row, kObservationsId));
  end_scan(s);
  return id;
}

Datum content_hash(Datum body) {
  const std::string_view text = utf8_view(body);
  std::uint8_t digest[PG_SHA256_DIGEST_LENGTH];
  pg_cryptohash_ctx* context = pg_cryptohash_create(PG_SHA256);
  if (context == nullptr || pg_cryptohash_init(context) < 0 ||
      pg_cryptohash_update(context, reinterpret_cast<const uint8*>(text.data()), text.size()) < 0 ||
      pg_cryptohash_final(context, digest, sizeof digest) < 0) {
    elog(ERROR, "could not compute a SHA-256 digest: %s", pg_cryptohash_error(context));
  }
  pg_cryptohash_free(context);
  return bytes_datum(std::as_bytes(std::span(digest)));
}

}  // namespace reyearn::pg
