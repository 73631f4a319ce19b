// ActsAs: acts with the rights of a role, and with none that code it runs could pass on, until it goes. An error ends
// that too: PostgreSQL goes back to the role of the transaction's begin.
#pragma once

#include "pg/postgres.hpp"

namespace reyearn::pg {

class ActsAs {
 public:
  explicit ActsAs(Oid role) {
    GetUserIdAndSecContext(&role_before_, &context_before_);
    SetUserIdAndSecContext(role, context_before_ | SECURITY_RESTRICTED_OPERATION);
  }
  ~ActsAs() { SetUserIdAndSecContext(role_before_, context_before_); }
  ActsAs(const ActsAs&) = delete;

 private:
  Oid role_before_;
  int context_before_;
};

}  // namespace reyearn::pg
