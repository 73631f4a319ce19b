#include "pg/label_constraints.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

bool has_checks(Relation table) { return table->rd_att->constr != nullptr && table->rd_att->constr->num_check > 0; }

// Whether the expression reads this column and no other.
bool reads_only(Node* expression, AttrNumber column) {
  Bitmapset* columns = nullptr;
  pull_varattnos(expression, 1, &columns);
  return bms_equal(columns, bms_make_singleton(column - FirstLowInvalidHeapAttributeNumber));
}

// A row that has this column alone.
TupleTableSlot* make_row(Relation table, EState* state, AttrNumber column, Datum value) {
  TupleTableSlot* const row = ExecInitExtraTupleSlot(state, RelationGetDescr(table), &TTSOpsVirtual);
  ExecStoreAllNullTuple(row);
  row->tts_values[column - 1] = value;
  row->tts_isnull[column - 1] = false;
  return row;
}

const char* refusing_check(Relation table, AttrNumber column, Datum value) {
  EState* const state = CreateExecutorState();
  ExprContext* const context = GetPerTupleExprContext(state);
  context->ecxt_scantuple = make_row(table, state, column, value);
  const char* refusal = nullptr;
  const TupleConstr* const constraints = table->rd_att->constr;
  const int count = constraints->num_check;
  for (int i = 0; i < count && refusal == nullptr; ++i) {
    const char* const name = pstrdup(constraints->check[i].ccname);
    auto* const expression = static_cast<Node*>(stringToNode(constraints->check[i].ccbin));
    if (!reads_only(expression, column)) continue;
    ExprState* const check = ExecPrepareExpr(reinterpret_cast<Expr*>(expression), state);
    if (!ExecCheck(check, context)) refusal = psprintf("violates check constraint \"%s\"", name);
  }
  ExecResetTupleTable(state->es_tupleTable, false);
  FreeExecutorState(state);
  return refusal;
}

bool has_referenced_row(const ForeignKeyCacheInfo& key, Oid index_id, Datum value) {
  const Relation table = table_open(key.confrelid, AccessShareLock);
  bool is_there = true;
  if (table->rd_rel->relkind == RELKIND_RELATION) {
    const Relation index = index_open(index_id, AccessShareLock);
    Oid referenced_type;
    Oid value_type;  // as the operator takes it: text for a varchar
    op_input_types(key.conpfeqop[0], &referenced_type, &value_type);
    ScanKeyData scan_key;
    ScanKeyEntryInitialize(&scan_key, 0, key.confkey[0], BTEqualStrategyNumber, value_type, index->rd_indcollation[0],
                           get_opcode(key.conpfeqop[0]), value);
    const SysScanDesc scan = systable_beginscan_ordered(table, index, nullptr, 1, &scan_key);
    is_there = HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection));
    systable_endscan_ordered(scan);
    index_close(index, AccessShareLock);
  }
  table_close(table, AccessShareLock);
  return is_there;
}

const char* refusing_key(Relation table, AttrNumber column, Datum value) {
  const char* refusal = nullptr;
  const ListCell* cell;
  foreach (cell, static_cast<List*>(copyObjectImpl(RelationGetFKeyList(table)))) {
    const auto& key = *static_cast<const ForeignKeyCacheInfo*>(lfirst(cell));
    if (key.nkeys != 1 || key.conkey[0] != column) continue;
    const HeapTuple row = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(key.conoid));
    if (!HeapTupleIsValid(row)) continue;
    const auto* const constraint = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row));
    if (!has_referenced_row(key, constraint->conindid, value)) {
      refusal = psprintf("violates foreign key constraint \"%s\"", NameStr(constraint->conname));
    }
    heap_freetuple(row);
    if (refusal != nullptr) break;
  }
  return refusal;
}

}  // namespace

bool may_refuse_labels(Relation table) { return has_checks(table) || RelationGetFKeyList(table) != NIL; }

const char* label_refusal(Relation table, AttrNumber column, Datum value) {
  const char* const refusal = has_checks(table) ? refusing_check(table, column, value) : nullptr;
  return refusal != nullptr ? refusal : refusing_key(table, column, value);
}

}  // namespace reyearn::pg
