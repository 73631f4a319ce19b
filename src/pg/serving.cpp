// Which version is live follows from the active snapshot, so the answer may be kept as long as the snapshot shows the
// same. Two snapshots of one transaction do when xmin, xmax, the number of transactions in progress and the current
// command agree: below the same xmax the set of transactions in progress only shrinks. A rollback to a savepoint takes
// changes back without a new command, so it is counted beside them.
#include "pg/serving.hpp"

#include <limits>

#include "core/error.hpp"
#include "pg/call_site.hpp"
#include "pg/guard.hpp"
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

std::uint64_t rollbacks_to_savepoint = 0;

struct SnapshotIdentity {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  TransactionId xmin = 0;
  TransactionId xmax = 0;
  uint32 in_progress = 0;
  int32 subtransactions = 0;
  CommandId command = 0;
  std::uint64_t rollbacks = 0;

  bool operator==(const SnapshotIdentity&) const = default;
};

SnapshotIdentity identify(Snapshot snapshot) {
  return {local_transaction_id(), snapshot->xmin,   snapshot->xmax,        snapshot->xcnt,
          snapshot->subxcnt,      snapshot->curcid, rollbacks_to_savepoint};
}

// Who asks for which model. The role and the default may change between two calls with the same snapshot.
struct Request {
  Oid role;
  bool is_default;
  std::string_view name;
};

Request identify(std::string_view name) {
  const bool is_default = name.data() == nullptr;
  return {GetUserId(), is_default, is_default ? std::string_view(settings().default_model) : name};
}

// What a call site keeps between calls.
struct ServingSite {
  SnapshotIdentity snapshot;
  Oid role = InvalidOid;
  bool is_default = false;
  std::string name;
  std::unique_ptr<ServedModel> served;

  bool is_current(const SnapshotIdentity& now, const Request& request) const {
    return served && snapshot == now && role == request.role && is_default == request.is_default &&
           name == request.name;
  }
};

void count_rollbacks(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (event == SUBXACT_EVENT_ABORT_SUB) ++rollbacks_to_savepoint;
}

}  // namespace

void watch_subtransactions() { RegisterSubXactCallback(count_rollbacks, nullptr); }

VersionRow require_live_version(const ModelRow& model, Snapshot snapshot) {
  const std::optional<VersionRow> live = find_live_version(model, snapshot);
  if (live) return *live;
  const char* name = model_name(model, snapshot);
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

ServedModel& served_model(FunctionCallInfo fcinfo, std::string_view name) {
  ServingSite& site = call_site<ServingSite>(fcinfo);
  const Snapshot snapshot = GetActiveSnapshot();
  const SnapshotIdentity now = identify(snapshot);
  const Request request = identify(name);
  if (site.is_current(now, request)) return *site.served;

  site.served.reset();
  const VersionRow version = pg_call([&] {
    check_may_read("models");
    return require_live_version(find_model(name, snapshot), snapshot);
  });
  site.served = std::make_unique<ServedModel>(version, load_model(version, snapshot));
  site.snapshot = now;
  site.role = request.role;
  site.is_default = request.is_default;
  site.name = request.name;
  return *site.served;
}

const ServedClass* ServedModel::find_class(std::uint32_t class_index, Snapshot snapshot) {
  std::optional<ServedClass>& known = classes_[class_index];
  if (!known) {
    known.emplace();
    const ClassRow row =
        pg_call([&] { return find_class_row(version_.tenant_id, view().class_id(class_index), snapshot); });
    if (row.exists) {
      const char* label = DatumGetPointer(row.label);
      known->class_id = row.class_id;
      known->label.assign(label, label + VARSIZE_ANY(label));
      pg_call([&] { pfree(DatumGetPointer(row.label)); });
    }
  }
  return known->label.empty() ? nullptr : &*known;
}

std::uint32_t ServedModel::best_existing_class(std::span<const double> scores, Snapshot snapshot) {
  const std::uint32_t best = best_class(scores);
  if (find_class(best, snapshot) != nullptr) return best;
  std::optional<std::uint32_t> next;
  for (std::uint32_t c = 0; c < scores.size(); ++c) {
    if (find_class(c, snapshot) != nullptr && (!next || scores[c] > scores[*next])) next = c;
  }
  if (!next) {
    throw Error(ErrorCode::kNotEnoughData, "all classes that the model predicts were dropped",
                "Version " + std::to_string(version_.version) + " was trained before.", "Train the model again.");
  }
  return *next;
}

}  // namespace reyearn::pg
