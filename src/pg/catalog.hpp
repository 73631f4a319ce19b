// Reads of the reyearn.* tables by index, without SPI: what serving needs on its way to a prediction.
//
// All functions may raise PostgreSQL errors: call them with no C++ object alive, or in pg_call. They read what the
// given snapshot shows, or, for NULL, what is committed now: by the catalog snapshot, which for these tables is taken
// anew each time, and which parallel workers may take too. They bypass row security, as every read by C code does:
// check_may_read first, and the tenant (tenants.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pg/postgres.hpp"

namespace reyearn::pg {

// One state of a row: its number, where it lies in which file of its table, and who wrote it. A change of the row makes
// another one, and so does what rewrites the table.
struct RowState {
  Oid table = InvalidOid;
  Oid file = InvalidOid;
  ItemPointerData place = {};
  TransactionId written_by = InvalidTransactionId;
  std::int64_t id = 0;            // in the second column, as in all tables of which states are kept
  Buffer buffer = InvalidBuffer;  // where its block was; invalid: the state cannot be found again
};

struct ModelRow {
  int tenant_id;
  std::int64_t model_id;
  RowState state;
  // For a model of a tenant that the caller may not use, but which shares the model with the tenant he acts for: it
  // serves to predict and for nothing else.
  bool is_shared = false;
  RowState share = {};
};

struct VersionRow {
  RowState state;
  int tenant_id;
  std::int64_t version_id;
  std::int64_t model_id;
  int version;
  bool is_live;
  bool is_pruned;
  std::int64_t image_bytes;
  std::uint64_t image_checksum;
};

// Whether the snapshot shows the row in this very state. A few hundred nanoseconds, where finding it by its key takes
// microseconds; false also when that could not be found out cheaply.
bool shows(Snapshot snapshot, const RowState& state);

// oid of a table or index of schema reyearn; an error when the extension is not installed.
Oid relation_oid(const char* name);
Oid owner_of_relation(Oid relation);
// The role that owns the tables, and with whose rights versions, images and runs are written.
Oid extension_owner();

// Error unless the current user may read that table of schema reyearn.
void check_may_read(const char* table);
void check_may_read(Oid table);
bool may_read(Oid table);

// The model of that name that the current tenant has, or that is named tenant/name and shared with it; for one without
// data, what reyearn.default_model names, else the only model there is. An error that says what to do when there is none
// such; a model that the caller may not use does not exist for him.
ModelRow find_model(std::string_view name, Snapshot snapshot);
// The same, and an error for one that is shared, or of another tenant than the current one.
ModelRow find_own_model(std::string_view name, Snapshot snapshot);

// Whether a model is shared with a tenant; then it is marked so.
bool find_share(ModelRow& model, int to_tenant_id, Snapshot snapshot);

// Calls visit(model, since) with each model that other tenants share with this one.
void visit_shared_models(int tenant_id, Snapshot snapshot, void (*visit)(const char* name, TimestampTz since, void*),
                         void* argument);

// The name of a model in the current context, tenant/name for a shared one; nullptr when it is gone.
char* model_name(const ModelRow& model, Snapshot snapshot);

std::optional<VersionRow> find_live_version(const ModelRow& model, Snapshot snapshot);
// Whether the version is live for everybody: committed, and not replaced by now.
bool is_live_for_all(const VersionRow& version);
std::optional<VersionRow> find_version(const ModelRow& model, int version, Snapshot snapshot);
// The highest version number of a model; 0: it has none.
int newest_version(const ModelRow& model, Snapshot snapshot);

// Copies the image of a version into `into`, which has exactly its size. False when the chunks do not add up to that.
// `progress`, if any, is told after each chunk how many bytes there are.
[[nodiscard]] bool read_image(const VersionRow& version, const char* kind, std::span<std::byte> into, Snapshot snapshot,
                              void (*progress)(std::size_t) = nullptr);
// Bytes of an image; 0 when the version has no such image.
std::size_t image_size(const VersionRow& version, const char* kind, Snapshot snapshot);

// Of a tenant, by what is committed now.
std::int64_t count_models(int tenant_id);
std::int64_t bytes_of_images(int tenant_id);

struct ClassRow {
  bool exists = false;
  RowState state;  // none for a merged class: what it is now depends on more than one row
  std::int64_t class_id = 0;
  Datum label = 0;  // ltree, in the current context
};

// What a class is now, through merges.
ClassRow find_class_row(int tenant_id, std::int64_t class_id, Snapshot snapshot);

// Number of the class with that label, locked against being renamed or dropped until the transaction ends.
std::optional<std::int64_t> lock_class(int tenant_id, Datum label);

// Id of the observation with that text.
std::optional<std::int64_t> find_observation(int tenant_id, Datum content_hash, Snapshot snapshot);

// SHA-256 of a text in UTF-8, as bytea.
Datum content_hash(Datum body);

}  // namespace reyearn::pg
