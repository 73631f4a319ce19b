-- Images as values: exported, predicted with, imported, damaged.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

SELECT reyearn_export_model('mail');
SELECT count(reyearn_create_class(label)) FROM unnest('{mail.work.trips,mail.home}'::text[]) AS label;
SELECT reyearn_create_model('mail', 'mail', keep_versions => 1) IS NOT NULL AS created;
SELECT reyearn_export_model('mail');
SELECT reyearn_export_model('mail', 1);
INSERT INTO reyearn.inbox (body, label) VALUES
    ('train to Paris', 'mail.work.trips'), ('hotel in Paris', 'mail.work.trips'),
    ('the cat is hungry', 'mail.home'), ('walk the dog', 'mail.home');
SELECT version, outcome FROM reyearn_train();

-- Exported; what it predicts reads no table.
CREATE TABLE images AS SELECT reyearn_export_model('mail') AS image;
SELECT reyearn.image_algorithm(image), reyearn.image_labels(image), image = reyearn_export_model('mail', 1) AS same FROM images;
SELECT reyearn_predict_with(image, 'a dog in Paris'), reyearn_predict_with(image, 'dog'), reyearn_predict_with(image, ''),
       reyearn_predict_with(image, NULL), reyearn_predict_with(NULL, 'dog') FROM images;
SELECT provolatile, proparallel FROM pg_proc WHERE proname = 'reyearn_predict_with';
CREATE INDEX predicted ON images (reyearn_predict_with(image, 'dog'));
DROP INDEX predicted;
SELECT reyearn_export_model(NULL);
SELECT reyearn_export_model('mail', NULL) = image AS live FROM images;
SELECT reyearn_export_model('mail', 2);
SELECT reyearn_export_model('mail', -1);
SELECT reyearn_export_model('nothing');

-- Only the newest versions keep their images, and those that serve or can be gone back to.
SELECT reyearn_alter_model('mail', promotion => 'always');
SELECT version, outcome FROM reyearn_train('mail', '{"alpha": 0.1}');
SELECT version, outcome FROM reyearn_train('mail', '{"alpha": 0.2}');
SELECT version, is_live, time_pruned IS NOT NULL AS pruned FROM reyearn.model_versions ORDER BY version;
SELECT reyearn_export_model('mail', 1);
SELECT reyearn_export_model('mail', 2) = reyearn_export_model('mail') AS same;

-- Imported into a model that does not exist yet: live at once, and it predicts the same.
SELECT reyearn_import_model('copy', image) FROM images;
SELECT name, label_root, algorithm, live_version FROM reyearn.model_overview WHERE name = 'copy';
SELECT version, is_live, algorithm, params, metric, score, examples, class_count, feature_count
  FROM reyearn.model_versions WHERE model_id = reyearn.model_id('copy');
SELECT word, reyearn_predict(word, 'copy') = reyearn_predict_with(image, word) AS same
  FROM images, unnest('{dog,Paris,xyzzy,train,""}'::text[]) AS word;
SELECT * FROM reyearn_evaluate('copy');
-- What it learned from is not known: it is judged as it is.
SELECT version, outcome, round(live_score::numeric, 2) AS live_score, reason FROM reyearn_train('copy');

-- Into a model with a live version: that one stays.
SELECT reyearn_import_model('copy', image) FROM images;
SELECT version, is_live FROM reyearn.model_versions WHERE model_id = reyearn.model_id('copy') ORDER BY version;
SELECT reyearn_promote('copy', 3);
SELECT reyearn_predict('dog', 'copy');

-- Classes are found by label, or created.
SELECT count(*) > 0 AS moved FROM reyearn_move_class('mail.home', 'mail.private');
SELECT reyearn_predict('dog', 'copy'), reyearn_predict_with(image, 'dog') FROM images;
SELECT reyearn_import_model('again', image) FROM images;
SELECT reyearn_predict('dog', 'again');
SELECT label FROM reyearn.classes ORDER BY label;
SELECT reyearn_export_model('again') = image AS same_bytes, reyearn.image_labels(reyearn_export_model('again')) FROM images;
DROP EXTENSION reyearn;
CREATE EXTENSION reyearn;
SELECT reyearn_import_model('moved', image) FROM images;
SELECT label FROM reyearn.classes ORDER BY label;
SELECT reyearn_predict('dog'), reyearn_predict('Paris'), reyearn_export_model('moved') = image AS same_bytes FROM images;

