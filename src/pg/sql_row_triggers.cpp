// The triggers of attached tables: reyearn.label_row and reyearn.learn_row.
//
// label_row comes before the row is written and fills its label; it notes whose label each row got. learn_row comes after
// all of the statement's rows are written, and finds by these notes what has come of it (label_notes.hpp): our labels are
// remembered by the row's primary key, people's become annotations.
//
// Both act as the role that attached the table and for its tenant. What is known from before is used without ado; what has
// to be looked up, and learning, may fail, and runs in a subtransaction: the application's statement goes on without.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.hpp"
#include "pg/acts_as.hpp"
#include "pg/announcements.hpp"
#include "pg/attached_row.hpp"
#include "pg/attachments.hpp"
#include "pg/call_function.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/label_constraints.hpp"
#include "pg/label_notes.hpp"
#include "pg/predicts_anew.hpp"
#include "pg/restoring.hpp"
#include "pg/serving.hpp"
#include "pg/subtransaction.hpp"
#include "pg/tenants.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

// One call of a trigger. Plain data.
struct Call {
  FunctionCallInfo fcinfo;
  const TriggerData* trigger;
  AttachedColumns columns;
  HeapTuple row;  // as it is to be, or is
  HeapTuple old;  // of an UPDATE

  bool is_insert() const { return TRIGGER_FIRED_BY_INSERT(trigger->tg_event); }
  Value text() const { return value_of(columns, row, columns.text); }
  Value label() const { return value_of(columns, row, columns.label); }
  Value old_text() const { return value_of(columns, old, columns.text); }
  Value old_label() const { return value_of(columns, old, columns.label); }
  // 0 without a text, which another trigger may have taken away.
  std::int64_t text_hash() const { return text().is_null ? 0 : reyearn::pg::text_hash(text().datum); }
  bool changes_text() const { return differ(columns, columns.text, old_text(), text()); }
  bool changes_label() const { return differ(columns, columns.label, old_label(), label()); }
  RowIdentity identity() const { return identity_of(columns, row, is_insert()); }
  RowIdentity identity_when_inserted() const { return identity_of(columns, row, true); }
  std::uint32_t label_hash() const { return reyearn::pg::label_hash(columns, row); }
  // Whether an UPDATE may delete the row here and insert it into another partition: these have the key in their bounds.
  bool may_move() const { return trigger->tg_relation->rd_rel->relispartition && keys_differ(columns, old, row); }
};

Call read_call(FunctionCallInfo fcinfo, bool is_before) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "not called by a trigger");
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  const TriggerEvent event = trigger->tg_event;
  const bool is_update = TRIGGER_FIRED_BY_UPDATE(event);
  if (!TRIGGER_FIRED_FOR_ROW(event) || TRIGGER_FIRED_BEFORE(event) != is_before ||
      !(is_update || TRIGGER_FIRED_BY_INSERT(event))) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" was not made by reyearn_attach()", trigger->tg_trigger->tgname)));
  }
  return {fcinfo, trigger, attached_columns(trigger), is_update ? trigger->tg_newtuple : trigger->tg_trigtuple,
          is_update ? trigger->tg_trigtuple : nullptr};
}

// --- What went wrong.

// Tells it, once a statement. The message says what the statement does without.
void warn(const Call& call, LabelledStatement& statement, const char* without, const Failure& failure) {
  if (std::exchange(statement.has_warned, true)) return;
  pg_call([&] {
    ereport(WARNING, (errcode(failure.sqlstate != 0 ? failure.sqlstate : ERRCODE_INTERNAL_ERROR),
                      errmsg("%s table \"%s\": %s", without, RelationGetRelationName(call.trigger->tg_relation),
                             failure.message),
                      failure.detail[0] != '\0' ? errdetail_internal("%s", failure.detail) : 0,
                      failure.hint[0] != '\0' ? errhint("%s", failure.hint) : 0));
  });
}

