#include "pg/tenants.hpp"

#include <algorithm>
#include <cstring>

#include "pg/catalog.hpp"
#include "pg/datum.hpp"
#include "pg/index_scan.hpp"
#include "pg/login.hpp"
#include "pg/name_list.hpp"
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Column numbers, as in sql/install/05_tenants.sql.
enum { kTenantsId = 1, kTenantsName, kTenantsRole, kTenantsMaxTrainings };
enum { kGrantsRole = 1, kGrantsIsDefault };

// A build for the tests of the tests, in which everybody may use all tenants: they must notice. "make unchecked".
#ifdef REYEARN_UNCHECKED
constexpr bool kIsUnchecked = true;
#else
constexpr bool kIsUnchecked = false;
#endif

// What a role may use.
struct Standing {
  Oid role = InvalidOid;  // InvalidOid: a free place
  bool sees_all = false;
  ArrayType* tenants = nullptr;  // int[], ascending
};

constexpr int kMostStandings = 16;
constexpr int kNoTenant = -1;  // numbers of tenants are not negative

// All tenants, and the standings of roles that this backend has lately acted as. It lies in memory of PostgreSQL's, so
// that an error while it is filled leaves nothing behind that the next filling does not clear.
struct Directory {
  MemoryContext context = nullptr;
  bool is_filled = false;
  Oid tenants_table = InvalidOid;
  Oid grants_table = InvalidOid;
  Oid owner = InvalidOid;
  List* tenants = NIL;        // of Tenant*, by tenant_id
  List* default_roles = NIL;  // oids: who may use the default tenant
  Standing standings[kMostStandings] = {};
  int next_standing = 0;  // the place that is taken next
  const char* chosen_name = nullptr;
  int chosen_id = 0;
};

Directory directory;
bool is_outdated = false;
std::optional<int> acting_for;
Oid acting_in_background = InvalidOid;

void read_tenants() {
  IndexScan s = begin_scan("tenants", "tenants_pkey", nullptr, 0, nullptr);
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    bool has_no_role;
    bool has_no_limit;
    const Datum role = column(s, row, kTenantsRole, &has_no_role);
    const Datum limit = column(s, row, kTenantsMaxTrainings, &has_no_limit);
    auto* const tenant = static_cast<Tenant*>(palloc(sizeof(Tenant)));
    *tenant = {DatumGetInt32(column(s, row, kTenantsId)), has_no_role ? InvalidOid : DatumGetObjectId(role),
               c_string(text_view(column(s, row, kTenantsName))), has_no_limit ? -1 : DatumGetInt32(limit)};
    directory.tenants = lappend(directory.tenants, tenant);
  }
  end_scan(s);
}

void read_grants() {
  IndexScan s = begin_scan("grants", "grants_pkey", nullptr, 0, nullptr);
  for (HeapTuple row; HeapTupleIsValid(row = next_row(s));) {
    if (!DatumGetBool(column(s, row, kGrantsIsDefault))) continue;
    directory.default_roles = lappend_oid(directory.default_roles, DatumGetObjectId(column(s, row, kGrantsRole)));
  }
  end_scan(s);
}

void fill() {
  const MemoryContext before = MemoryContextSwitchTo(directory.context);
  directory.tenants_table = relation_oid("tenants");
  directory.grants_table = relation_oid("grants");
  directory.owner = owner_of_relation(directory.tenants_table);
  read_tenants();
  read_grants();
  MemoryContextSwitchTo(before);
}

// A change that comes while it is filled makes it outdated again, and is seen at the next call at the latest: the rows
// are read by a snapshot that is newer than the invalidations taken in.
void bring_up_to_date() {
  AcceptInvalidationMessages();  // a statement that locks nothing new would not take them in
  if (directory.is_filled && !is_outdated) return;
  MemoryContext context = directory.context;
  if (context == nullptr) context = AllocSetContextCreate(TopMemoryContext, "reyearn tenants", ALLOCSET_SMALL_SIZES);
  MemoryContextReset(context);
  directory = Directory{};
  directory.context = context;
  is_outdated = false;
  fill();
  directory.is_filled = true;
}

template <typename Is>
const Tenant* first_tenant(Is is) {
  const ListCell* cell;
  foreach (cell, directory.tenants) {
    const auto* const tenant = static_cast<const Tenant*>(lfirst(cell));
    if (is(*tenant)) return tenant;
  }
  return nullptr;
}

const Tenant* tenant_named(const char* name) {
  return first_tenant([name](const Tenant& tenant) { return std::strcmp(tenant.name, name) == 0; });
}

