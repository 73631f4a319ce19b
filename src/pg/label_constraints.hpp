// label_refusal: whether constraints of a table on its label column let a label in. Asked before it is written: an INSERT
// must not fail for a label that we gave it.
#pragma once

#include "pg/attached_row.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Whether the table has any constraint that could refuse a label. Cheap, asked for each row.
bool may_refuse_labels(Relation table);

// Why the constraints refuse the label, a text in the current context; nullptr: they do not. Asks as the owner of the table. May
// raise PostgreSQL errors, those of functions in constraints too, and holds no C++ objects.
const char* label_refusal(Relation table, const AttachedColumns& columns, Datum label_text);

// Once, from _PG_init.
void watch_label_constraints();

}  // namespace reyearn::pg
