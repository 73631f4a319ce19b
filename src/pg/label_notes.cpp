#include "pg/label_notes.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// Kept at most: of those that began first, in which the others may be nested, and of those that began last.
constexpr std::ptrdiff_t kFirstStatements = 32;
constexpr std::size_t kMostStatements = 64;

using Statements = std::map<std::pair<CommandId, std::int64_t>, LabelledStatement>;

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

LabelledStatement& labelled_statement(CommandId command, std::int64_t attachment_id) {
  Statements& all = statements();
  const auto [place, is_new] = all.try_emplace({command, attachment_id});
  if (is_new && all.size() > kMostStatements) all.erase(std::next(all.begin(), kFirstStatements));
  return place->second;
}

void move_labelled_statement(CommandId from, CommandId to, std::int64_t attachment_id) {
  auto statement = statements().extract({from, attachment_id});
  if (statement.empty()) return;
  statement.key().first = to;
  statements().erase(statement.key());
  statements().insert(std::move(statement));
}

void forget_labelled_statements() { statements().clear(); }

}  // namespace reyearn::pg
