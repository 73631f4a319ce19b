// SQL entry points for attached tables beside their triggers: what reyearn_attach() asks about models, and the steps by
// which an attachment catches up with its table (sql/install/74_catch_up.sql).
//
// The table is read and written as its owner, restricted, as autovacuum does: functions in its constraints, triggers and
// policies run with no more rights than that. Predicting and learning is done as the owner of the attachment.
#include "core/error.hpp"
#include "pg/acts_as.hpp"
#include "pg/announcements.hpp"
#include "pg/attachments.hpp"
#include "pg/call_function.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/predicts_anew.hpp"
#include "pg/serving.hpp"
#include "pg/spi.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

Oid owner_of_table(Oid relation) {
  const HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(row)) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table does not exist")));
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
}

// What functions of the table expect: what the session or the database has set, not what ours are called with.
constexpr const char* kApplicationSettings[] = {"search_path", "datestyle",         "intervalstyle",
                                                "timezone",    "extra_float_digits", "bytea_output"};

// Returns the level to go back to; an error goes back by itself.
int use_application_settings() {
  const int level = NewGUCNestLevel();
  for (const char* const name : kApplicationSettings) {
    (void)set_config_option(name, GetConfigOptionResetString(name), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                            false);
  }
  return level;
}

SpiParameter text_array(FunctionCallInfo fcinfo, int argument) {
  return {TEXTARRAYOID, fcinfo->args[argument].value, fcinfo->args[argument].isnull};
}

void put_rows(Spi& spi, ReturnSetInfo* result) {
  const std::uint64_t count = spi.row_count();
  for (std::uint64_t i = 0; i < count; ++i) {
    const SpiRow row = spi.row(i);
    Datum values[3];
    bool nulls[3];
    for (int c = 0; c < 3; ++c) {
      nulls[c] = row.is_null(c + 1);
      values[c] = row.datum(c + 1);
    }
    pg_call([&] { tuplestore_putvalues(result->setResult, result->setDesc, values, nulls); });
  }
}

// The triggers of the table run as its owner, under the search path of whoever asked for that.
void require_own_table(Oid relation, Oid owner) {
  if (IsBackgroundWorker || has_privs_of_role(acting_role(), owner)) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", get_rel_name(relation))));
}

std::shared_ptr<const Attachment> attachment_argument(FunctionCallInfo fcinfo) {
  return find_attachment(PG_GETARG_INT64(1), PG_GETARG_OID(0), GetActiveSnapshot());
}

// Throws unless the owner of the attachment can predict.
void require_live_version(FunctionCallInfo fcinfo, const Attachment& attachment) {
  if (attachment.model.empty()) {
    throw Error(ErrorCode::kUnknownName, "the model that the table is attached to does not exist", "",
                "Detach the table with reyearn_detach(), or attach it to another model.");
  }
  const ActsAs acting(attachment.owner);
  const ActsFor tenant(attachment.tenant_id);
  (void)served_model(fcinfo, attachment.model);
}

// Deferred triggers would run as whoever commits.
void fire_triggers_at_once() {
  auto* const all = makeNode(ConstraintsSetStmt);
  AfterTriggerSetState(all);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_usable_model);
PGDLLEXPORT Datum reyearn_usable_model(PG_FUNCTION_ARGS) {
  check_may_read("models");
  const ModelRow model = find_model(optional_text(fcinfo, 0), GetActiveSnapshot());
  const TupleDesc descriptor = row_type(fcinfo);
  Datum values[] = {Int32GetDatum(model.tenant_id), Int64GetDatum(model.model_id),
                    CStringGetTextDatum(model_name(model, GetActiveSnapshot()))};
  bool nulls[std::size(values)] = {};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}