// Keeps it for the view, if nobody else is about to.
void note_error(const LabelledStatement& statement, const Failure& failure) {
  if (!statement.attachment) return;
  const Attachment& attachment = *statement.attachment;
  const ActsAs acting(pg_call([] { return extension_owner(); }));
  const ActsFor tenant(attachment.tenant_id);
  Failure ignored;
  (void)in_subtransaction(
      [&] {
        // By rows that are committed: in an older snapshot another session's note would be a conflict.
        if (pg_call([] { return IsolationUsesXactSnapshot(); })) return;
        pg_call([&] {
          call_function("note_attachment_error", {INT4OID, INT8OID, TEXTOID},
                        {{Int32GetDatum(attachment.tenant_id), false},
                         {Int64GetDatum(attachment.attachment_id), false},
                         {CStringGetTextDatum(failure.message), false}});
        });
      },
      ignored);
}

constexpr char kNotLabelled[] = "could not label rows of";
constexpr char kNotLearned[] = "could not learn from rows of";

void give_up(const Call& call, LabelledStatement& statement, const Failure& failure) {
  statement.gave_up = true;
  statement.trouble = failure.message;
  warn(call, statement, kNotLabelled, failure);
  note_error(statement, failure);
}

// --- The attachment.

// nullptr: there is none; that has been told.
const Attachment* attachment_of(const Call& call, LabelledStatement& statement) {
  if (statement.attachment) return statement.attachment.get();
  if (statement.gave_up) return nullptr;
  const Snapshot snapshot = GetActiveSnapshot();
  const Oid relation = RelationGetRelid(call.trigger->tg_relation);
  statement.attachment = known_attachment(call.columns.attachment_id, relation, snapshot);
  if (statement.attachment) return statement.attachment.get();
  Failure failure;
  auto look_up = [&] { statement.attachment = find_attachment(call.columns.attachment_id, relation, snapshot); };
  if (!in_subtransaction(look_up, failure)) give_up(call, statement, failure);
  return statement.attachment.get();
}

std::shared_ptr<LabelledStatement> statement_of(const Call& call, CommandId command) {
  return labelled_statement(command, call.columns.attachment_id);
}

bool is_written(const WrittenLabel& written, Datum label) { return text_view(written.label) == text_view(label); }

std::optional<WrittenLabel> written_into(const Call& call, const Attachment& attachment, HeapTuple row) {
  return pg_call([&] { return find_written_label(attachment, key_of(call.columns, row)); });
}

// What we wrote into the row, if that is still its label. Throws PgError.
std::optional<WrittenLabel> our_label(const Call& call, const Attachment& attachment, HeapTuple row) {
  return pg_call([&]() -> std::optional<WrittenLabel> {
    const Value label = value_of(call.columns, row, call.columns.label);
    if (label.is_null) return std::nullopt;
    const std::optional<WrittenLabel> written = find_written_label(attachment, key_of(call.columns, row));
    return written && is_written(*written, text_of_label(call.columns, label)) ? written : std::nullopt;
  });
}

// --- Labelling.

struct Prediction {
  GivenLabel given;
  PredictedClass predicted;
};

bool is_of(const ServedModel& served, const Attachment& attachment) {
  return served.version().tenant_id == attachment.model_tenant_id && served.version().model_id == attachment.model_id;
}

// The live version of the model; nullptr: there is none to be had, and that has been told.
ServedModel* serve(const Call& call, LabelledStatement& statement) {
  ServedModel* served = known_served_model(call.fcinfo, statement.attachment->model);
  if (served != nullptr && is_of(*served, *statement.attachment)) return served;
  Failure failure;
  auto look_up = [&] {
    // Anew: the model may have been renamed.
    statement.attachment =
        find_attachment(call.columns.attachment_id, RelationGetRelid(call.trigger->tg_relation), GetActiveSnapshot());
    if (statement.attachment->model.empty()) {
      throw Error(ErrorCode::kUnknownName, "the model that the table is attached to does not exist", "",
                  "Detach the table with reyearn_detach(), or attach it to another model.");
    }
    served = &served_model(call.fcinfo, statement.attachment->model);
  };
  if (in_subtransaction(look_up, failure)) return served;
  give_up(call, statement, failure);
  return nullptr;
}

float probability_of(std::span<const double> scores, std::uint32_t best, bool is_rounded) {
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - scores[best]);
  const double probability = std::min(1 / sum, 1.0);
  return static_cast<float>(is_rounded ? std::round(probability * 1000) / 1000 : probability);
}

