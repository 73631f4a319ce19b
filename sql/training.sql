-- Training: what it needs, what it returns, and when a new version goes live.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- What a training says, without its times and numbers; scores to four digits.
CREATE FUNCTION train(model text DEFAULT NULL, params jsonb DEFAULT '{}')
    RETURNS TABLE (name text, version int, outcome text, metric text, score numeric, live numeric, examples bigint,
                   reason text)
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT t.model, t.version, t.outcome, t.metric, round(t.score::numeric, 4), round(t.live_score::numeric, 4),
               t.examples, t.reason
          FROM reyearn_train(train.model, train.params) AS t;
    END;

-- Without a model, without annotations, with one class, without words.
SELECT * FROM reyearn_train();
SELECT reyearn_create_class('mail.work.meetings'), reyearn_create_class('mail.work.trips'), reyearn_create_class('mail.home');
SELECT reyearn_create_model('post', 'mail') IS NOT NULL AS created;
SELECT * FROM reyearn_train();
SELECT reyearn_annotate_text('agenda for the meeting', 'mail.work.meetings') IS NOT NULL AS annotated;
SELECT * FROM reyearn_train('post');
BEGIN;
DELETE FROM reyearn.annotations;
SELECT reyearn_annotate_text('?! ...', 'mail.work.meetings') IS NOT NULL AS annotated;
SELECT reyearn_annotate_text('a - 1', 'mail.home') IS NOT NULL AS annotated;
SELECT * FROM reyearn_train('post');
ROLLBACK;

-- The first version of a model; a class of one example is learned too. The same again is not trained again.
SELECT reyearn_annotate_text('dinner at home', 'mail.home') IS NOT NULL AS annotated;
SELECT * FROM train();
SELECT reyearn_predict('meeting'), reyearn_predict('dinner');
SELECT * FROM train('post');
SELECT r.run_id = v.version_id AS same_run FROM reyearn_train('post') AS r, reyearn.model_versions AS v;
SELECT compared_by, compared_on, p_value, live_metrics, outcome, seconds > 0 AS timed FROM reyearn.runs;

-- More examples: each text counts for one class, the newest confirmed one, and what is not confirmed does not count.
INSERT INTO reyearn.inbox (body, label, status, span) VALUES
    ('minutes of the last meeting', 'mail.work.meetings', 'confirmed', NULL),
    ('meeting moved to room four', 'mail.work.meetings', 'confirmed', NULL),
    ('train tickets for the trip', 'mail.work.trips', 'confirmed', NULL),
    ('flight and hotel booked', 'mail.work.trips', 'confirmed', NULL),
    ('hotel bill of the trip', 'mail.work.trips', 'confirmed', NULL),
    ('who feeds the cat tonight', 'mail.home', 'confirmed', NULL),
    ('the cat ate your dinner', 'mail.home', 'confirmed', NULL),
    ('only predicted', 'mail.home', 'predicted', NULL),
    ('only unknown', 'mail.home', 'unknown', NULL),
    ('rejected', 'mail.home', 'rejected', NULL),
    ('of a part only', 'mail.home', 'confirmed', '[0,2)'),
    ('stored only', NULL, NULL, NULL);
SELECT * FROM train('post');
SELECT reyearn_annotate_text('hotel bill of the trip', 'mail.home') IS NOT NULL AS annotated;
SELECT * FROM train('post');
SELECT reyearn_predict('bill'), reyearn_predict('flight');
SELECT reyearn_annotate_text('hotel bill of the trip', 'mail.work.trips') IS NOT NULL AS annotated;
SELECT label, support FROM reyearn_evaluate('post') ORDER BY label;

-- Of classes on one path the deepest counts.
BEGIN;
SELECT reyearn_annotate_text('minutes and agenda', 'mail.work.meetings') IS NOT NULL AS annotated;
SELECT reyearn_annotate_text('minutes and agenda', 'mail.work') IS NOT NULL AS annotated;
SELECT examples FROM train('post');
SELECT label FROM reyearn_evaluate('post');
ROLLBACK;

-- Parameters of one training stay with the version it makes; refused ones train nothing.
SELECT * FROM train('post', '{"alpha": 0.1, "ngram_range": [1, 2], "min_df": 1, "seed": 3, "refit": false}');
SELECT version, params FROM reyearn.model_versions ORDER BY version DESC LIMIT 1;
SELECT params FROM reyearn.models;
SELECT * FROM train('post', '{"holdout": 0.5}');
SELECT * FROM train('post', '{"alfa": 1}');
SELECT * FROM train('post', '{"alpha": 0}');
SELECT * FROM train('post', '[1]');
SELECT * FROM train('post', NULL);
SELECT * FROM reyearn_train('post', wait => NULL);
SELECT * FROM reyearn_train('post', wait => false);
SELECT * FROM train('nothing');
SELECT * FROM train('');

-- Promotion: kept when not better, and as the policy says.
SELECT * FROM train('post', '{"alpha": 1000, "min_df": 3}');
SELECT reyearn_alter_model('post', promotion => 'never');
SELECT * FROM train('post', '{"alpha": 0.2}');
SELECT reyearn_alter_model('post', promotion => 'always');
SELECT * FROM train('post', '{"alpha": 1000, "min_df": 3, "seed": 1}');
SELECT reyearn_alter_model('post', promotion => 'if_not_worse');
SELECT * FROM train('post', '{"alpha": 1000, "min_df": 3, "seed": 1, "refit": false}');
SELECT reyearn_alter_model('post', promotion => 'if_better');
SELECT * FROM train('post', '{"alpha": 1000, "min_df": 3, "seed": 1}');
SELECT * FROM train('post', '{"alpha": 0.1, "seed": 2}');
SELECT version, is_live, time_pruned IS NOT NULL AS pruned FROM reyearn.model_versions ORDER BY version;
SELECT live_version, outcome, count(*) FROM reyearn.runs GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2;

