// Remembering by snapshot. Two snapshots show the same committed rows when xmin, xmax and the number of transactions in
// progress agree: below the same xmax the set of transactions in progress only shrinks. What the own transaction has
// written besides depends on the command, and a rollback to a savepoint takes changes back without a new command; all
// that matters only once the transaction has an id. A serializable transaction has to read the rows itself once, so that
// PostgreSQL sees on what it depends. On a server where nobody writes, finding the version again is a
// comparison of a few words.
//
// Where others write, the snapshot is a new one every time. Then the rows that the answer came from are looked at where
// they lie: if the snapshot shows the model's row and the version's row in the very state they were found in, the answer
// still holds, since a snapshot shows one live version of a model. Only otherwise is it looked up.
#include "pg/serving.hpp"

#include <algorithm>
#include <list>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "pg/call_site.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

std::uint64_t rollbacks_to_savepoint = 0;

SnapshotIdentity identify(Snapshot snapshot) {
  SnapshotIdentity identity;
  identity.xmin = snapshot->xmin;
  identity.xmax = snapshot->xmax;
  identity.in_progress = snapshot->xcnt;
  identity.subtransactions = snapshot->subxcnt;
  identity.is_of_recovery = snapshot->takenDuringRecovery;
  const bool has_written = TransactionIdIsValid(GetTopTransactionIdIfAny());
  if (has_written || IsolationIsSerializable()) identity.transaction = local_transaction_id();
  if (has_written) {
    identity.command = snapshot->curcid;
    identity.rollbacks = rollbacks_to_savepoint;
  }
  return identity;
}

// Who asks for which model, and for which tenant. All that may change between two calls with the same snapshot.
struct Request {
  Oid role;
  std::optional<int> tenant;
  bool is_default;
  std::string_view name;

  bool names_none() const { return is_default && name.empty(); }
};

Request identify(std::string_view name) {
  const bool is_default = name.data() == nullptr;
  const std::optional<int> tenant = pg_call([] { return current_tenant_if_any(); });
  return {GetUserId(), tenant, is_default, is_default ? std::string_view(settings().default_model) : name};
}

// What was found for a request.
struct Answer {
  Oid role = InvalidOid;
  std::optional<int> tenant;
  bool is_default = false;
  std::string name;
  ModelRow model;
  std::shared_ptr<ServedModel> served;
  SnapshotIdentity checked_for;

  bool is_to(const Request& request) const {
    return role == request.role && tenant == request.tenant && is_default == request.is_default && name == request.name;
  }
};

// Fewer than a backend can hold in shared memory, so that a statement finds places for others.
constexpr std::size_t kMostAnswers = 8;

// The answers of this backend, given last come first. Never destroyed: pins must not be touched when the process exits.
std::list<Answer>& answers() {
  static auto* const all = new std::list<Answer>;
  return *all;
}

// What a call site keeps between calls.
struct ServingSite {
  Answer answer;
};

// Rights last: to look at the rows takes in what others have changed of them.
bool still_holds(const Answer& answer, const Request& request, Snapshot snapshot) {
  const ModelRow& model = answer.model;
  if (!shows(snapshot, model.state) || !shows(snapshot, answer.served->version().state)) return false;
  if (!may_read(model.state.table)) return false;
  if (request.tenant != current_tenant_if_any()) return false;
  if (model.is_shared ? !shows(snapshot, model.share) : !may_use_tenant(model.tenant_id)) return false;
  // Another model may have been created beside what was the only one.
  return !request.names_none() || find_model({}, snapshot).model_id == model.model_id;
}

Answer* find_answer(const Request& request, const SnapshotIdentity& now, Snapshot snapshot) {
  std::list<Answer>& all = answers();
  const auto known = std::find_if(all.begin(), all.end(), [&](const Answer& answer) { return answer.is_to(request); });
  if (known == all.end() || known->served->loaded().may_be_shared_now()) return nullptr;
  if (known->checked_for != now) {
    if (!pg_call([&] { return still_holds(*known, request, snapshot); })) return nullptr;
    known->checked_for = now;
  }
  all.splice(all.begin(), all, known);
  return &all.front();
}

Answer& look_up(std::string_view name, const Request& request, const SnapshotIdentity& now, Snapshot snapshot) {
  Answer answer{request.role, request.tenant, request.is_default, std::string(request.name), {}, nullptr, now};
  const VersionRow version = pg_call([&] {
    check_may_read("models");
    answer.model = find_model(name, snapshot);
    return require_live_version(answer.model, snapshot);
  });
  answer.served = std::make_shared<ServedModel>(version, load_model(version, snapshot), answer.model.is_shared);
  std::list<Answer>& all = answers();
  all.remove_if([&](const Answer& known) { return known.is_to(request); });
  all.push_front(std::move(answer));
  if (all.size() > kMostAnswers) all.pop_back();
  return all.front();
}

}  // namespace

