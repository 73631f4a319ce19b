// What the BEFORE triggers of a statement leave for its AFTER triggers: whose label each row got.
//
// A note is found by the command that wrote the row, the attachment, the event, the row's key, label and text. Only what
// both triggers agree on counts: a row that was cancelled, or changed by other triggers in between, leaves a note that
// nobody asks for, and an AFTER trigger without a note does nothing. So nothing is taken for a person's label that was not
// one, whatever happens in between.
//
// Numbers of commands are not used twice in a transaction, not by a savepoint that is rolled back neither: notes of
// statements that failed are never asked for, and go with the transaction. Those of others go when the executor ends them.
// They take about 70 bytes a row of the statement.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct Attachment;

enum class Origin : std::uint8_t {
  kReyearn,
  kPerson,
  kNobody,   // it was there before
  kWaiting,  // there is none: it could not be predicted
};

// A row as notes know it: hashes of its parts.
struct RowIdentity {
  std::uint64_t key_and_label;  // and the event
  std::uint32_t text;
};

// What was predicted for a row.
struct PredictedClass {
  std::int64_t class_id = 0;
  std::int64_t version_id = 0;
  float probability = 0;
};

struct LabelNote {
  Origin origin;
  std::uint32_t text;
  PredictedClass predicted;
};

// The label that the row inserted last got from us, by its hash.
struct GivenLast {
  std::uint32_t label;
  PredictedClass predicted;
};

using LabelNotes = std::unordered_multimap<std::uint64_t, LabelNote>;

// One statement, as far as one attachment is concerned.
struct LabelledStatement {
  std::shared_ptr<const Attachment> attachment;  // once it was looked up
  bool gave_up = false;                          // nothing more is predicted
  std::string trouble;                           // why
  bool has_warned = false;
  std::map<std::pair<Oid, std::int64_t>, std::string> refusals;  // of tables and classes; empty: it lets the label in
  std::optional<GivenLast> given_last;                           // until the statement's next row
  LabelNotes notes;

  void add(const RowIdentity& row, Origin origin, const PredictedClass& predicted = {});
  bool has(const RowIdentity& row) const;
  // Takes the note of a row out. Of a label that is ours, also if the text has changed since: it still is.
  std::optional<LabelNote> take(const RowIdentity& row);
};

// Whoever has it keeps it: code of the application, which may run meanwhile, can end other statements and begin new ones.
std::shared_ptr<LabelledStatement> labelled_statement(CommandId command, std::int64_t attachment_id);

// The rows of a statement are written by another command than was expected.
void move_labelled_statement(CommandId from, CommandId to, std::int64_t attachment_id);

// At the end of a transaction. Raises no errors.
void forget_labelled_statements();

// Once, from _PG_init.
void watch_labelled_statements();

}  // namespace reyearn::pg
