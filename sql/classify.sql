-- Predict and keep: observation and predicted annotation.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT reyearn_create_class('mail.work'), reyearn_create_class('mail.home');
SELECT reyearn_create_model('post', 'mail', algorithm => 'naive_bayes', params => '{"holdout": 0}', retrain_after => 0);
SELECT * FROM reyearn_classify('agenda of the meeting');
SELECT count(*) AS "nothing is stored without a prediction" FROM reyearn.observations;
INSERT INTO reyearn.inbox (body, label) VALUES
    ('the agenda of our meeting', 'mail.work'), ('budget and agenda', 'mail.work'), ('meeting on the budget', 'mail.work'),
    ('dinner with the kids', 'mail.home'), ('kids and party', 'mail.home'), ('a dinner party', 'mail.home');
SELECT outcome, version FROM reyearn_train();
TRUNCATE reyearn.news;

SELECT observation_id, label, probability > 0.5 AS sure, version FROM reyearn_classify('agenda of the meeting', 'post', '{"from": "ann"}');
-- The same again: the same rows, and nothing is written.
SELECT xmin AS before FROM reyearn.annotations WHERE status = 'predicted' \gset
SELECT c.annotation_id = a.annotation_id AS same, a.xmin = :before AS untouched
  FROM reyearn_classify('agenda of the meeting') AS c JOIN reyearn.annotations AS a USING (annotation_id);
SELECT text, label, status, model, version FROM reyearn.annotation_overview WHERE status = 'predicted';
SELECT metadata FROM reyearn.observations WHERE body = 'agenda of the meeting';
SELECT count(*) AS "predictions do not train" FROM reyearn.news;

-- Another version changes version and probability only.
UPDATE reyearn.annotations SET predicted_by_version = -1, probability = 0.1 WHERE status = 'predicted';
SELECT count(*) FROM reyearn_classify('agenda of the meeting');
SELECT label, status, version, probability > 0.5 AS sure FROM reyearn.annotation_overview WHERE text = 'agenda of the meeting';
SELECT h.from_status, h.to_status FROM reyearn.annotation_history AS h JOIN reyearn.observations USING (observation_id)
 WHERE body = 'agenda of the meeting';

-- What people said stays.
SELECT reyearn_reject(annotation_id) FROM reyearn_classify('agenda of the meeting');
SELECT label, a.status FROM reyearn_classify('agenda of the meeting') JOIN reyearn.annotations AS a USING (annotation_id);
SELECT reyearn_confirm(annotation_id) FROM reyearn_classify('agenda of the meeting');
SELECT label, a.status FROM reyearn_classify('agenda of the meeting') JOIN reyearn.annotations AS a USING (annotation_id);
SELECT label, a.status FROM reyearn_classify('the agenda of our meeting') JOIN reyearn.annotations AS a USING (annotation_id);

-- Of a merged class the version predicts what it has become.
SELECT rows FROM reyearn_move_class('mail.work', 'office') WHERE what = 'classes renamed';
SELECT label FROM reyearn_classify('budget meeting');
SELECT reyearn_create_class('bureau');
SELECT rows FROM reyearn_move_class('office', 'bureau') WHERE what = 'classes merged';
SELECT label FROM reyearn_classify('budget meeting');

-- Errors.
SELECT * FROM reyearn_classify(NULL);
SELECT * FROM reyearn_classify('text', 'none');
SELECT * FROM reyearn_classify('text', metadata => '[]');