void count_rollback_to_savepoint() { ++rollbacks_to_savepoint; }

void forget_outdated_served_models() {
  answers().remove_if([](const Answer& answer) { return answer.served->loaded().is_outdated(); });
}

VersionRow require_live_version(const ModelRow& model, Snapshot snapshot) {
  const std::optional<VersionRow> live = find_live_version(model, snapshot);
  if (live) return *live;
  const char* name = model_name(model, snapshot);
  if (model.is_shared) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("model \"%s\" has no live version", name),
                    errhint("Ask the tenant that shares it.")));
  }
  const int newest = newest_version(model, snapshot);
  if (newest == 0) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("model \"%s\" has no live version", name),
                    errdetail("It has not been trained yet."),
                    errhint("Call SELECT * FROM reyearn_train(%s);", quote_literal_cstr(name))));
  }
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("model \"%s\" has no live version", name),
                  errdetail("Its newest version, %d, was not promoted.", newest),
                  errhint("Call reyearn_promote(%s, %d).", quote_literal_cstr(name), newest)));
  pg_unreachable();
}

namespace {

// The answer of a call site, brought up to date from what the backend knows; nullptr: it must be looked up.
Answer* known_answer(FunctionCallInfo fcinfo, const Request& request, const SnapshotIdentity& now, Snapshot snapshot) {
  Answer& answer = call_site<ServingSite>(fcinfo).answer;
  if (answer.served && answer.checked_for == now && answer.is_to(request)) return &answer;
  const Answer* const found = find_answer(request, now, snapshot);
  if (found == nullptr) return nullptr;
  answer = *found;
  return &answer;
}

}  // namespace

ServedModel* known_served_model(FunctionCallInfo fcinfo, std::string_view name) {
  const Snapshot snapshot = GetActiveSnapshot();
  const SnapshotIdentity now = identify(snapshot);
  Answer* const answer = known_answer(fcinfo, identify(name), now, snapshot);
  if (answer == nullptr) return nullptr;
  answer->served->set_snapshot(snapshot, now);
  return answer->served.get();
}

ServedModel& served_model(FunctionCallInfo fcinfo, std::string_view name) {
  const Snapshot snapshot = GetActiveSnapshot();
  const SnapshotIdentity now = identify(snapshot);
  const Request request = identify(name);
  Answer* answer = known_answer(fcinfo, request, now, snapshot);
  if (answer == nullptr) {
    answer = &call_site<ServingSite>(fcinfo).answer;
    *answer = look_up(name, request, now, snapshot);
  }
  answer->served->set_snapshot(snapshot, now);
  return *answer->served;
}

std::span<const double> ServedModel::scores(std::string_view body) {
  const CallTimer timer(*model_);
  return predictor_.scores(body, check_for_interrupts);
}

const ServedClass* ServedModel::find_class(std::uint32_t class_index) {
  ServedClass& known = classes_[class_index];
  if (known.checked_for != snapshot_identity_) {
    if (known.label.empty() || !pg_call([&] { return shows(snapshot_, known.state); })) look_up(class_index, known);
    known.checked_for = snapshot_identity_;
  }
  return known.label.empty() ? nullptr : &known;
}

void ServedModel::look_up(std::uint32_t class_index, ServedClass& known) {
  known.label.clear();
  const ClassRow row =
      pg_call([&] { return find_class_row(version_.tenant_id, view().class_id(class_index), snapshot_); });
  if (!row.exists) return;
  const char* label = DatumGetPointer(row.label);
  known.class_id = row.class_id;
  known.state = row.state;
  known.label.assign(label, label + VARSIZE_ANY(label));
  pg_call([&] { pfree(DatumGetPointer(row.label)); });
}

std::uint32_t ServedModel::best_existing_class(std::span<const double> scores) {
  const std::uint32_t best = best_class(scores);
  if (find_class(best) != nullptr) return best;
  std::optional<std::uint32_t> next;
  for (std::uint32_t c = 0; c < scores.size(); ++c) {
    if (find_class(c) != nullptr && (!next || scores[c] > scores[*next])) next = c;
  }
  if (!next) {
    throw Error(ErrorCode::kNotEnoughData, "all classes that the model predicts were dropped",
                "Version " + std::to_string(version_.version) + " was trained before.", "Train the model again.");
  }
  return *next;
}

}  // namespace reyearn::pg
