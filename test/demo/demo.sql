
-- 1. One command in a database of yours. ---------------------------------------------------------------------

CREATE EXTENSION reyearn CASCADE;

-- 2. Classes form a tree; those between are created with them. -----------------------------------------------

SELECT reyearn_create_class('email.business.trips', 'Travel for work: flights, hotels, visas');
SELECT reyearn_create_class('email.personal.family', 'Mails from and to relatives');

-- 3. Annotate: one text by a function ... --------------------------------------------------------------------

SELECT reyearn_annotate_text('Flight to Oslo: the boarding pass for Monday is attached', 'email.business.trips');

--    ... or many at once, here 201 sample mails from a file.

CREATE TEMP TABLE mail (label text, body text);
\copy mail FROM 'emails.tsv'
DO $$ BEGIN PERFORM reyearn_create_class(label) FROM (SELECT DISTINCT label FROM mail) AS labels; END $$;
INSERT INTO reyearn.inbox (body, label) SELECT body, label FROM mail;

SELECT label, confirmed FROM reyearn.class_overview WHERE confirmed > 0 ORDER BY label;

-- 4. A second session, open all the time, finds no model yet. Define one. -----------------------------------

\! ./second "SELECT reyearn_predict('Please book a hotel in Lisbon for the trade fair, three nights')"
SELECT reyearn_create_model('emails', label_root => 'email', params => '{"alpha": 0.1}', retrain_delay => '1 s');

--    Nobody calls for a training. A moment later ...

DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM reyearn.model_versions) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$;
SELECT outcome, round(score::numeric, 3) AS accuracy, examples, is_requested, reason FROM reyearn.runs;

--    ... the second session has it.

\! ./second "SELECT reyearn_predict('Please book a hotel in Lisbon for the trade fair, three nights')"

--    How good is it, class by class, on mails it had not learned from?

SELECT label, round("precision"::numeric, 2) AS precision, round(recall::numeric, 2) AS recall,
       round(f1::numeric, 2) AS f1, support
  FROM reyearn_evaluate('emails');

-- 5. Predict, with probabilities. ----------------------------------------------------------------------------

SELECT label, round(probability::numeric, 3) AS probability
  FROM reyearn_predict_proba('Please book a hotel in Lisbon for the trade fair, three nights', top => 3);

--    The same one level up: business or personal?

SELECT label, round(probability::numeric, 3) AS probability
  FROM reyearn_predict_proba('Please book a hotel in Lisbon for the trade fair, three nights', depth => 2);

-- 6. Keep a prediction, so that people can check it, and correct it where it is wrong. -----------------------

SELECT annotation_id, label, round(probability::numeric, 3) AS probability, version
  FROM reyearn_classify('The choir sings on Saturday, bring the whole family and a cake') \gset mail_
\echo :mail_label

SELECT reyearn_correct(:mail_annotation_id, 'email.personal.friends') AS corrected;

-- 7. It learns the correction by itself: the new version is judged against the live one on the same mails. ---

DO $$ BEGIN WHILE (SELECT count(*) < 2 FROM reyearn.model_versions) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$;
SELECT outcome, round(score::numeric, 3) AS accuracy, round(live_score::numeric, 3) AS live, reason
  FROM reyearn.runs ORDER BY run_id DESC LIMIT 1;
\! ./second "SELECT reyearn_predict('The choir sings on Saturday, bring the whole family and a cake')"

-- 8. Train on request. A worse version is kept out: here one that smooths far too much. ------------------------

SELECT version, outcome, round(score::numeric, 3) AS accuracy, round(live_score::numeric, 3) AS live, reason
  FROM reyearn_train('emails', params => '{"alpha": 100}');

-- 9. Go back to an earlier version, and forth. ---------------------------------------------------------------

SELECT reyearn_rollback('emails') AS live_version;
SELECT reyearn_promote('emails', 2);
SELECT version, is_live, algorithm, round(score::numeric, 3) AS accuracy, examples, time_promoted IS NOT NULL AS was_live
  FROM reyearn.model_versions ORDER BY version;

-- 10. An application has a table of its own. One call, and its column fills itself ... ----------------------

CREATE TABLE letter (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, category text);
SELECT reyearn_attach('letter', 'body', 'category', model => 'emails');
INSERT INTO letter (body) VALUES ('The allotment needs watering: whose turn is it to fetch the hose and the compost?')
RETURNING id, category;

--     ... and learns from what people change. Somebody says what it is:

UPDATE letter SET category = 'email.personal.friends' WHERE id = 1;

--     A moment later the next one of that kind comes right.

SELECT reyearn_alter_model('emails', promotion => 'always');
DO $$ BEGIN WHILE (SELECT waiting > 0 FROM reyearn.model_overview) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$;
INSERT INTO letter (body) VALUES ('I have put compost on the allotment, the hose leaks') RETURNING id, category;

-- 11. Is all well? -------------------------------------------------------------------------------------------

SELECT * FROM reyearn_status();

-- This server and its data are removed now. To use Reyearn in a database of your own (it is installed already):
--
--     psql -d your_database -c 'CREATE EXTENSION reyearn CASCADE'
--
-- and go on with the tutorial in docs/tutorial.md.