// Why the table refuses the label of a class; empty: it does not. With the rights of whoever writes.
std::string refusal_of(const Call& call, LabelledStatement& statement, const Prediction& prediction) {
  const Relation table = call.trigger->tg_relation;
  if (!pg_call([&] { return may_refuse_labels(table); })) return {};
  const std::pair place(RelationGetRelid(table), prediction.predicted.class_id);
  if (const auto known = statement.refusals.find(place); known != statement.refusals.end()) return known->second;
  Failure failure;
  const char* refusal = nullptr;
  auto ask = [&] {
    refusal = pg_call([&] { return label_refusal(table, call.columns.label, prediction.given.label); });
  };
  std::string why;
  if (!in_subtransaction(ask, failure)) {
    why = std::string("could not be checked against its constraints: ") + failure.message;
  } else if (refusal != nullptr) {
    why = refusal;
  }
  statement.refusals.emplace(place, why);
  return why;
}

[[noreturn]] void refuse_label(std::string_view label, const std::string& why, const char* hint) {
  const std::string name(label);
  throw Error(ErrorCode::kInvalidArgument, "label \"" + name + "\" " + why, "", hint);
}

Prediction predict_label(const Call& call, ServedModel& served, std::string_view body) {
  const std::span<const double> scores = served.scores(body);
  const std::uint32_t best = served.best_existing_class(scores);
  const float probability = probability_of(scores, best, served.is_shared());
  const ServedClass& found = *served.find_class(best);
  const Datum label = PointerGetDatum(found.label.data());
  struct Fitted {
    bool fits;
    Datum datum;
  };
  const Fitted fitted = pg_call([&] {
    const std::optional<Datum> value = label_for_column(call.columns, label);
    return Fitted{value.has_value(), value.value_or(Datum{0})};
  });
  if (!fitted.fits) {
    refuse_label(pg_call([&] { return label_of(label); }), "does not fit the column",
                 "Give the column's type what is missing.");
  }
  return {{fitted.datum, probability, served.version().version},
          {found.class_id, served.version().version_id, probability}};
}

std::optional<Prediction> predict_as_owner(const Call& call, LabelledStatement& statement) {
  const ActsAs acting(statement.attachment->owner);
  const ActsFor tenant(statement.attachment->tenant_id);
  ServedModel* const served = serve(call, statement);
  if (served == nullptr) return std::nullopt;
  return predict_label(call, *served, pg_call([&] { return utf8_view(call.text().datum); }));
}

// With a text. No value: there is no version to predict with, and that has been told. Throws what else went wrong.
std::optional<Prediction> predict(const Call& call, LabelledStatement& statement) {
  std::optional<Prediction> prediction = predict_as_owner(call, statement);
  if (!prediction) return prediction;
  const std::string refusal = refusal_of(call, statement, *prediction);
  if (!refusal.empty()) {
    refuse_label(pg_call([&] {
                   return text_view(text_of_label(call.columns, {prediction->given.label, false}));
                 }),
                 refusal, "Have the constraint allow all labels of the model, or drop it.");
  }
  return prediction;
}

// For a row that comes into another partition with a label: to that it is inserted.
void note_move(const Call& call, LabelledStatement& statement, Origin origin, const PredictedClass& predicted = {}) {
  if (!pg_call([&] { return call.may_move(); })) return;
  const RowIdentity row = pg_call([&] { return call.identity_when_inserted(); });
  statement.add(row, origin, predicted);
}

// The row with a label of ours, of which it leaves notes.
HeapTuple give_label(Call& call, LabelledStatement& statement, const Prediction& prediction) {
  call.row = pg_call([&] { return with_label(call.columns, call.row, prediction.given); });
  const RowIdentity row = pg_call([&] { return call.identity(); });
  statement.add(row, Origin::kReyearn, prediction.predicted);
  if (call.is_insert()) {
    statement.given_last = GivenLast{pg_call([&] { return call.label_hash(); }), prediction.predicted};
  } else {
    note_move(call, statement, Origin::kReyearn, prediction.predicted);
  }
  return call.row;
}

// The row without a label: it is to be labelled later.
HeapTuple leave_unlabelled(Call& call, LabelledStatement& statement) {
  call.row = pg_call([&] { return with_label(call.columns, call.row, std::nullopt); });
  if (statement.attachment && !call.text().is_null) {
    const RowIdentity row = pg_call([&] { return call.identity(); });
    statement.add(row, Origin::kWaiting);
    if (!call.is_insert()) note_move(call, statement, Origin::kWaiting);
  }
  return call.row;
}

