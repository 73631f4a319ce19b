// SQL entry points for attached tables beside their triggers: what reyearn_attach() asks about models, and the steps by
// which an attachment catches up with its table (sql/install/74_catch_up.sql).
//
// The table is read and written as its owner, restricted, as autovacuum does: functions in its constraints, triggers and
// policies run with no more rights than that. Predicting and learning is done as the owner of the attachment.
#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "pg/acts_as.hpp"
#include "pg/announcements.hpp"
#include "pg/attachments.hpp"
#include "pg/call_function.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/label_constraints.hpp"
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
void set_for_application(const char* name) {
  (void)set_config_option(name, GetConfigOptionResetString(name), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
}

// Runs `body` as the owner of a table. What its functions set ends with that.
template <typename Body>
void as_table_owner(Oid relation, Body body) {
  const int level = pg_call([&] {
    const int now = NewGUCNestLevel();
    set_for_application("search_path");
    return now;
  });
  {
    const ActsAs acting(pg_call([&] { return owner_of_table(relation); }));
    body();
  }
  pg_call([&] { AtEOXact_GUC(false, level); });
}

constexpr const char* kSettingsOfWrites[] = {"datestyle",    "intervalstyle", "timezone",      "extra_float_digits",
                                             "bytea_output", "lc_monetary",   "enable_seqscan"};

SpiParameter text_array(FunctionCallInfo fcinfo, int argument) {
  return {TEXTARRAYOID, fcinfo->args[argument].value, fcinfo->args[argument].isnull};
}

// The elements of a text[], none of which is NULL. Plain data.
struct TextArray {
  explicit TextArray(Datum array) {
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &texts, nullptr, &count);
  }

  Datum* texts;
  int count;
};

// The primary keys in a text[][]. Plain data.
class Keys {
 public:
  explicit Keys(Datum array) : parts_(array) {
    ArrayType* const keys = DatumGetArrayTypeP(array);
    width_ = ARR_NDIM(keys) == 2 ? ARR_DIMS(keys)[1] : 0;
  }
  int count() const { return width_ == 0 ? 0 : parts_.count / width_; }
  Datum at(int i) const {
    return PointerGetDatum(construct_array(parts_.texts + i * width_, width_, TEXTOID, -1, false, TYPALIGN_INT));
  }

 private:
  TextArray parts_;
  int width_;
};

// Returns how many bytes the row has.
std::size_t put_row(const SpiRow& row, ReturnSetInfo* result) {
  Datum values[3];
  bool nulls[3];
  for (int c = 0; c < 3; ++c) {
    nulls[c] = row.is_null(c + 1);
    values[c] = row.datum(c + 1);
  }
  pg_call([&] { tuplestore_putvalues(result->setResult, result->setDesc, values, nulls); });
  return nulls[1] ? 0 : pg_call([&] { return toast_raw_datum_size(values[1]); });
}

