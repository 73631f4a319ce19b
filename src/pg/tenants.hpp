// Which tenants the current user may use, and for which one it acts.
//
// A role may use the tenants whose roles it has the privileges of (USAGE: a member that inherits). One that has none of
// these may use the default tenant, if reyearn_grant() opened that to it. reyearn.tenant chooses among them. A login (login.hpp) takes the place of all that:
// it stands for one tenant.
//
// Asked for every statement and nearly every row: what was found out is kept by role until roles, memberships, tenants or
// grants change. Such changes come as invalidations, which are taken in at each call. What counts is what is committed
// then, also in a transaction whose snapshot is older.
//
// All functions may raise PostgreSQL errors and hold no C++ objects: call them with none alive, or in pg_call.
#pragma once

#include <optional>

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Serves those who need no tenants.
inline constexpr int kDefaultTenant = 0;

struct Tenant {
  int tenant_id;
  Oid role;  // InvalidOid: none
  const char* name;
  int max_trainings;  // at a time; -1: any number
};

// Whether row security does not apply to the current user: superusers, BYPASSRLS, the owner of the extension.
bool sees_all_tenants();
bool may_use_tenant(int tenant_id);
// The tenants that the current user may use and has not excluded by choosing one: what policies compare with, an int[].
Datum usable_tenants();

// The tenant that the current user acts for; an error when it may use none, or several and has chosen none. Who sees all
// acts for the default tenant unless another is chosen.
int current_tenant();
// Without an error for none and several.
std::optional<int> current_tenant_if_any();

// Any tenant, also one that the current user may not use; nullptr: there is none. Valid until the next call of a function
// here.
const Tenant* find_tenant(const char* name);
const Tenant* find_tenant(int tenant_id);

// Acts for a tenant until it goes, whatever was chosen and whoever is logged in: for what was set up for that tenant, by a
// role that ActsAs stands in for. Whether that role may use the tenant is asked as ever; if it may not, it acts for none.
class ActsFor {
 public:
  // `role`: in the background, where nobody is logged in, what is done is put down to it.
  explicit ActsFor(int tenant_id, Oid role = InvalidOid);
  ~ActsFor();
  ActsFor(const ActsFor&) = delete;

 private:
  std::optional<int> tenant_before_;
  Oid role_before_;
};

// To whom what is done is put down: the role that the session logged in with, or SET ROLE.
Oid acting_role();

// Once, from _PG_init.
void watch_tenants();

}  // namespace reyearn::pg
