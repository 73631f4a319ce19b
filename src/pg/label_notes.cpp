#include "pg/label_notes.hpp"

#include <algorithm>
#include <list>

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// More than statements are nested in each other and attachments on one table; older ones have ended.
constexpr std::size_t kMostStatements = 32;

// The newest comes first.
std::list<LabelledStatement>& statements() {
  static auto* const all = new std::list<LabelledStatement>;
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

const LabelNote* LabelledStatement::find(const RowIdentity& row) const {
  const auto found = find_in(notes, row);
  return found == notes.end() ? nullptr : &found->second;
}

std::optional<LabelNote> LabelledStatement::take(const RowIdentity& row) {
  const auto found = find_in(notes, row);
  if (found == notes.end()) return std::nullopt;
  const LabelNote note = found->second;
  notes.erase(found);
  return note;
}

LabelledStatement& labelled_statement(CommandId command, std::int64_t attachment_id) {
  std::list<LabelledStatement>& all = statements();
  const auto known = std::find_if(all.begin(), all.end(), [&](const LabelledStatement& one) {
    return one.command == command && one.attachment_id == attachment_id;
  });
  if (known != all.end()) {
    if (known != all.begin()) all.splice(all.begin(), all, known);
    return *known;
  }
  if (all.size() == kMostStatements) all.pop_back();
  all.push_front({command, attachment_id, nullptr, false, false, {}});
  return all.front();
}

void forget_labelled_statements() { statements().clear(); }

}  // namespace reyearn::pg
