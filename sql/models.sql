-- Models and versions, without training: what is live, what can be gone back to, what is pruned.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT reyearn_create_class('mail.work'), reyearn_create_class('mail.home');

SELECT reyearn_create_model('post', 'mail', params => '{"alpha": 0.5, "seed": null}');
SELECT reyearn_create_model('all', retrain_after => 0, promotion => 'always', retrain_delay => '1 min');
SELECT name, label_root_id IS NULL AS "all", task, algorithm, params, retrain_after, retrain_delay, promotion, keep_versions,
       owner = current_user::regrole AS mine
  FROM reyearn.models ORDER BY model_id;

-- Altering: NULL leaves things as they are, params are merged, null takes a key away.
SELECT reyearn_alter_model('post', params => '{"seed": 7}');
SELECT reyearn_alter_model('post', label_root => '', params => '{"alpha": null}', algorithm => 'naive_bayes');
SELECT name, label_root_id IS NULL AS "all", task, algorithm, params, retrain_after, promotion, keep_versions
  FROM reyearn.models WHERE name = 'post';
SELECT reyearn_alter_model('post', label_root => 'mail.work');
SELECT label_root FROM reyearn.model_overview WHERE name = 'post';

-- A role with an odd name owns what it creates.
BEGIN;
CREATE ROLE "Regress Odd Owner" SUPERUSER;
SET ROLE "Regress Odd Owner";
SELECT reyearn_create_model('odd') IS NOT NULL;
SELECT owner FROM reyearn.models WHERE name = 'odd';
ROLLBACK;

-- Seven versions, made by hand, each with an image.
INSERT INTO reyearn.model_versions (model_id, version, algorithm, params, examples, class_count, feature_count,
                                    image_bytes, image_checksum, library_version, icu_version)
SELECT 1, i, 'naive_bayes', '{}', 10, 2, 5, 3, 0, '1.0', '0' FROM generate_series(1, 7) AS i;
INSERT INTO reyearn.model_images (version_id, kind, chunk_no, data)
SELECT version_id, 'serving', 0, '\x010203' FROM reyearn.model_versions;
CREATE VIEW versions AS
    SELECT v.version, v.is_live, v.replaced_version, v.time_promoted IS NOT NULL AS promoted,
           v.time_pruned IS NOT NULL AS pruned, count(i) AS images
      FROM reyearn.model_versions AS v LEFT JOIN reyearn.model_images AS i USING (version_id)
     GROUP BY v.version_id, v.tenant_id ORDER BY v.version;
SELECT reyearn_rollback('post');
SELECT reyearn_promote('post', 1), reyearn_promote('post', 2), reyearn_promote('post', 4), reyearn_promote('post', 4);
SELECT reyearn_rollback('post') AS "to 2", reyearn_rollback('post') AS "to 1";
SELECT reyearn_rollback('post');
SELECT reyearn_promote('post', 3);
-- Kept are the newest two, the live one and the one that it replaced.
SELECT reyearn_alter_model('post', keep_versions => 2);
TABLE versions;
SELECT reyearn_promote('post', 4);
SELECT reyearn_rollback('post');
SELECT reyearn_promote('post', 7);
SELECT reyearn.prune_versions(0, 1);
SELECT reyearn_promote('post', 6), reyearn.prune_versions(0, 1);
TABLE versions;
UPDATE reyearn.model_versions SET replaced_version = 1 WHERE version = 6;
SELECT reyearn_rollback('post');

-- Quality, from the run that made a version.
INSERT INTO reyearn.experiments (model_id, holdout, seed, metric) VALUES (1, 0.2, 0, 'accuracy');
INSERT INTO reyearn.runs (model_id, experiment_id, version_id, outcome, algorithm, params, compared_by, compared_on,
                          metric, score, metrics, examples, seconds, reason, data_digest)
