#include "pg/attached_row.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "pg/catalog.hpp"
#include "pg/datum.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

Form_pg_attribute attribute(const AttachedColumns& columns, AttrNumber column) {
  return TupleDescAttr(columns.descriptor, column - 1);
}

Oid type_of(const AttachedColumns& columns, AttrNumber column) { return attribute(columns, column)->atttypid; }

// Whether the trigger has the column in its list: else the table has another primary key than when it was attached.
bool is_listed(const Trigger* made, AttrNumber column) {
  return std::find(made->tgattr, made->tgattr + made->tgnattr, column) != made->tgattr + made->tgnattr;
}

void add_key(AttachedColumns& columns, Relation table, const Trigger* made) {
  columns.key_count = 0;
  list_free(RelationGetIndexList(table));  // finds the primary key
  if (!OidIsValid(table->rd_pkindex)) return;
  const HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(table->rd_pkindex));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for index %u", table->rd_pkindex);
  const auto* const index = reinterpret_cast<Form_pg_index>(GETSTRUCT(row));
  for (int i = 0; i < index->indnkeyatts; ++i) {
    if (!is_listed(made, index->indkey.values[i])) {
      columns.key_count = 0;
      break;
    }
    columns.keys[columns.key_count++] = index->indkey.values[i];
  }
  ReleaseSysCache(row);
}

std::uint32_t hash_of(const AttachedColumns& columns, HeapTuple row, AttrNumber column) {
  const Value value = value_of(columns, row, column);
  if (value.is_null) return 0;
  const Form_pg_attribute type = attribute(columns, column);
  return datum_image_hash(value.datum, type->attbyval, type->attlen);
}

// What these types are written out as does not depend on settings.
bool is_written_alike(Oid type) {
  switch (type) {
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case UUIDOID:
    case BOOLOID:
    case NUMERICOID:
      return true;
    default:
      return false;
  }
}

void set_for_now(const char* name, const char* value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

// The functions in sql/install that write out keys, such as reyearn.catch_up_of, have the same settings.
char* written_alike(Oid function, Datum value) {
  const int level = NewGUCNestLevel();
  set_for_now("datestyle", "ISO, MDY");
  set_for_now("intervalstyle", "postgres");
  set_for_now("timezone", "UTC");
  set_for_now("extra_float_digits", "1");
  set_for_now("bytea_output", "hex");
  set_for_now("lc_monetary", "C");
  set_for_now("search_path", "pg_catalog, pg_temp");
  char* const written = OidOutputFunctionCall(function, value);
  AtEOXact_GUC(false, level);
  return written;
}

Datum written_out(Oid type, Datum value) {
  Oid function;
  bool is_varlena;
  getTypeOutputInfo(type, &function, &is_varlena);
  return CStringGetTextDatum(is_written_alike(type) ? OidOutputFunctionCall(function, value)
                                                    : written_alike(function, value));
}

const char* enum_label(Oid value) {
  const HeapTuple row = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for enum value %u", value);
  const char* const label = pstrdup(NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(row))->enumlabel));
  ReleaseSysCache(row);
  return label;
}

std::optional<Datum> enum_value(Oid type, std::string_view label) {
  if (label.size() >= NAMEDATALEN) return std::nullopt;
  const HeapTuple row = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(c_string(label)));
  if (!HeapTupleIsValid(row)) return std::nullopt;
  const Oid value = reinterpret_cast<Form_pg_enum>(GETSTRUCT(row))->oid;
  ReleaseSysCache(row);
  return ObjectIdGetDatum(value);
}

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID; }

[[noreturn]] void refuse_trigger(const Trigger* trigger) {
  ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                  errmsg("trigger \"%s\" was not made by reyearn_attach()", trigger->tgname)));
  pg_unreachable();
}

// That of the labels of classes.
Oid ltree_type() {
  const Oid classes = relation_oid("classes");
  return get_atttype(classes, get_attnum(classes, "label"));
}

void add_prediction_columns(AttachedColumns& columns, const Trigger* made) {
  columns.probability = columns.version = InvalidAttrNumber;
  for (int i = 1; i < made->tgnargs; ++i) {
    if (i + 1 >= made->tgnattr) refuse_trigger(made);
    const AttrNumber column = made->tgattr[i + 1];
    const Oid type = type_of(columns, column);
    if (std::strcmp(made->tgargs[i], "probability") == 0 && (type == FLOAT4OID || type == FLOAT8OID)) {
      columns.probability = column;
    } else if (std::strcmp(made->tgargs[i], "version") == 0 && (type == INT4OID || type == INT8OID)) {
      columns.version = column;
    } else {
      refuse_trigger(made);
    }
  }
}

}  // namespace

AttachedColumns attached_columns(const TriggerData* trigger) {
  const Trigger* const made = trigger->tg_trigger;
  if (made->tgnargs < 1 || made->tgnattr < 2) refuse_trigger(made);
  AttachedColumns columns;
  columns.attachment_id = std::strtoll(made->tgargs[0], nullptr, 10);
  columns.descriptor = RelationGetDescr(trigger->tg_relation);
  columns.text = made->tgattr[0];
  columns.label = made->tgattr[1];
  // A trigger made by hand may name any columns: their values are read as what reyearn_attach() would have found.
  const Oid label = type_of(columns, columns.label);
  if (columns.text == columns.label || !is_text(type_of(columns, columns.text)) ||
      !(is_text(label) || type_is_enum(label) || label == ltree_type())) {
    refuse_trigger(made);
  }
  add_prediction_columns(columns, made);
  add_key(columns, trigger->tg_relation, made);
  return columns;
}