bool has_privileges_of_any(Oid role, const List* others) {
  const ListCell* cell;
  foreach (cell, others) {
    if (has_privs_of_role(role, lfirst_oid(cell))) return true;
  }
  return false;
}

bool has_role_of(const Standing& standing, const Tenant& tenant) {
  return OidIsValid(tenant.role) && has_privs_of_role(standing.role, tenant.role);
}

// The tenants that a role of this standing may use.
ArrayType* tenants_of(const Standing& standing) {
  auto* ids = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<Size>(list_length(directory.tenants) + 1)));
  int count = 0;
  const ListCell* cell;
  foreach (cell, directory.tenants) {
    const auto& tenant = *static_cast<const Tenant*>(lfirst(cell));
    if (standing.sees_all || has_role_of(standing, tenant)) ids[count++] = Int32GetDatum(tenant.tenant_id);
  }
  // The default tenant is for those who belong to no other.
  if (count == 0 && has_privileges_of_any(standing.role, directory.default_roles)) {
    ids[count++] = Int32GetDatum(kDefaultTenant);
  }
  ArrayType* const array = construct_array(ids, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);
  pfree(ids);
  return array;
}

Standing assess(Oid role) {
  Standing standing{role, superuser_arg(role) || has_bypassrls_privilege(role) || role == directory.owner, nullptr};
  const MemoryContext before = MemoryContextSwitchTo(directory.context);
  standing.tenants = tenants_of(standing);
  MemoryContextSwitchTo(before);
  return standing;
}

// Valid until the next call; what is called with it does not bring the directory up to date.
const Standing& current_standing() {
  bring_up_to_date();
  const Oid role = GetUserId();
  if (!OidIsValid(role)) elog(ERROR, "there is no current role");  // which marks a free place below
  for (const Standing& known : directory.standings) {
    if (known.role == role) return known;
  }
  const Standing standing = assess(role);
  Standing& place = directory.standings[directory.next_standing];
  directory.next_standing = (directory.next_standing + 1) % kMostStandings;
  if (place.tenants != nullptr) pfree(place.tenants);
  place = standing;
  return place;
}

int count_of(const ArrayType* tenants) { return ArrayGetNItems(ARR_NDIM(tenants), ARR_DIMS(tenants)); }
const int* ids_of(const ArrayType* tenants) { return reinterpret_cast<const int*>(ARR_DATA_PTR(tenants)); }

bool contains(const ArrayType* tenants, int tenant_id) {
  return std::binary_search(ids_of(tenants), ids_of(tenants) + count_of(tenants), tenant_id);
}

[[noreturn]] void unknown_tenant(const char* name) {
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("tenant \"%s\" does not exist", name),
                  errdetail("It is what reyearn.tenant names."),
                  errhint("Set reyearn.tenant to a tenant that you may use, or reset it; "
                          "SELECT name FROM reyearn.tenants; lists them.")));
}

void check_choice(int tenant_id) {
  const char* const name = settings().tenant;
  if (name[0] == '\0') return;
  const Tenant* const chosen = tenant_named(name);
  if (chosen == nullptr || chosen->tenant_id != tenant_id) unknown_tenant(name);
}

// The one tenant that a login stands for.
std::optional<int> logged_in_tenant() {
  const Login* const login = current_login();
  if (login == nullptr) return std::nullopt;
  if (login->expires <= GetCurrentStatementStartTimestamp()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("login has expired"),
                    errhint("Begin a new transaction, and call reyearn_login() with a new token.")));
  }
  check_choice(login->tenant_id);
  return login->tenant_id;
}

// The one tenant that reyearn.tenant names, if it names one.
std::optional<int> chosen_tenant(const Standing& standing) {
  const char* const name = settings().tenant;
  if (name[0] == '\0') return std::nullopt;
  if (directory.chosen_name == nullptr || std::strcmp(directory.chosen_name, name) != 0) {
    const Tenant* const tenant = tenant_named(name);
    if (tenant == nullptr) unknown_tenant(name);
    directory.chosen_name = tenant->name;
    directory.chosen_id = tenant->tenant_id;
  }
  if (!kIsUnchecked && !contains(standing.tenants, directory.chosen_id)) unknown_tenant(name);
  return directory.chosen_id;
}

// The one tenant that all is restricted to; while ActsFor stands for one that the role may not use, none at all.
std::optional<int> only_tenant(const Standing& standing) {
  if (acting_for) return contains(standing.tenants, *acting_for) ? *acting_for : kNoTenant;
  const std::optional<int> logged_in = logged_in_tenant();
  return logged_in ? logged_in : chosen_tenant(standing);
}

