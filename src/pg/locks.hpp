// Locks on what is no row and no table. They lie among PostgreSQL's advisory locks, in a part that its SQL functions
// cannot take any of: nobody holds them who is not meant to. pg_locks shows them with classid reyearn.tenants.
//
// All functions may raise PostgreSQL errors.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

// The tree of a tenant's classes, until the transaction ends.
void lock_taxonomy(int tenant_id, bool exclusively);

// While one session of the database holds training off, which it does until it ends, no worker begins any.
void hold_off_training();
// Whether none does; and none begins to until the transaction ends.
bool may_begin_training();

// One of the places that a tenant has for trainings, until the transaction ends; false: all are taken.
bool take_training_place(int tenant_id);

}  // namespace reyearn::pg
