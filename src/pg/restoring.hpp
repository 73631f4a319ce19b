// Whether this session restores a dump. What follows from rows is in the dump itself: triggers that wrote it again would
// have it twice.
#pragma once

namespace reyearn::pg {

// The settings check_function_bodies and row_security are both off, which pg_dump's scripts do and nobody does by chance,
// and the session is a superuser's that acts as one: nobody else may switch triggers off. May raise PostgreSQL errors.
bool is_restoring();

}  // namespace reyearn::pg
