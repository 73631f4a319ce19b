#include "pg/label_notes.hpp"

#include <algorithm>
#include <utility>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

using Statements = std::map<std::pair<CommandId, std::int64_t>, std::shared_ptr<LabelledStatement>>;

Statements& statements() {
  static auto* const all = new Statements;
  return *all;
}

LabelNotes::const_iterator find_in(const LabelNotes& notes, const RowIdentity& row) {
  const auto [begin, end] = notes.equal_range(row.key_and_label);
  const auto same = std::find_if(begin, end, [&](const auto& one) { return one.second.text == row.text; });
  if (same != end) return same;
  const auto ours = std::find_if(begin, end, [](const auto& one) { return one.second.origin == Origin::kReyearn; });
  return ours != end ? ours : notes.end();
}

}  // namespace

void LabelledStatement::add(const RowIdentity& row, Origin origin, const PredictedClass& predicted) {
  notes.emplace(row.key_and_label, LabelNote{origin, row.text, predicted});
}

bool LabelledStatement::has(const RowIdentity& row) const { return find_in(notes, row) != notes.end(); }

std::optional<LabelNote> LabelledStatement::take(const RowIdentity& row) {
  const auto found = find_in(notes, row);
  if (found == notes.end()) return std::nullopt;
  const LabelNote note = found->second;
  notes.erase(found);
  return note;
}

std::shared_ptr<LabelledStatement> labelled_statement(CommandId command, std::int64_t attachment_id) {
  std::shared_ptr<LabelledStatement>& statement = statements()[{command, attachment_id}];
  if (!statement) statement = std::make_shared<LabelledStatement>();
  return statement;
}

void move_labelled_statement(CommandId from, CommandId to, std::int64_t attachment_id) {
  auto statement = statements().extract({from, attachment_id});
  if (statement.empty()) return;
  statement.key().first = to;
  statements().erase(statement.key());
  statements().insert(std::move(statement));
}

void forget_labelled_statements() { statements().clear(); }

namespace {

ExecutorEnd_hook_type next_hook = nullptr;

// Those that only read have no number of their own.
bool writes(const QueryDesc* query) { return query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE; }

void end_statement(QueryDesc* query) {
  if (!statements().empty() && query->estate != nullptr && writes(query)) {
    const CommandId command = query->estate->es_output_cid;
    std::erase_if(statements(), [command](const auto& one) { return one.first.first == command; });
  }
  if (next_hook != nullptr) {
    next_hook(query);
  } else {
    standard_ExecutorEnd(query);
  }
}

}  // namespace

void watch_labelled_statements() { next_hook = std::exchange(ExecutorEnd_hook, end_statement); }

}  // namespace reyearn::pg
