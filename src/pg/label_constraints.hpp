// label_refusal: whether constraints of a table on its label column alone, CHECKs and foreign keys, let a label in. Asked before
// it is written: an INSERT must not fail for a label that we gave it.
//
// Asked as PostgreSQL will ask when the row is written: a CHECK with the rights and the search path of whoever writes. Foreign
// keys are looked up by index: no query of another table's owner, with its policies and functions, is run for that. Those on
// partitioned tables are not asked.
//
// All functions may raise PostgreSQL errors, those of functions in constraints too, and hold no C++ objects.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Whether the table has any constraint that could refuse a label. Cheap, asked for each row.
bool may_refuse_labels(Relation table);

// Why the constraints refuse this value of the column, a text in the current context; nullptr: they do not.
const char* label_refusal(Relation table, AttrNumber column, Datum value);

}  // namespace reyearn::pg