-- Refused.
SELECT reyearn_import_model(NULL, image) FROM images;
SELECT reyearn_import_model('mail', NULL);
SELECT reyearn_import_model('', image) FROM images;
SELECT reyearn_import_model('a/b', image) FROM images;

-- Damaged: nothing is stored, and nothing is predicted.
CREATE TABLE damaged AS
    SELECT * FROM images, LATERAL (VALUES
        (1, 'empty', ''::bytea),
        (2, 'text', 'not an image'),
        (3, 'header only', substr(image, 1, 128)),
        (4, 'cut off', substr(image, 1, length(image) - 1)),
        (5, 'longer', image || '\x00'),
        (6, 'one bit', set_bit(image, 8 * (length(image) - 100), 1 - get_bit(image, 8 * (length(image) - 100)))),
        (7, 'newer format', set_byte(image, 8, get_byte(image, 8) + 1)),
        (8, 'older format', set_byte(image, 8, 0)),
        (9, 'checksum', set_byte(image, 16, 255 - get_byte(image, 16)))) AS bad (id, what, bytes);
CREATE FUNCTION refused(bytes bytea) RETURNS TABLE (import text, predict text) LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    BEGIN
        PERFORM reyearn_import_model('bad', bytes);
        import := 'stored';
    EXCEPTION WHEN data_corrupted OR feature_not_supported THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        import := format('%s: %s %s', SQLSTATE, SQLERRM, detail);
    END;
    BEGIN
        predict := reyearn_predict_with(bytes, 'dog');
    EXCEPTION WHEN data_corrupted OR feature_not_supported THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        predict := CASE WHEN import = format('%s: %s %s', SQLSTATE, SQLERRM, detail) THEN 'same' ELSE SQLERRM END;
    END;
    RETURN NEXT;
END
$$;
SELECT what, import, predict FROM damaged, refused(bytes) ORDER BY id;
SELECT reyearn.image_labels(bytes) FROM damaged WHERE id = 4;
SELECT reyearn.image_algorithm(bytes) FROM damaged WHERE id = 4;
SELECT reyearn_predict_with(image, 'dog') AS before, (SELECT reyearn_predict_with(bytes, 'dog') FROM damaged WHERE id = 6)
  FROM images;
-- Bytes of one image and then of another at one place of a statement.
SELECT word, reyearn_predict_with(CASE WHEN n % 2 = 0 THEN image ELSE image || '' END, word)
  FROM images, unnest('{dog,Paris,dog}'::text[]) WITH ORDINALITY AS w (word, n) ORDER BY n;
SELECT count(*) FROM reyearn.models WHERE name = 'bad';

-- A live version whose stored bytes were damaged, or are gone.
BEGIN;
UPDATE reyearn.model_images SET data = set_byte(data, 200, 255 - get_byte(data, 200)) WHERE kind = 'serving';
SELECT reyearn_export_model('moved');
ROLLBACK;
DELETE FROM reyearn.model_images;
CREATE TEMP TABLE live AS SELECT version_id FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id)
 WHERE is_live AND name = 'moved';
SELECT reyearn_export_model('moved');
-- The copy in shared memory serves on, until it is retired.
SELECT reyearn_predict('dog');
UPDATE reyearn.model_versions SET is_live = false WHERE version_id = (SELECT version_id FROM live);
UPDATE reyearn.model_versions SET is_live = true WHERE version_id = (SELECT version_id FROM live);
SELECT reyearn_predict('dog');
SELECT * FROM reyearn_predict_proba('dog');
-- Training heals it.
INSERT INTO reyearn.inbox (body, label) VALUES ('train', 'mail.work.trips'), ('cat', 'mail.home');
SELECT version, outcome, reason FROM reyearn_train('moved');
SELECT reyearn_predict('cat');

DROP FUNCTION refused;
DROP TABLE images, damaged;