[[noreturn]] void no_tenant() {
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" may use no tenant", GetUserNameFromId(GetUserId(), false)),
                  errdetail("It inherits the role of no tenant, and reyearn_grant() has not opened the default tenant "
                            "to it."),
                  errhint("Have the role of a tenant granted to it, or call reyearn_login() with a token.")));
}

[[noreturn]] void several_tenants(const Standing& standing) {
  NameList names;
  const char* first = nullptr;
  const ListCell* cell;
  foreach (cell, directory.tenants) {
    const auto& tenant = *static_cast<const Tenant*>(lfirst(cell));
    if (!contains(standing.tenants, tenant.tenant_id)) continue;
    if (first == nullptr) first = tenant.name;
    names.add(tenant.name);
  }
  ereport(ERROR,
          (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
           errmsg("role \"%s\" may use several tenants, and none was chosen", GetUserNameFromId(GetUserId(), false)),
           errdetail("They are %s.", names.text()),
           errhint("Choose one of them, such as SET reyearn.tenant = %s;", quote_literal_cstr(first))));
}

[[noreturn]] void may_not_act(int tenant_id) {
  const Tenant* const tenant = first_tenant([tenant_id](const Tenant& one) { return one.tenant_id == tenant_id; });
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" may not use tenant \"%s\"", GetUserNameFromId(GetUserId(), false),
                         tenant != nullptr ? tenant->name : "?"),
                  errhint("Have the role of the tenant granted to it, or attach the table as another role.")));
  pg_unreachable();
}

}  // namespace

ActsFor::ActsFor(int tenant_id, Oid role) : tenant_before_(acting_for), role_before_(acting_in_background) {
  acting_for = tenant_id;
  acting_in_background = role;
}

ActsFor::~ActsFor() {
  acting_for = tenant_before_;
  acting_in_background = role_before_;
}

Oid acting_role() {
  if (IsBackgroundWorker && OidIsValid(acting_in_background)) return acting_in_background;
  const char* const chosen = GetConfigOption("role", false, false);
  return std::strcmp(chosen, "none") == 0 ? GetSessionUserId() : get_role_oid(chosen, false);
}

bool sees_all_tenants() { return current_standing().sees_all || kIsUnchecked; }

bool may_use_tenant(int tenant_id) {
  const Standing& standing = current_standing();
  if (kIsUnchecked) return true;
  const std::optional<int> only = only_tenant(standing);
  return only ? *only == tenant_id : contains(standing.tenants, tenant_id);
}

Datum usable_tenants() {
  const Standing& standing = current_standing();
  if (kIsUnchecked) return PointerGetDatum(tenants_of({.sees_all = true}));
  if (const std::optional<int> only = only_tenant(standing)) {
    Datum id = Int32GetDatum(*only);
    return PointerGetDatum(construct_array(&id, 1, INT4OID, sizeof(int32), true, TYPALIGN_INT));
  }
  return datumCopy(PointerGetDatum(standing.tenants), false, -1);
}

std::optional<int> current_tenant_if_any() {
  const Standing& standing = current_standing();
  if (const std::optional<int> only = only_tenant(standing)) return *only == kNoTenant ? std::nullopt : only;
  if (standing.sees_all) return kDefaultTenant;
  if (count_of(standing.tenants) == 1) return ids_of(standing.tenants)[0];
  return std::nullopt;
}

int current_tenant() {
  if (const std::optional<int> tenant = current_tenant_if_any()) return *tenant;
  const Standing& standing = current_standing();
  if (acting_for) may_not_act(*acting_for);
  if (count_of(standing.tenants) == 0) no_tenant();
  several_tenants(standing);
}

const Tenant* find_tenant(const char* name) {
  bring_up_to_date();
  return tenant_named(name);
}

const Tenant* find_tenant(int tenant_id) {
  bring_up_to_date();
  return first_tenant([tenant_id](const Tenant& tenant) { return tenant.tenant_id == tenant_id; });
}

void watch_tenants() {
  CacheRegisterSyscacheCallback(
      AUTHOID, [](Datum, int, uint32) { is_outdated = true; }, Datum{0});
  CacheRegisterSyscacheCallback(
      AUTHMEMROLEMEM, [](Datum, int, uint32) { is_outdated = true; }, Datum{0});
  CacheRegisterRelcacheCallback(
      [](Datum, Oid table) {
        const bool is_ours = table == directory.tenants_table || table == directory.grants_table;
        if (table == InvalidOid || is_ours) is_outdated = true;
      },
      Datum{0});
}

}  // namespace reyearn::pg