SELECT 1, 1, version_id, 'promoted', 'naive_bayes', '{}', 'holdout', 3, 'accuracy', 0.667, '{}', 10, 0.1, 'the first', ''
  FROM reyearn.model_versions WHERE version = 6;
INSERT INTO reyearn.run_labels (run_id, label, class_id, "precision", recall, f1, support, confusion)
VALUES (1, 'mail.work', 2, 1, 0.5, 0.667, 2, '{"mail.home": 1, "mail.work": 1}'),
       (1, 'mail.home', 3, 0.5, 1, 0.667, 1, '{"mail.home": 1}');
SELECT * FROM reyearn_evaluate('post');
SELECT * FROM reyearn_confusion_matrix('post', 6);
SET reyearn.default_model = 'post';
SELECT count(*) FROM reyearn_evaluate();
RESET reyearn.default_model;
SELECT name, live_version, waiting, is_due, last_outcome, last_reason FROM reyearn.model_overview ORDER BY name;

-- Dropping takes everything along.
INSERT INTO reyearn.news (model_id, n) VALUES (1, 2), (2, 3);
SELECT reyearn_drop_model('post');
SELECT (SELECT count(*) FROM reyearn.model_versions) AS versions, (SELECT count(*) FROM reyearn.model_images) AS images,
       (SELECT count(*) FROM reyearn.runs) AS runs, (SELECT count(*) FROM reyearn.run_labels) AS run_labels,
       (SELECT array_agg(model_id) FROM reyearn.news) AS news;

-- Errors.
SELECT reyearn_create_model(NULL);
SELECT reyearn_create_model('');
SELECT reyearn_create_model('a/b');
SELECT reyearn_create_model('all');
SELECT reyearn_create_model('new', 'mail.none');
SELECT reyearn_create_model('new', 'no label');
SELECT reyearn_create_model('new', NULL);
SELECT reyearn_create_model('new', task => 'tagging');
SELECT reyearn_create_model('new', task => NULL);
\set VERBOSITY terse
SELECT reyearn_create_model('new', algorithm => 'guess');
SELECT reyearn_create_model('new', params => '{"aplha": 1}');
SELECT reyearn_create_model('new', params => '{"alpha": -1}');
SELECT reyearn_alter_model('all', params => '{"alpha": "much"}');
\set VERBOSITY default
SELECT reyearn_create_model('new', params => '[1]');
SELECT reyearn_create_model('new', params => NULL);
SELECT reyearn_create_model('new', retrain_after => -1);
SELECT reyearn_create_model('new', retrain_delay => '-1 s');
SELECT reyearn_create_model('new', promotion => 'sometimes');
SELECT reyearn_create_model('new', keep_versions => 0);
SELECT reyearn_alter_model('new', keep_versions => 3);
SELECT reyearn_alter_model(NULL);
SELECT reyearn_alter_model('all', params => '3');
SELECT reyearn_alter_model('all', keep_versions => 0);
SELECT reyearn_drop_model('new');
SELECT reyearn_drop_model(NULL);
SELECT reyearn_promote('all', 1);
SELECT reyearn_promote('all', NULL);
SELECT reyearn_promote('new', 1);
SELECT reyearn_rollback('all');
SELECT reyearn_rollback(NULL);
SELECT * FROM reyearn_evaluate();
SELECT * FROM reyearn_evaluate('all', 3);
SELECT * FROM reyearn_confusion_matrix('new');
INSERT INTO reyearn.model_versions (model_id, version, algorithm, params, examples, class_count, feature_count,
                                    image_bytes, image_checksum, library_version, icu_version)
SELECT 2, i, 'naive_bayes', '{}', 10, 2, 5, 3, 0, '1.0', '0' FROM generate_series(1, 2) AS i;
SELECT * FROM reyearn_evaluate('all');
SELECT * FROM reyearn_evaluate('all', 2);
SELECT reyearn_promote('all', 3);
DROP VIEW versions;
