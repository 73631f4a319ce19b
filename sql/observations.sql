-- Texts are stored once.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

SELECT reyearn_observe('hello') AS first, reyearn_observe('hello') AS again, reyearn_observe('Hello') AS other;
SELECT reyearn_observe('');
SELECT reyearn_observe(U&'na\00EFve'), reyearn_observe(U&'nai\0308ve') AS "other bytes, other text";

-- Metadata are merged; nothing is written when they add nothing.
SELECT reyearn_observe('hello', '{"from": "ann", "seen": [1]}');
SELECT reyearn_observe('hello', '{"to": "bob", "seen": [2]}');
SELECT xmin AS before FROM reyearn.observations WHERE observation_id = 1 \gset
SELECT reyearn_observe('hello', '{"to": "bob"}');
SELECT reyearn_observe('hello', NULL);
SELECT metadata, xmin = :before AS untouched FROM reyearn.observations WHERE observation_id = 1;
SELECT reyearn_observe('new', '{"a": 1}');
SELECT metadata FROM reyearn.observations WHERE body = 'new';

-- The same under REPEATABLE READ.
SELECT reyearn_create_class('mail');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT reyearn_observe('hello') AS known, reyearn_observe('from a snapshot') = reyearn_observe('from a snapshot') AS same;
SELECT reyearn_annotate_text('from a snapshot', 'mail') IS NOT NULL;
ROLLBACK;

-- Forgetting leaves nothing of a text, and tells the models that learned from it.
SELECT reyearn_create_model('post', 'mail');
SELECT reyearn_annotate(1, 'mail') IS NOT NULL, reyearn_annotate(1, 'mail', 'predicted', '[0,2)') IS NOT NULL;
TRUNCATE reyearn.news;
SELECT reyearn_forget(1);
SELECT (SELECT count(*) FROM reyearn.observations WHERE observation_id = 1) AS observations,
       (SELECT count(*) FROM reyearn.annotations WHERE observation_id = 1) AS annotations,
       (SELECT count(*) FROM reyearn.annotation_history WHERE observation_id = 1) AS history,
       (SELECT sum(n) FROM reyearn.news) AS news;
SELECT reyearn_observe('hello') > 1 AS "a new one";

-- Errors.
SELECT reyearn_observe(NULL);
SELECT reyearn_observe('hello', '[1]');
SELECT reyearn_observe('hello', 'null');
SELECT reyearn_forget(1);
SELECT reyearn_forget(NULL);