HeapTuple label_it(Call& call, LabelledStatement& statement) {
  const Attachment* const attachment = attachment_of(call, statement);
  std::optional<Prediction> prediction;
  if (attachment != nullptr && !statement.gave_up && !call.text().is_null) {
    try {
      prediction = predict(call, statement);
    } catch (const Error& error) {
      Failure failure;
      failure.set(error);
      const bool is_first = !statement.has_warned;
      warn(call, statement, kNotLabelled, failure);
      if (is_first) note_error(statement, failure);
    }
  }
  return prediction ? give_label(call, statement, *prediction) : leave_unlabelled(call, statement);
}

// INSERT ... ON CONFLICT DO UPDATE SET label = excluded.label: what we gave the row that was not inserted, and for which this
// one is updated next, is ours; key and text may be others. Returns whether it is.
bool note_change(const Call& call, LabelledStatement& statement, const std::optional<GivenLast>& excluded) {
  const RowIdentity row = pg_call([&] { return call.identity(); });
  const bool is_ours = excluded && excluded->label == pg_call([&] { return call.label_hash(); });
  if (is_ours) {
    statement.add(row, Origin::kReyearn, excluded->predicted);
  } else {
    statement.add(row, Origin::kPerson);
  }
  return is_ours;
}

void remember(const Call& call, const Attachment& attachment, const PredictedClass& predicted) {
  pg_call([&] {
    keep_written_label(attachment, key_of(call.columns, call.row),
                       {text_of_label(call.columns, call.label()), predicted, call.text_hash()}, call.is_insert());
  });
}

// Whether the row's label, or that it has none, is what a person wants, of this text.
bool is_settled(const Call& call, const Attachment& attachment) {
  return pg_call([&] {
    const Datum key = key_of(call.columns, call.row);
    const std::int64_t hash = call.text_hash();
    const std::optional<WrittenLabel> written = find_written_label(attachment, key);
    const bool is_labelled = !call.label().is_null;
    if (is_learned(attachment, key, hash)) return true;
    if (!is_labelled) return written && written->text_hash == hash;
    return !written || !is_written(*written, text_of_label(call.columns, call.label()));
  });
}

// While PredictsAnew: nullptr leaves the row as it is, when its label is settled, or it would get the one that it has. What
// goes wrong is an error.
HeapTuple label_anew(Call& call, LabelledStatement& statement) {
  const Attachment* const attachment = attachment_of(call, statement);
  if (attachment == nullptr || statement.gave_up) throw Error(ErrorCode::kNotEnoughData, statement.trouble, "", "");
  if (pg_call([&] { return keys_differ(call.columns, call.old, call.row); })) return call.row;  // by another trigger
  if (call.text().is_null || is_settled(call, *attachment)) return nullptr;
  const std::optional<Prediction> prediction = predict(call, statement);
  if (!prediction) throw Error(ErrorCode::kNotEnoughData, statement.trouble, "", "");
  const bool is_same = !call.label().is_null && !call.columns.tells_more() && pg_call([&] {
    return !differ(call.columns, call.columns.label, call.label(), {prediction->given.label, false});
  });
  if (!is_same) return give_label(call, statement, *prediction);
  remember(call, *statement.attachment, prediction->predicted);  // which may have been looked up anew
  return nullptr;
}

HeapTuple label_inserted(Call& call, LabelledStatement& statement) {
  statement.given_last.reset();
  if (call.label().is_null) return call.text().is_null ? call.row : label_it(call, statement);
  const RowIdentity row = pg_call([&] { return call.identity(); });
  if (!statement.has(row)) statement.add(row, Origin::kPerson);
  return call.row;
}

