// Deployments: what a transaction that changes which version is live does for those who predict.
//
// That a version is live is a row like any other, and readers go by it alone (serving.hpp). This is about memory: the
// new version is brought into shared memory before the commit, so that the first to predict with it need not wait, and
// what it replaces is retired after it. Where this does not run (a standby, COMMIT PREPARED) the first to load the new
// version does both.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

// Before the commit: loads the versions that are about to go live, if their models are in use. Throws PgError.
void prepare_deployments();
// After the commit, and raising no errors: makes them live in shared memory, and retires what they replace.
void complete_deployments();
// At the end of every transaction: forgets what is left of it.
void forget_deployments();

}  // namespace reyearn::pg
