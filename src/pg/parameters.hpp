// Parameters of models ↔ jsonb.
#pragma once

#include "core/parameters.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Sets the parameters that a JSON object names. With `is_training`, those that belong to the model are refused.
// Throws Error (unknown key, wrong type, out of range), PgError.
void set_parameters(Parameters& parameters, Datum json, bool is_training);

}  // namespace reyearn::pg
