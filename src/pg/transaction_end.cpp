#include "pg/transaction_end.hpp"

#include "pg/announcements.hpp"
#include "pg/deployment.hpp"
#include "pg/guard.hpp"
#include "pg/label_notes.hpp"
#include "pg/serving.hpp"
#include "pg/shared_models.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Before what has been pinned can be unmapped, those who pin let go.
void let_go() {
  forget_announcements();
  forget_deployments();
  forget_labelled_statements();
  if (has_outdated_models()) forget_outdated_served_models();
  finish_with_models();
}

// After a commit or an abort nothing may fail.
void at_transaction_event(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      guard([] {
        prepare_deployments();
        send_announcements();
      });
      break;
    case XACT_EVENT_COMMIT:
      complete_deployments();
      wake_for_announcements();
      let_go();
      break;
    case XACT_EVENT_PREPARE:
      leave_announcements_to_probe();
      let_go();
      break;
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      let_go();
      break;
    case XACT_EVENT_PRE_PREPARE:
      guard([] { find_background(); });
      break;
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
      break;
  }
}

void at_savepoint_event(SubXactEvent event, SubTransactionId savepoint, SubTransactionId parent, void*) {
  if (event == SUBXACT_EVENT_COMMIT_SUB) keep_announcements(savepoint, parent);
  if (event != SUBXACT_EVENT_ABORT_SUB) return;
  drop_announcements(savepoint);
  count_rollback_to_savepoint();
}

}  // namespace

void watch_transactions() {
  RegisterXactCallback(at_transaction_event, nullptr);
  RegisterSubXactCallback(at_savepoint_event, nullptr);
}

}  // namespace reyearn::pg
