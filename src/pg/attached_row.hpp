// A row of an attached table as a trigger sees it: which columns are meant, and their values.
//
// Which columns are text and label is in the trigger's own list of columns, UPDATE OF text, label: it is kept in that
// order, follows renames, is dumped with the trigger, and keeps the columns from being dropped alone.
//
// All functions may raise PostgreSQL errors and hold no C++ objects: call them with none alive, or in pg_call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pg/label_notes.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct Value {
  Datum datum;
  bool is_null;
};

struct AttachedColumns {
  std::int64_t attachment_id;
  TupleDesc descriptor;
  AttrNumber text;
  AttrNumber label;
  int key_count;
  AttrNumber keys[INDEX_MAX_KEYS];  // in the order of the primary key
};

// Of the trigger that fired; an error when it was not made by reyearn_attach().
AttachedColumns attached_columns(const TriggerData* trigger);

Value value_of(const AttachedColumns& columns, HeapTuple row, AttrNumber column);
bool differ(const AttachedColumns& columns, AttrNumber column, const Value& a, const Value& b);
// Whether the rows have different primary keys.
bool keys_differ(const AttachedColumns& columns, HeapTuple a, HeapTuple b);

RowIdentity identity_of(const AttachedColumns& columns, HeapTuple row, bool is_insert);
// Of an inserted row whatever its key.
RowIdentity identity_of_any_key(const AttachedColumns& columns, HeapTuple row);

// The primary key as text[]: each column as it is written out, whatever the settings of the session.
Datum key_of(const AttachedColumns& columns, HeapTuple row);

// A label as text, and a label as a value of the column; nothing when the column cannot take it.
Datum text_of_label(const AttachedColumns& columns, const Value& label);
std::optional<Datum> label_for_column(const AttachedColumns& columns, Datum ltree_value);

// The row with another label; NULL without one.
HeapTuple with_label(const AttachedColumns& columns, HeapTuple row, std::optional<Datum> label);

}  // namespace reyearn::pg
