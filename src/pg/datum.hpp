// Datum ↔ C++. Functions here may raise PostgreSQL errors: they are called with no C++ object alive, or in pg_call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "pg/postgres.hpp"

namespace reyearn::pg {

// The bytes of a text or bytea argument, detoasted if need be. Valid as long as the argument, or the current context.
std::string_view text_view(Datum datum);
std::span<const std::byte> bytes_view(Datum datum);

// The text in UTF-8, converted when the database has another encoding. In SQL_ASCII databases: as it is.
std::string_view utf8_view(Datum datum);

// The same for an argument of a function; NULL gives a view without data.
std::string_view optional_text(FunctionCallInfo fcinfo, int argument);

// The type of the row that a function returns, ready for heap_form_tuple.
TupleDesc row_type(FunctionCallInfo fcinfo);
// A column, which is NOT NULL, of a row that a trigger fired for.
Datum column_of(const TriggerData* trigger, HeapTuple row, const char* column);

Datum text_datum(std::string_view text);
Datum bytes_datum(std::span<const std::byte> bytes);

// Builds an ltree from a label that check_label accepts. Not through ltree's input function: an eighth of its cost.
Datum ltree_datum(std::string_view label);
// The label of an ltree as text, in the current context.
std::string_view label_of(Datum ltree_value);

// A name of this server's objects as a C string, in the current context.
char* c_string(std::string_view text);

}  // namespace reyearn::pg