// Functions of the table run as its owner, under the search path of whoever asked for that.
void require_own_table(Oid relation) {
  if (IsBackgroundWorker || has_privs_of_role(acting_role(), owner_of_table(relation))) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", get_rel_name(relation))));
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

// Of long texts fewer rows are read than were asked for.
PG_FUNCTION_INFO_V1(reyearn_read_rows);
PGDLLEXPORT Datum reyearn_read_rows(PG_FUNCTION_ARGS) {
  constexpr long kRowsAtATime = 50;
  constexpr std::size_t kMostBytes = 32 << 20;
  InitMaterializedSRF(fcinfo, 0);
  const Oid relation = PG_GETARG_OID(0);
  const char* const query = text_to_cstring(PG_GETARG_TEXT_PP(1));
  require_own_table(relation);
  guard([&] {
    as_table_owner(relation, [&] {
      Spi spi;
      SpiCursor cursor(query, {text_array(fcinfo, 2), spi_int4(PG_GETARG_INT32(3))});
      std::size_t bytes = 0;
      while (bytes < kMostBytes && cursor.fetch(kRowsAtATime, false)) {
        for (std::uint64_t i = 0; i < cursor.row_count(); ++i) {
          bytes += put_row(cursor.row(i), reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
        }
      }
      cursor.close();
      spi.finish();
    });
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_lock_rows);
PGDLLEXPORT Datum reyearn_lock_rows(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  const Oid relation = PG_GETARG_OID(0);
  const char* const query = text_to_cstring(PG_GETARG_TEXT_PP(1));
  require_own_table(relation);
  guard([&] {
    as_table_owner(relation, [&] {
      Spi spi;
      spi.execute(query, {text_array(fcinfo, 2)});
      for (std::uint64_t i = 0; i < spi.row_count(); ++i) {
        (void)put_row(spi.row(i), reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
      }
      spi.finish();
    });
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_write_labels);
PGDLLEXPORT Datum reyearn_write_labels(PG_FUNCTION_ARGS) {
  const Oid relation = PG_GETARG_OID(0);
  const std::int64_t attachment_id = PG_GETARG_INT64(1);
  const char* const query = text_to_cstring(PG_GETARG_TEXT_PP(2));
  require_own_table(relation);
  guard([&] {
    as_table_owner(relation, [&] {
      pg_call([] {
        for (const char* const name : kSettingsOfWrites) set_for_application(name);
        if (IsBackgroundWorker) fire_triggers_at_once();
      });
      const PredictsAnew anew(attachment_id);
      Spi spi;
      spi.execute(query, {text_array(fcinfo, 3)});
      spi.finish();
    });
  });
  PG_RETURN_VOID();
}

// As the owner of the table, whoever attaches it.
PG_FUNCTION_INFO_V1(reyearn_refused_label);
PGDLLEXPORT Datum reyearn_refused_label(PG_FUNCTION_ARGS) {
  const Oid relation = PG_GETARG_OID(0);
  const AttrNumber column = PG_GETARG_INT16(1);
  const TextArray labels(PG_GETARG_DATUM(2));
  const char* refusal = nullptr;
  require_own_table(relation);
  guard([&] {
    as_table_owner(relation, [&] {
      pg_call([&] {
        const Relation table = table_open(relation, AccessShareLock);
        if (column < 1 || column > RelationGetNumberOfAttributes(table))
          elog(ERROR, "invalid column number %d", column);
        const AttInMetadata* const types = TupleDescGetAttInMetadata(RelationGetDescr(table));
        for (int i = 0; i < labels.count && refusal == nullptr; ++i) {
          char* const label = TextDatumGetCString(labels.texts[i]);
          const Datum value = InputFunctionCall(&types->attinfuncs[column - 1], label, types->attioparams[column - 1],
                                                types->atttypmods[column - 1]);
          const char* const why = label_refusal(table, column, value);
          if (why != nullptr) refusal = psprintf("Label \"%s\" %s.", label, why);
        }
        table_close(table, AccessShareLock);
      });
    });
  });
  if (refusal == nullptr) PG_RETURN_NULL();
  PG_RETURN_DATUM(CStringGetTextDatum(refusal));
}

PG_FUNCTION_INFO_V1(reyearn_check_attachment);
PGDLLEXPORT Datum reyearn_check_attachment(PG_FUNCTION_ARGS) {
  guard([&] {
    const std::shared_ptr<const Attachment> attachment = attachment_argument(fcinfo);
    require_live_version(fcinfo, *attachment);
  });
  PG_RETURN_VOID();
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

PG_FUNCTION_INFO_V1(reyearn_what_to_do);
PGDLLEXPORT Datum reyearn_what_to_do(PG_FUNCTION_ARGS) {
  const Snapshot snapshot = GetActiveSnapshot();
  const Oid relation = PG_GETARG_OID(0);
  const std::int64_t attachment_id = PG_GETARG_INT64(1);
  const Datum key = PointerGetDatum(PG_GETARG_ARRAYTYPE_P(2));
  const char* const what = guard([&]() -> const char* {
    std::shared_ptr<const Attachment> attachment = known_attachment(attachment_id, relation, snapshot);
    if (!attachment) attachment = find_attachment(attachment_id, relation, snapshot);
    return pg_call([&]() -> const char* {
      if (!fits(key)) return nullptr;
      const std::optional<WrittenLabel> written = find_written_label(*attachment, key, snapshot);
      if (PG_ARGISNULL(4)) {
        const std::int64_t hash = text_hash(PG_GETARG_DATUM(3));
        const bool is_cleared = (written && written->text_hash == hash) || is_learned(*attachment, key, hash);
        return is_cleared ? nullptr : "label";
      }
      const Datum label = PG_GETARG_DATUM(4);
      const bool is_ours = written && (text_view(written->label) == text_view(label) ||
                                       is_now_called(*attachment, *written, label, snapshot));
      return is_ours || is_learned_anew(*attachment, key, snapshot) ? nullptr : "learn";
    });
  });
  if (what == nullptr) PG_RETURN_NULL();
  PG_RETURN_DATUM(CStringGetTextDatum(what));
}

PG_FUNCTION_INFO_V1(reyearn_add_waiting);
PGDLLEXPORT Datum reyearn_add_waiting(PG_FUNCTION_ARGS) {
  std::int64_t added = 0;
  const Keys keys(PG_GETARG_DATUM(2));
  for (int i = 0; i < keys.count(); ++i) {
    CHECK_FOR_INTERRUPTS();
    added += add_waiting(PG_GETARG_INT32(0), PG_GETARG_INT64(1), keys.at(i));
  }
  PG_RETURN_INT64(added);
}

PG_FUNCTION_INFO_V1(reyearn_add_learned);
PGDLLEXPORT Datum reyearn_add_learned(PG_FUNCTION_ARGS) {
  const Keys keys(PG_GETARG_DATUM(3));
  const TextArray bodies(PG_GETARG_DATUM(4));
  for (int i = 0; i < std::min(keys.count(), bodies.count); ++i) {
    CHECK_FOR_INTERRUPTS();
    note_learned(PG_GETARG_INT32(0), PG_GETARG_INT64(1), PG_GETARG_INT32(2), keys.at(i), text_hash(bodies.texts[i]));
  }
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(reyearn_is_worker);
PGDLLEXPORT Datum reyearn_is_worker(PG_FUNCTION_ARGS) { PG_RETURN_BOOL(IsBackgroundWorker); }

PG_FUNCTION_INFO_V1(reyearn_announce_work);
PGDLLEXPORT Datum reyearn_announce_work(PG_FUNCTION_ARGS) {
  announce(Announcement::kWork, 0);
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace reyearn::pg
