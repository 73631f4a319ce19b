// NameList: names for an error that lists them, quoted, and no more than can be read.
//
// In memory of PostgreSQL's, so that there is nothing to destroy: functions may raise PostgreSQL errors.
#pragma once

#include <string_view>

#include "pg/postgres.hpp"

namespace reyearn::pg {

class NameList {
 public:
  NameList() { initStringInfo(&names_); }

  void add(std::string_view name) {
    constexpr int kMostNames = 20;
    if (++count_ == kMostNames + 1) appendStringInfoString(&names_, ", and more");
    if (count_ > kMostNames) return;
    appendStringInfo(&names_, "%s\"%.*s\"", count_ > 1 ? ", " : "", static_cast<int>(name.size()), name.data());
  }
  int count() const { return count_; }
  const char* text() const { return names_.data; }

 private:
  StringInfoData names_;
  int count_ = 0;
};

}  // namespace reyearn::pg
