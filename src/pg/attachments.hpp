// Attachments: tables of applications whose labels fill themselves, and what was written into them.
//
//   reyearn.attached_tables  one row an attachment: table, model, and the role that attached it
//   reyearn.attached_rows    what we wrote into a row of a table, the last
//   reyearn.learned_rows     of which text of a row was learned what people said
//   reyearn.waiting_rows     rows that are to be labelled later
//
// They are read and written here by index, without SPI and past row security: triggers do so for every row of others'
// statements. Rows are known by their primary keys; those with keys longer than fits into an index are not remembered.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "pg/catalog.hpp"
#include "pg/label_notes.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct Attachment {
  int tenant_id;
  std::int64_t attachment_id;
  Oid relation;
  int model_tenant_id;
  std::int64_t model_id;
  Oid owner;
  int times_attached;
  RowState state;
  std::string model;  // its name, as the owner calls it; empty: it was dropped

  bool learns() const { return model_tenant_id == tenant_id; }
};

// The attachment of `relation`, if this backend knows it and the snapshot shows it as it was; else nullptr. Throws PgError.
std::shared_ptr<const Attachment> known_attachment(std::int64_t attachment_id, Oid relation, Snapshot snapshot);

// Looks it up, with the name of its model. An error when there is none, or it is not that of `relation` nor of a table
// above it. Throws PgError, Error.
std::shared_ptr<const Attachment> find_attachment(std::int64_t attachment_id, Oid relation, Snapshot snapshot);

// Whether any table of any tenant was ever attached. May raise PostgreSQL errors.
bool is_anything_attached();

// What we wrote last into a row. Functions from here on may raise PostgreSQL errors and hold no C++ objects.
struct WrittenLabel {
  Datum label;  // text, in the current context
  PredictedClass predicted;
  std::int64_t text_hash;  // of the text that it was predicted for
};

// `key`: text[]. `snapshot`: nullptr for what is committed now.
std::optional<WrittenLabel> find_written_label(const Attachment& attachment, Datum key, Snapshot snapshot = nullptr);

// Whether this is the label that the class has now that was predicted: it may have been renamed or merged since.
bool is_now_called(const Attachment& attachment, const WrittenLabel& written, Datum label, Snapshot snapshot);

// By whoever has the row locked: he alone writes what is remembered of it.
// `is_new`: the row is, so most likely there is nothing of its key yet.
void keep_written_label(const Attachment& attachment, Datum key, const WrittenLabel& written, bool is_new);
void forget_written_label(const Attachment& attachment, Datum key);

// By anybody: nothing here waits for others.
void note_learned(int tenant_id, std::int64_t attachment_id, int times_attached, Datum key, std::int64_t text_hash);
bool is_learned(const Attachment& attachment, Datum key, std::int64_t text_hash);
// Since the table was attached, of whatever text.
bool is_learned_anew(const Attachment& attachment, Datum key, Snapshot snapshot);
bool add_waiting(int tenant_id, std::int64_t attachment_id, Datum key);
bool is_waiting(const Attachment& attachment, Datum key);
void stop_waiting(const Attachment& attachment, Datum key);

// Whether rows of this key are remembered.
bool fits(Datum key);

// By which a text is known again.
std::int64_t text_hash(Datum text);

}  // namespace reyearn::pg