Value value_of(const AttachedColumns& columns, HeapTuple row, AttrNumber column) {
  Value value;
  value.datum = heap_getattr(row, column, columns.descriptor, &value.is_null);
  return value;
}

bool differ(const AttachedColumns& columns, AttrNumber column, const Value& a, const Value& b) {
  if (a.is_null || b.is_null) return a.is_null != b.is_null;
  const Form_pg_attribute type = attribute(columns, column);
  return !datum_image_eq(a.datum, b.datum, type->attbyval, type->attlen);
}

bool keys_differ(const AttachedColumns& columns, HeapTuple a, HeapTuple b) {
  for (int i = 0; i < columns.key_count; ++i) {
    const AttrNumber column = columns.keys[i];
    if (differ(columns, column, value_of(columns, a, column), value_of(columns, b, column))) return true;
  }
  return false;
}

RowIdentity identity_of(const AttachedColumns& columns, HeapTuple row, bool is_insert) {
  std::uint64_t hash = hash_combine64(is_insert ? 1 : 2, hash_of(columns, row, columns.label));
  for (int i = 0; i < columns.key_count; ++i) hash = hash_combine64(hash, hash_of(columns, row, columns.keys[i]));
  return {hash, hash_of(columns, row, columns.text)};
}

std::uint32_t label_hash(const AttachedColumns& columns, HeapTuple row) { return hash_of(columns, row, columns.label); }

Datum key_of(const AttachedColumns& columns, HeapTuple row) {
  Datum parts[INDEX_MAX_KEYS];
  for (int i = 0; i < columns.key_count; ++i) {
    const Value part = value_of(columns, row, columns.keys[i]);
    if (part.is_null) ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("primary key is NULL")));
    parts[i] = written_out(type_of(columns, columns.keys[i]), part.datum);
  }
  return PointerGetDatum(construct_array(parts, columns.key_count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum text_of_label(const AttachedColumns& columns, const Value& label) {
  const Oid type = type_of(columns, columns.label);
  if (is_text(type)) return label.datum;
  if (type_is_enum(type)) return CStringGetTextDatum(enum_label(DatumGetObjectId(label.datum)));
  return text_datum(label_of(label.datum));
}

std::optional<Datum> label_for_column(const AttachedColumns& columns, Datum ltree_value) {
  const Form_pg_attribute type = attribute(columns, columns.label);
  const bool is_enum = type_is_enum(type->atttypid);
  if (!is_text(type->atttypid) && !is_enum) return datumCopy(ltree_value, false, -1);
  const std::string_view label = label_of(ltree_value);
  if (is_enum) return enum_value(type->atttypid, label);
  const bool fits = type->atttypmod < 0 || label.size() <= static_cast<std::size_t>(type->atttypmod - VARHDRSZ);
  return fits ? std::optional(text_datum(label)) : std::nullopt;
}

namespace {

// Some columns of a row, to be replaced.
struct Changes {
  int columns[3];
  Datum values[3];
  bool nulls[3];
  int count = 0;

  void add(AttrNumber column, std::optional<Datum> value) {
    columns[count] = column;
    values[count] = value.value_or(Datum{0});
    nulls[count++] = !value;
  }
  HeapTuple apply(HeapTuple row, TupleDesc descriptor) {
    return count == 0 ? row : heap_modify_tuple_by_cols(row, descriptor, count, columns, values, nulls);
  }
};

std::optional<Datum> probability_for_column(Oid type, const std::optional<GivenLabel>& given) {
  if (!given) return std::nullopt;
  return type == FLOAT4OID ? Float4GetDatum(given->probability) : Float8GetDatum(given->probability);
}

std::optional<Datum> version_for_column(Oid type, const std::optional<GivenLabel>& given) {
  if (!given) return std::nullopt;
  return type == INT4OID ? Int32GetDatum(given->version) : Int64GetDatum(given->version);
}

}  // namespace

HeapTuple with_label(const AttachedColumns& columns, HeapTuple row, const std::optional<GivenLabel>& given) {
  Changes changes;
  changes.add(columns.label, given ? std::optional(given->label) : std::nullopt);
  if (columns.probability != InvalidAttrNumber) {
    changes.add(columns.probability, probability_for_column(type_of(columns, columns.probability), given));
  }
  if (columns.version != InvalidAttrNumber) {
    changes.add(columns.version, version_for_column(type_of(columns, columns.version), given));
  }
  return changes.apply(row, columns.descriptor);
}

HeapTuple without_prediction(const AttachedColumns& columns, HeapTuple old, HeapTuple row) {
  Changes changes;
  for (const AttrNumber column : {columns.probability, columns.version}) {
    if (column == InvalidAttrNumber) continue;
    if (!differ(columns, column, value_of(columns, old, column), value_of(columns, row, column))) {
      changes.add(column, std::nullopt);
    }
  }
  return changes.apply(row, columns.descriptor);
}

}  // namespace reyearn::pg