HeapTuple label_updated(Call& call, LabelledStatement& statement) {
  const std::optional<GivenLast> excluded = std::exchange(statement.given_last, std::nullopt);
  struct Changes {
    bool text;
    bool label;
  };
  const Changes changes = pg_call([&] { return Changes{call.changes_text(), call.changes_label()}; });
  const bool is_own = PredictsAnew::is_at(call.columns.attachment_id);
  if (changes.label && is_own) return call.row;  // by another trigger: nobody has said that
  if (changes.label) {
    if (note_change(call, statement, excluded)) return call.row;
    return pg_call([&] { return without_prediction(call.columns, call.old, call.row); });
  }
  if (!changes.text && is_own) return label_anew(call, statement);
  const bool is_labelled = !call.label().is_null;
  if (!changes.text && !(is_labelled && pg_call([&] { return call.may_move(); }))) return call.row;
  const Attachment* const attachment = attachment_of(call, statement);
  if (attachment == nullptr) return call.row;
  const std::optional<WrittenLabel> ours = our_label(call, *attachment, call.old);
  if (changes.text && (ours || !is_labelled)) return label_it(call, statement);
  if (ours) {
    note_move(call, statement, Origin::kReyearn, ours->predicted);
  } else {
    note_move(call, statement, Origin::kNobody);
  }
  return call.row;
}

// The table has lost its primary key, or has got another: that is told.
HeapTuple without_key(Call& call) {
  const std::shared_ptr<LabelledStatement> kept = statement_of(call, GetActiveSnapshot()->curcid);
  LabelledStatement& statement = *kept;
  if (attachment_of(call, statement) != nullptr && !statement.gave_up) {
    Failure failure;
    failure.set(Error(ErrorCode::kNotEnoughData, "it has not the primary key that it was attached with", "",
                      "Detach the table and attach it again."));
    give_up(call, statement, failure);
  }
  return call.row;
}

// --- Learning.

// What a person's edit says of a text. NULL: nothing of that kind.
struct Lesson {
  Value body;
  Value confirmed = {0, true};
  Value rejected = {0, true};
  Value withdrawn = {0, true};  // text[]
};

Value texts(std::initializer_list<Datum> values) {
  Datum all[2];
  std::copy(values.begin(), values.end(), all);
  return {PointerGetDatum(construct_array(all, static_cast<int>(values.size()), TEXTOID, -1, false, TYPALIGN_INT)),
          false};
}

void learn(const Call& call, LabelledStatement& statement, const Lesson& lesson) {
  const Attachment& attachment = *statement.attachment;
  if (!attachment.learns() || lesson.body.is_null) return;
  Failure failure;
  bool is_done;
  {
    const ActsAs acting(attachment.owner);
    const ActsFor tenant(attachment.tenant_id);
    is_done = in_subtransaction(
        [&] {
          pg_call([&] {
            call_function("learn_label", {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID},
                          {lesson.body, lesson.confirmed, lesson.rejected, lesson.withdrawn});
            note_learned(attachment.tenant_id, attachment.attachment_id, attachment.times_attached,
                         key_of(call.columns, call.row), call.text_hash());
          });
        },
        failure);
  }
  if (is_done) return;
  warn(call, statement, kNotLearned, failure);
  note_error(statement, failure);
}

// A row inserted with a label: what we wrote into it once is not confirmed by being written again.
void learn_inserted(const Call& call, LabelledStatement& statement) {
  const Attachment& attachment = *statement.attachment;
  if (our_label(call, attachment, call.row)) return;
  const Value confirmed = pg_call([&] { return Value{text_of_label(call.columns, call.label()), false}; });
  learn(call, statement, {.body = call.text(), .confirmed = confirmed});
}

// What replacing one label by another says, given what we wrote last.
Lesson lesson_of(const Call& call, const std::optional<WrittenLabel>& written) {
  const bool same_text = !call.changes_text();
  const Value before = call.old_label();
  const Value after = call.label();
  const Value old_label = before.is_null ? before : Value{text_of_label(call.columns, before), false};
  const Value label = after.is_null ? after : Value{text_of_label(call.columns, after), false};
  const bool was_ours = written && !old_label.is_null && is_written(*written, old_label.datum);
  const bool is_again_ours = written && !label.is_null && is_written(*written, label.datum);
  Lesson lesson{.body = call.text()};
  if (is_again_ours) {
    if (same_text && !old_label.is_null) lesson.withdrawn = texts({old_label.datum, label.datum});
    return lesson;
  }
  lesson.confirmed = label;
  if (same_text && was_ours) lesson.rejected = old_label;
  if (same_text && !was_ours && label.is_null) lesson.withdrawn = texts({old_label.datum});
  return lesson;
}

// Whether the row's new label is what the class that we predicted is called now: then it was renamed or merged, and the
// application follows.
bool follows_class(const Call& call, const Attachment& attachment, const WrittenLabel& written) {
  if (call.label().is_null || !is_written(written, text_of_label(call.columns, call.old_label()))) return false;
  return is_now_called(attachment, written, text_of_label(call.columns, call.label()), nullptr);
}