-- The first version too may be refused.
SELECT reyearn_create_model('refused', 'mail', promotion => 'never') IS NOT NULL AS created;
SELECT * FROM train('refused');
SELECT reyearn_predict('meeting', 'refused');

-- Several models: one has to be named, or to be the default.
SELECT * FROM train();
SET reyearn.default_model = 'refused';
SELECT name FROM train();
SET reyearn.default_model = 'gone';
SELECT name FROM train();
RESET reyearn.default_model;

-- An empty root means all classes, if they are of one type.
SELECT reyearn_create_model('all') IS NOT NULL AS created;
SELECT name, version, outcome FROM train('all');
SELECT reyearn_create_class('language.english');
SELECT * FROM train('all');

-- What a transaction trained is gone with it; in it, it answers.
BEGIN;
SELECT reyearn_create_model('brief', 'mail.work') IS NOT NULL AS created;
SELECT outcome, examples FROM train('brief');
SELECT reyearn_predict('the cat and the hotel', 'brief');
SAVEPOINT before;
SELECT reyearn_annotate_text('the cat in the meeting', 'mail.work.meetings') IS NOT NULL AS annotated;
SELECT version, examples FROM train('brief');
ROLLBACK TO before;
SELECT version, outcome, examples FROM train('brief');
ROLLBACK;
SELECT count(*) FROM reyearn.model_versions WHERE model_id NOT IN (SELECT model_id FROM reyearn.models);

-- Called per column of its result it trains once all the same.
SELECT reyearn_annotate_text('one more meeting', 'mail.work.meetings') IS NOT NULL AS annotated;
SELECT reyearn_alter_model('all', label_root => 'mail');
SELECT (t).outcome, (t).version, (t).examples FROM (SELECT reyearn_train('all')) AS one (t);
SELECT count(*) FROM reyearn.runs WHERE model_id = reyearn.model_id('all');

-- What is dropped or merged is no longer learned as what it was.
BEGIN;
SELECT count(*) > 0 AS done FROM reyearn_drop_class('mail.home');
SELECT version, outcome, examples FROM train('all');
SELECT label FROM reyearn_evaluate('all');
SELECT count(*) > 0 AS done FROM reyearn_move_class('mail.work.trips', 'mail.work.meetings');
SELECT * FROM train('all');
ROLLBACK;

-- Texts enough to hold some out: both versions are judged by texts that neither has learned from, and the version that
-- serves has learned from all. The same rows make the same image, on one thread and on three, in any order.
SELECT reyearn_create_class('number.' || name) FROM unnest('{even,odd,ten}'::text[]) AS name;
CREATE TABLE numbers AS
    SELECT CASE WHEN i % 10 = 0 THEN 'number.ten' WHEN i % 2 = 0 THEN 'number.even' ELSE 'number.odd' END AS label,
           format('the number %s ends with digit%s and word%s', i, i % 10, i % 37) AS body, i
      FROM generate_series(1, 1500) AS i;
INSERT INTO reyearn.inbox (body, label) SELECT body, label FROM numbers ORDER BY i;
SELECT reyearn_create_model('digit', 'number') IS NOT NULL AS created, reyearn_create_model('twin', 'number') IS NOT NULL AS created;
SET reyearn.training_threads = 1;
SELECT * FROM train('digit');
SELECT r.compared_by, r.compared_on, v.judge_holdout, array_agg(DISTINCT i.kind ORDER BY i.kind) AS images
  FROM reyearn.runs AS r JOIN reyearn.model_versions AS v USING (version_id) JOIN reyearn.model_images AS i USING (version_id)
 WHERE r.model_id = reyearn.model_id('digit') GROUP BY 1, 2, 3;
UPDATE reyearn.observations SET metadata = '{"seen": true}' WHERE observation_id % 3 = 0;
SET reyearn.training_threads = 3;
SELECT name, outcome, score FROM train('twin');
RESET reyearn.training_threads;
SELECT count(DISTINCT image_checksum) AS images FROM reyearn.model_versions
 WHERE model_id IN (reyearn.model_id('digit'), reyearn.model_id('twin'));
SELECT * FROM train('digit', '{"refit": false}');
SELECT * FROM train('digit', '{"alpha": 0.01}');
SELECT compared_by, compared_on, p_value < 0.05 AS significant, live_metrics->'accuracy' = to_jsonb(live_score) AS live
  FROM reyearn.runs WHERE model_id = reyearn.model_id('digit') ORDER BY run_id DESC LIMIT 1;
SELECT label, round("precision"::numeric, 3) AS "precision", round(recall::numeric, 3) AS recall, round(f1::numeric, 3) AS f1,
       support FROM reyearn_evaluate('digit');
SELECT actual, predicted, count FROM reyearn_confusion_matrix('digit');
-- A class too small to be on both sides: everything is compared by folds.
SELECT reyearn_create_class('number.zero'), reyearn_annotate_text('the number 0', 'number.zero') IS NOT NULL AS annotated;
SELECT * FROM train('digit');
SELECT compared_by, compared_on FROM reyearn.runs WHERE model_id = reyearn.model_id('digit') ORDER BY run_id DESC LIMIT 1;

-- Dropped, it is not trained.
SELECT reyearn_drop_model('digit');
SELECT * FROM train('digit');

DROP FUNCTION train;
DROP TABLE numbers;