PG_FUNCTION_INFO_V1(reyearn_predicted_labels);
PGDLLEXPORT Datum reyearn_predicted_labels(PG_FUNCTION_ARGS) {
  const std::string_view name = optional_text(fcinfo, 0);
  check_may_read("models");
  if (!find_live_version(find_model(name, GetActiveSnapshot()), GetActiveSnapshot())) PG_RETURN_NULL();
  return guard([&]() -> Datum {
    ServedModel& served = served_model(fcinfo, name);
    const std::uint32_t count = static_cast<std::uint32_t>(served.view().class_count());
    ArrayBuildState* all = pg_call([] { return initArrayResult(TEXTOID, CurrentMemoryContext, false); });
    for (std::uint32_t c = 0; c < count; ++c) {
      const ServedClass* const one = served.find_class(c);
      if (one == nullptr) continue;
      pg_call([&] {
        const Datum label = text_datum(label_of(PointerGetDatum(one->label.data())));
        accumArrayResult(all, label, false, TEXTOID, CurrentMemoryContext);
      });
    }
    return pg_call([&] { return makeArrayResult(all, CurrentMemoryContext); });
  });
}

// read_rows, which is STABLE, sees what its caller sees; lock_rows sees what is committed, as locking does.
PG_FUNCTION_INFO_V1(reyearn_query_rows);
PGDLLEXPORT Datum reyearn_query_rows(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  const Oid owner = owner_of_table(PG_GETARG_OID(0));
  const char* const query = text_to_cstring(PG_GETARG_TEXT_PP(1));
  const bool is_read_only = func_volatile(fcinfo->flinfo->fn_oid) == PROVOLATILE_STABLE;
  guard([&] {
    const ActsAs acting(owner);
    Spi spi;
    const std::initializer_list<SpiParameter> parameters = {text_array(fcinfo, 2), spi_int4(PG_GETARG_INT32(3))};
    if (is_read_only) {
      spi.query(query, parameters);
    } else {
      spi.execute(query, parameters);
    }
    put_rows(spi, reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
    spi.finish();
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_write_labels);
PGDLLEXPORT Datum reyearn_write_labels(PG_FUNCTION_ARGS) {
  const Oid owner = owner_of_table(PG_GETARG_OID(0));
  const std::int64_t attachment_id = PG_GETARG_INT64(1);
  const char* const query = text_to_cstring(PG_GETARG_TEXT_PP(2));
  require_own_table(PG_GETARG_OID(0), owner);
  guard([&] {
    const int level = pg_call([] { return use_application_settings(); });
    {
      const ActsAs acting(owner);
      const PredictsAnew anew(attachment_id);
      if (IsBackgroundWorker) pg_call([] { fire_triggers_at_once(); });
      Spi spi;
      spi.execute(query, {text_array(fcinfo, 3)});
      spi.finish();
    }
    pg_call([&] { AtEOXact_GUC(true, level); });
  });
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(reyearn_check_attachment);
PGDLLEXPORT Datum reyearn_check_attachment(PG_FUNCTION_ARGS) {
  return guard([&] {
    const std::shared_ptr<const Attachment> attachment = attachment_argument(fcinfo);
    require_live_version(fcinfo, *attachment);
    return BoolGetDatum(attachment->learns());
  });
}

PG_FUNCTION_INFO_V1(reyearn_learn_labels_of);
PGDLLEXPORT Datum reyearn_learn_labels_of(PG_FUNCTION_ARGS) {
  return guard([&] {
    const std::shared_ptr<const Attachment> attachment = attachment_argument(fcinfo);
    const ActsAs acting(attachment->owner);
    const ActsFor tenant(attachment->tenant_id, attachment->owner);
    return pg_call([&] {
      return call_function("learn_labels", {TEXTARRAYOID, TEXTARRAYOID},
                           {{PG_GETARG_DATUM(2), false}, {PG_GETARG_DATUM(3), false}});
    });
  });
}

PG_FUNCTION_INFO_V1(reyearn_announce_work);
PGDLLEXPORT Datum reyearn_announce_work(PG_FUNCTION_ARGS) {
  announce(Announcement::kWork, 0);
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace reyearn::pg
