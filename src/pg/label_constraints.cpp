#include "pg/label_constraints.hpp"

#include "pg/acts_as.hpp"
#include "pg/call_function.hpp"
#include "pg/catalog.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

bool has_checks(Relation table) { return table->rd_att->constr != nullptr && table->rd_att->constr->num_check > 0; }

// The query of reyearn.label_checks in a context that stays; nullptr: there is nothing to ask.
const char* find_query(Relation table, const AttachedColumns& columns) {
  Oid role;
  int context;
  GetUserIdAndSecContext(&role, &context);
  SetUserIdAndSecContext(extension_owner(), context | SECURITY_RESTRICTED_OPERATION);
  bool is_null = false;
  const Datum query = call_function(
      "label_checks", {REGCLASSOID, INT2OID},
      {{ObjectIdGetDatum(RelationGetRelid(table)), false}, {Int16GetDatum(columns.label), false}}, &is_null);
  SetUserIdAndSecContext(role, context);
  return is_null ? nullptr : MemoryContextStrdup(TopMemoryContext, TextDatumGetCString(query));
}

// Queries that were found, until the definition of their table changes.
struct KnownQuery {
  Oid relation = InvalidOid;
  AttrNumber label = InvalidAttrNumber;
  const char* query = nullptr;
};
constexpr std::size_t kMostKnown = 32;
KnownQuery known_queries[kMostKnown];
std::size_t next_place = 0;

void forget_query(KnownQuery& known) {
  if (known.query != nullptr) pfree(const_cast<char*>(known.query));
  known = {};
}

void forget_queries(Datum, Oid relation) {
  for (KnownQuery& known : known_queries) {
    if (relation == InvalidOid || known.relation == relation) forget_query(known);
  }
}

const char* query_for(Relation table, const AttachedColumns& columns) {
  const Oid relation = RelationGetRelid(table);
  for (const KnownQuery& known : known_queries) {
    if (known.relation == relation && known.label == columns.label) return known.query;
  }
  const char* const query = find_query(table, columns);
  KnownQuery& place = known_queries[next_place++ % kMostKnown];
  forget_query(place);
  place = {relation, columns.label, query};
  return query;
}

// In the names of the query nothing depends on a search path, but in functions of a constraint it may.
const char* ask(const char* query, Datum label_text, MemoryContext result_context) {
  const int level = NewGUCNestLevel();
  (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
  SPI_connect();
  Oid types[] = {TEXTOID};
  Datum values[] = {label_text};
  if (SPI_execute_with_args(query, 1, types, values, nullptr, true, 1) != SPI_OK_SELECT)
    elog(ERROR, "label_checks failed");
  bool is_null;
  const Datum reason = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
  const char* const copy = is_null ? nullptr : MemoryContextStrdup(result_context, TextDatumGetCString(reason));
  SPI_finish();
  AtEOXact_GUC(false, level);  // with what functions of the constraint have set
  return copy;
}

}  // namespace

bool may_refuse_labels(Relation table) { return has_checks(table) || RelationGetFKeyList(table) != NIL; }

void watch_label_constraints() { CacheRegisterRelcacheCallback(forget_queries, Datum{0}); }

const char* label_refusal(Relation table, const AttachedColumns& columns, Datum label_text) {
  const char* const query = query_for(table, columns);
  if (query == nullptr) return nullptr;
  Oid role;
  int context;
  GetUserIdAndSecContext(&role, &context);
  SetUserIdAndSecContext(table->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
  const char* const reason = ask(query, label_text, CurrentMemoryContext);
  SetUserIdAndSecContext(role, context);
  return reason;
}

}  // namespace reyearn::pg
