// A row of an attached table as a trigger sees it: which columns are meant, and their values.
//
// Which columns are text and label is in the trigger's own list of columns, UPDATE OF text, label: it is kept in that
// order, follows renames, is dumped with the trigger, and keeps the columns from being dropped alone. What the columns after
// these are is told by the trigger's arguments after the first: 'probability', 'version'; those of the key follow.
//
// All functions may raise PostgreSQL errors and hold no C++ objects: call them with none alive, or in pg_call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pg/call_function.hpp"
#include "pg/label_notes.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct AttachedColumns {
  std::int64_t attachment_id;
  TupleDesc descriptor;
  AttrNumber text;
  AttrNumber label;
  AttrNumber probability;  // InvalidAttrNumber: none, as for version
  AttrNumber version;
  int key_count;
  AttrNumber keys[INDEX_MAX_KEYS];  // in the order of the primary key

  bool tells_more() const { return probability != InvalidAttrNumber || version != InvalidAttrNumber; }
};

// Of the trigger that fired; an error when it was not made by reyearn_attach().
AttachedColumns attached_columns(const TriggerData* trigger);

Value value_of(const AttachedColumns& columns, HeapTuple row, AttrNumber column);
bool differ(const AttachedColumns& columns, AttrNumber column, const Value& a, const Value& b);
// Whether the rows have different primary keys.
bool keys_differ(const AttachedColumns& columns, HeapTuple a, HeapTuple b);

RowIdentity identity_of(const AttachedColumns& columns, HeapTuple row, bool is_insert);
std::uint32_t label_hash(const AttachedColumns& columns, HeapTuple row);

// The primary key as text[]: each column as it is written out, whatever the settings of the session.
Datum key_of(const AttachedColumns& columns, HeapTuple row);

// A label as text, and a label as a value of the column, in the current context; nothing when the column cannot take it.
Datum text_of_label(const AttachedColumns& columns, const Value& label);
std::optional<Datum> label_for_column(const AttachedColumns& columns, Datum ltree_value);

// A label for the column, and what is told of it in columns of its own.
struct GivenLabel {
  Datum label;
  float probability;
  int version;
};

// The row with a label of ours, or without any.
HeapTuple with_label(const AttachedColumns& columns, HeapTuple row, const std::optional<GivenLabel>& given);
// The row without what was told of our label, unless that was changed along.
HeapTuple without_prediction(const AttachedColumns& columns, HeapTuple old, HeapTuple row);

}  // namespace reyearn::pg