void learn_updated(const Call& call, LabelledStatement& statement) {
  if (call.label().is_null) {
    pg_call([&] { stop_waiting(*statement.attachment, key_of(call.columns, call.row)); });
  }
  const std::optional<WrittenLabel> written = written_into(call, *statement.attachment, call.old);
  if (written && !call.old_label().is_null &&
      pg_call([&] { return follows_class(call, *statement.attachment, *written); })) {
    remember(call, *statement.attachment, written->predicted);
    return;
  }
  const Lesson lesson = pg_call([&] { return lesson_of(call, written); });
  if (lesson.confirmed.is_null && lesson.rejected.is_null && lesson.withdrawn.is_null) return;
  learn(call, statement, lesson);
}

void wait_for_label(const Call& call, const Attachment& attachment) {
  const bool is_added = pg_call([&] {
    const Datum key = key_of(call.columns, call.row);
    forget_written_label(attachment, key);  // the row has no label now, and that nobody has taken away
    return add_waiting(attachment.tenant_id, attachment.attachment_id, key);
  });
  if (is_added) pg_call([] { announce(Announcement::kWork, 0); });
}

// A row that keeps its label, or its waiting for one, under another key.
void follow_key(const Call& call, LabelledStatement& statement) {
  const Attachment* const attachment = attachment_of(call, statement);
  if (attachment == nullptr || call.text().is_null) return;
  const std::optional<WrittenLabel> written = our_label(call, *attachment, call.old);
  if (written) remember(call, *attachment, written->predicted);
  const bool waits =
      call.label().is_null && pg_call([&] { return is_waiting(*attachment, key_of(call.columns, call.old)); });
  if (waits) wait_for_label(call, *attachment);
}

void learn_row(const Call& call) {
  const CommandId command = HeapTupleHeaderGetCmin(call.row->t_data);
  const std::shared_ptr<LabelledStatement> kept = statement_of(call, command);
  LabelledStatement& statement = *kept;
  const std::optional<LabelNote> note = statement.take(pg_call([&] { return call.identity(); }));
  if (!note) {
    if (!call.is_insert() && pg_call([&] { return keys_differ(call.columns, call.old, call.row); })) {
      follow_key(call, statement);
    }
    return;
  }
  const Attachment* const attachment = attachment_of(call, statement);
  if (attachment == nullptr) return;
  if (note->origin == Origin::kNobody) return;
  if (note->origin == Origin::kWaiting) {
    wait_for_label(call, *attachment);
    return;
  }
  if (note->origin == Origin::kReyearn) {
    remember(call, *attachment, note->predicted);
  } else if (call.is_insert()) {
    learn_inserted(call, statement);
  } else {
    learn_updated(call, statement);
  }
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_label_row);
PGDLLEXPORT Datum reyearn_label_row(PG_FUNCTION_ARGS) {
  Call call = read_call(fcinfo, true);
  if (is_restoring()) return PointerGetDatum(call.row);
  return PointerGetDatum(guard([&]() -> HeapTuple {
    if (call.columns.key_count == 0) return without_key(call);
    // Rows are written by the command that the statement's snapshot was taken for.
    const CommandId command = GetActiveSnapshot()->curcid;
    const std::shared_ptr<LabelledStatement> kept = statement_of(call, command);
    LabelledStatement& statement = *kept;
    const HeapTuple row = call.is_insert() ? label_inserted(call, statement) : label_updated(call, statement);
    // But those of a subscription by the one that is current then: a subtransaction in between counts as one.
    if (IsLogicalWorker()) {
      const CommandId now = pg_call([] { return GetCurrentCommandId(false); });
      if (now != command) move_labelled_statement(command, now, call.columns.attachment_id);
    }
    return row;
  }));
}

PG_FUNCTION_INFO_V1(reyearn_learn_row);
PGDLLEXPORT Datum reyearn_learn_row(PG_FUNCTION_ARGS) {
  const Call call = read_call(fcinfo, false);
  if (is_restoring() || call.columns.key_count == 0) return PointerGetDatum(nullptr);
  guard([&] { learn_row(call); });
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace reyearn::pg
