-- Predictions: labels and probabilities, without a text, without a model, with labels that changed meanwhile.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- Nothing to predict with.
SELECT reyearn_predict('hello');
SELECT reyearn_predict(NULL);
SELECT reyearn_predict('hello', 'mail');
SELECT * FROM reyearn_predict_proba('hello');
SELECT count(reyearn_create_class(label))
  FROM unnest('{mail.work.meetings,mail.work.trips,mail.home.food,mail.home.pets,mail.junk}'::text[]) AS label;
SELECT reyearn_create_model('mail', 'mail') IS NOT NULL AS created;
SELECT reyearn_predict('hello');
SELECT * FROM reyearn_predict_proba('hello', 'mail');

-- Two texts of each class but one of four, so that this is the one for texts that say nothing.
INSERT INTO reyearn.inbox (body, label) VALUES
    ('minutes of the meeting', 'mail.work.meetings'), ('agenda of the meeting', 'mail.work.meetings'),
    ('train to Paris', 'mail.work.trips'), ('hotel in Paris', 'mail.work.trips'),
    ('dinner is ready', 'mail.home.food'), ('buy bread', 'mail.home.food'),
    ('the cat is hungry', 'mail.home.pets'), ('walk the dog', 'mail.home.pets'),
    ('win money', 'mail.junk'), ('free money', 'mail.junk'), ('cheap watches', 'mail.junk'), ('casino', 'mail.junk');
SELECT outcome, examples FROM reyearn_train();

-- Labels.
CREATE TABLE texts AS SELECT * FROM unnest(ARRAY['MEETING, at ten: the agenda!', 'a hotel in Rome', 'bread for dinner', 'hungry dog',
    'money money', '', ' ', 'xyzzy', 'a b c', NULL, repeat('the cat and ', 100000), U&'\FF2D\FF25\FF25\FF34\FF29\FF2E\FF27'])
    WITH ORDINALITY AS t (body, id);
SELECT id, left(body, 30) AS body, reyearn_predict(body), pg_typeof(reyearn_predict(body)) FROM texts ORDER BY id;
SELECT reyearn_predict(body => 'walk', model => 'mail'), reyearn_predict('walk', NULL);
SELECT reyearn_predict(body), count(*) FROM texts GROUP BY 1 ORDER BY 1;
SELECT id FROM texts WHERE reyearn_predict(body) <@ 'mail.work' ORDER BY id;

-- Probabilities: most probable first; of unknown words, the shares of the classes.
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('the meeting in Paris');
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('xyzzy');
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('the meeting in Paris', top => 2);
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('the meeting in Paris', depth => 2);
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('the meeting in Paris', 'mail', 1, 2);
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('the meeting in Paris', depth => 1);
SELECT count(*), round(sum(probability)::numeric, 4) AS sum FROM reyearn_predict_proba('', top => 100, depth => 100);
SELECT * FROM reyearn_predict_proba(NULL);
SELECT count(*) FROM reyearn_predict_proba('dog', NULL, NULL, NULL);
SELECT * FROM reyearn_predict_proba('dog', top => 0);
SELECT * FROM reyearn_predict_proba('dog', depth => -1);
SELECT id, p.label FROM texts LEFT JOIN LATERAL reyearn_predict_proba(body, top => 1) AS p ON true ORDER BY id;
SELECT bool_and(p.label = reyearn_predict(body)) AS agree FROM texts, reyearn_predict_proba(body, top => 1) AS p;

-- What it is kept with.
SELECT tenant_id, version_id = (SELECT version_id FROM reyearn.model_versions) AS same_version, version,
       class_id = (SELECT class_id FROM reyearn.classes WHERE label = 'mail.home.pets') AS same_class, label,
       round(probability::numeric, 4) AS probability
  FROM reyearn.predict_row('hungry dog');
SELECT * FROM reyearn.predict_row(NULL);

-- Which model.
SELECT reyearn_create_model('work', 'mail.work', params => '{"alpha": 0.1}') IS NOT NULL AS created;
SELECT outcome, examples FROM reyearn_train('work');
SELECT reyearn_predict('dog');
SELECT label FROM reyearn_predict_proba('dog');
SELECT reyearn_predict('train', 'work'), reyearn_predict('train', 'mail'), reyearn_predict('train', 'Work');
SET reyearn.default_model = 'work';
SELECT reyearn_predict('dog'), reyearn_predict('dog', 'mail');
SELECT count(*) FROM reyearn_predict_proba('dog');
SET reyearn.default_model = 'gone';
SELECT reyearn_predict('dog');
SELECT reyearn_predict('dog', 'mail');
RESET reyearn.default_model;
SELECT name, reyearn_predict('dog', name) FROM reyearn.models ORDER BY name;
SELECT reyearn_predict('dog', '');
SELECT reyearn_predict('dog', 'other/mail');

-- Another version answers from the next statement on, in a prepared statement too, and after going back.
PREPARE predict(text) AS SELECT reyearn_predict($1, 'work');
EXECUTE predict('dog');
BEGIN;
SELECT reyearn_annotate_text('dog show', 'mail.work.trips') IS NOT NULL AS annotated;
SELECT outcome FROM reyearn_train('work');
EXECUTE predict('dog');
SAVEPOINT here;
SELECT reyearn_rollback('work');
EXECUTE predict('dog');
ROLLBACK TO here;
EXECUTE predict('dog');
ROLLBACK;
EXECUTE predict('dog');
SELECT reyearn_drop_model('work');
EXECUTE predict('dog');
DEALLOCATE predict;

-- Labels as they are now: moved, merged, dropped.
SELECT count(*) > 0 AS moved FROM reyearn_move_class('mail.home', 'mail.private');
SELECT reyearn_predict('hungry dog');
SELECT label, round(probability::numeric, 4) AS probability FROM reyearn_predict_proba('hungry dog', depth => 2);
SELECT count(*) > 0 AS merged FROM reyearn_move_class('mail.private.pets', 'mail.private.food');
SELECT reyearn_predict('hungry dog'), label, round(probability::numeric, 4) AS probability, count(*) OVER () AS labels
  FROM reyearn_predict_proba('hungry dog') LIMIT 1;
SELECT label, version FROM reyearn.predict_row('hungry dog');
SELECT count(*) > 0 AS dropped FROM reyearn_drop_class('mail.private');
SELECT reyearn_predict('hungry dog'), count(*) AS labels, round(sum(probability)::numeric, 4) AS sum
  FROM reyearn_predict_proba('hungry dog');
SELECT count(*) > 0 AS dropped FROM unnest('{mail.work.meetings,mail.work.trips,mail.junk}'::text[]) AS label, reyearn_drop_class(label);
SELECT reyearn_predict('hungry dog');
SELECT * FROM reyearn_predict_proba('hungry dog');
SELECT * FROM reyearn.predict_row('hungry dog');

DROP TABLE texts;
