-- What annotations mean, by the functions and by plain INSERT, UPDATE and DELETE.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT reyearn_create_class(label) FROM unnest('{mail.work.trips,mail.work.bills,mail.home,tone.kind}'::text[]) AS label;
SELECT reyearn_create_model('post', 'mail');
SELECT reyearn_observe('text ' || i) FROM generate_series(1, 6) AS i;
CREATE VIEW marks AS
    SELECT observation_id AS text, label, span, status FROM reyearn.annotation_overview ORDER BY 1, label, span;

-- The same again is the same annotation.
SELECT reyearn_annotate(1, 'mail.home') = reyearn_annotate(1, 'mail.home'::ltree) AS same,
       reyearn_annotate(1, 'mail.home', span => '[0,4)') = reyearn_annotate(1, 'mail.home', 'confirmed', '[0,3]') AS same_span;
TABLE marks;
SELECT sum(n) AS "news, of the whole text alone" FROM reyearn.news;

-- A prediction replaces neither a confirmation nor a rejection; unknown withdraws anything.
SELECT reyearn_annotate(2, 'mail.home', 'rejected') = reyearn_annotate(2, 'mail.home', 'predicted') AS same;
TABLE marks;
SELECT reyearn_annotate(2, 'mail.home', 'unknown') IS NOT NULL;
SELECT reyearn_annotate(2, 'mail.home', 'predicted') IS NOT NULL;
TABLE marks;
UPDATE reyearn.annotations SET status = 'predicted' WHERE status = 'confirmed';

-- Confirming a class rejects older siblings under the root of a model, not those above, below, beside it or of spans.
SELECT reyearn_annotate(3, label) IS NOT NULL FROM unnest('{mail.work,mail.work.trips,tone.kind}'::text[]) AS label;
SELECT reyearn_annotate(3, 'mail.home', span => '[0,4)') IS NOT NULL;
SELECT * FROM marks WHERE text = 3;
SELECT reyearn_annotate(3, 'mail.work.bills') IS NOT NULL;
SELECT * FROM marks WHERE text = 3;
SELECT reyearn_annotate(3, 'mail.home') IS NOT NULL;
SELECT * FROM marks WHERE text = 3;
SELECT c.label, h.span, h.from_status, h.to_status, h.changed_by = current_user AS by_me
  FROM reyearn.annotation_history h JOIN reyearn.classes c USING (class_id)
 WHERE observation_id = 3 ORDER BY history_id;

-- Without a model no class excludes another; a model without a root covers all types.
SELECT reyearn_create_class('tone.rude');
SELECT reyearn_annotate(4, label) IS NOT NULL FROM unnest('{tone.kind,tone.rude}'::text[]) AS label;
SELECT * FROM marks WHERE text = 4;
SELECT reyearn_create_model('everything');
SELECT reyearn_annotate(4, 'mail.home') IS NOT NULL;
SELECT * FROM marks WHERE text = 4;
SELECT reyearn_drop_model('everything');

-- Judging predictions.
SELECT reyearn_annotate(5, label, 'predicted') AS id FROM unnest('{mail.home,tone.kind}'::text[]) AS label;
SELECT array_agg(annotation_id ORDER BY annotation_id) AS ids, min(annotation_id) AS one
  FROM reyearn.annotations WHERE observation_id = 5 \gset
SELECT reyearn_confirm(:'ids'::bigint[]) AS both, reyearn_confirm(:one) AS again, reyearn_reject(:one) AS rejected;
SELECT * FROM marks WHERE text = 5;
SELECT reyearn_correct(:one, 'mail.work.trips') <> :one AS another, reyearn_correct(:one, 'mail.home') = :one AS "right after all";
SELECT * FROM marks WHERE text = 5;
SELECT reyearn_confirm('{}'::bigint[]), reyearn_reject('{}'::bigint[]);

-- Plain statements follow the same rules, and news counts what training would see.
TRUNCATE reyearn.news;
INSERT INTO reyearn.annotations (observation_id, class_id, status)
SELECT o, class_id, 'confirmed' FROM reyearn.classes, generate_series(1, 6) AS o WHERE label = 'mail.work.bills'
ON CONFLICT ON CONSTRAINT annotations_identity DO UPDATE SET status = excluded.status;
SELECT * FROM marks WHERE label <@ 'mail' AND status = 'confirmed';
SELECT n FROM reyearn.news ORDER BY news_id;
TRUNCATE reyearn.news;
UPDATE reyearn.annotations SET class_id = (SELECT class_id FROM reyearn.classes WHERE label = 'tone.rude')
 WHERE observation_id = 6;
SELECT n FROM reyearn.news ORDER BY news_id;
SELECT c.label, h.from_status, h.to_status
  FROM reyearn.annotation_history h JOIN reyearn.classes c USING (class_id)
 WHERE observation_id = 6 ORDER BY history_id;
TRUNCATE reyearn.news;
DELETE FROM reyearn.annotations WHERE observation_id IN (1, 2);
SELECT n FROM reyearn.news ORDER BY news_id;
SELECT observation_id, from_status, to_status FROM reyearn.annotation_history
 WHERE to_status IS NULL AND observation_id IN (1, 2) ORDER BY 1, 2;
TRUNCATE reyearn.news;
UPDATE reyearn.annotations SET probability = 0.5;
INSERT INTO reyearn.annotations (observation_id, class_id) SELECT 1, 1 WHERE false;
SELECT count(*) FROM reyearn.news;

-- Many at once.
INSERT INTO reyearn.observations (body) SELECT 'bulk ' || i FROM generate_series(1, 2000) AS i;
INSERT INTO reyearn.annotations (observation_id, class_id)
SELECT observation_id, class_id FROM reyearn.observations, reyearn.classes WHERE body ~ 'bulk' AND label = 'mail.home';
INSERT INTO reyearn.annotations (observation_id, class_id)
SELECT observation_id, class_id FROM reyearn.observations, reyearn.classes WHERE body ~ 'bulk' AND label = 'mail.work';
SELECT label, a.status, count(*) FROM reyearn.annotation_overview AS a WHERE text ~ 'bulk' GROUP BY 1, 2 ORDER BY 1;
SELECT n FROM reyearn.news ORDER BY news_id;

-- While a dump is restored, what follows from an annotation is restored and not made again.
SET check_function_bodies = off;
SELECT reyearn.restoring();
SET row_security = off;
SELECT reyearn.restoring();
SELECT max(history_id) AS history, max(news_id) AS news FROM reyearn.annotation_history, reyearn.news \gset
INSERT INTO reyearn.annotations (observation_id, class_id) SELECT 1, class_id FROM reyearn.classes WHERE label = 'mail.home';
INSERT INTO reyearn.annotation_history (annotation_id, observation_id, class_id, to_status)
SELECT annotation_id, observation_id, class_id, status FROM reyearn.annotations WHERE observation_id = 1;
SELECT count(*) AS history FROM reyearn.annotation_history WHERE history_id > :history;
SELECT count(*) AS news FROM reyearn.news WHERE news_id > :news;
RESET check_function_bodies;
RESET row_security;

-- Annotations are not read from end to end.
VACUUM ANALYZE reyearn.annotations, reyearn.observations, reyearn.annotation_history;
\c -
\set SHOW_CONTEXT never
BEGIN;
SELECT reyearn_annotate_text('new text', 'mail.work') AS id \gset
SELECT reyearn_annotate_text('new text', 'mail.home') <> :id, reyearn_annotate(10, 'mail.work.trips', span => '[0,2)') <> :id;
SELECT reyearn_confirm(:id), reyearn_reject(ARRAY[:id]), reyearn_correct(:id, 'mail.work.bills') <> :id;
INSERT INTO reyearn.inbox (body, label) VALUES ('new again', 'mail.work');
UPDATE reyearn.annotations SET status = 'unknown' WHERE tenant_id = 0 AND annotation_id = :id;
SELECT label, text FROM reyearn.annotation_overview WHERE annotation_id = :id;
SELECT reyearn_forget(10);
SELECT count(*) FROM reyearn.class_overview;
SELECT count(*) FROM reyearn_drop_class('tone.rude');
SELECT relname, seq_scan FROM pg_stat_xact_user_tables
 WHERE schemaname = 'reyearn' AND relname IN ('annotations', 'annotation_history', 'observations') ORDER BY 1;
ROLLBACK;

-- Errors.
SELECT reyearn_annotate(1, 'mail.hmoe');
SELECT reyearn_annotate(1, 'spam'::ltree);
SELECT reyearn_annotate(1, 'not a label');
SELECT reyearn_annotate(1, NULL::text);
SELECT reyearn_annotate(NULL, 'mail.home');
SELECT reyearn_annotate(1, 'mail.home', NULL);
SELECT reyearn_annotate(1, 'mail.home', 'sure');
SELECT reyearn_annotate(-1, 'mail.home');
SELECT reyearn_annotate(1, 'mail.home', span => 'empty');
SELECT reyearn_annotate(1, 'mail.home', span => '[1,)');
SELECT reyearn_annotate(1, 'mail.home', span => '[-1,2)');
SELECT reyearn_annotate(1, 'mail.home', span => '[0,7)');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT reyearn_annotate(-1, 'mail.home');
ROLLBACK;
SELECT reyearn_annotate_text(NULL, 'mail.home');
SELECT reyearn_confirm(ARRAY[1, -2, -1, -2]);
SELECT reyearn_confirm(ARRAY[1, NULL]);
SELECT reyearn_reject(NULL::bigint[]);
SELECT reyearn_reject(NULL::bigint);
SELECT reyearn_correct(-1, 'mail.home');
SELECT reyearn_correct(NULL, 'mail.home');
SELECT reyearn_correct(1, 'mail.hmoe');
UPDATE reyearn.annotations SET observation_id = 2 WHERE observation_id = 3;
\set VERBOSITY terse
INSERT INTO reyearn.annotations (observation_id, class_id, span) VALUES (1, 1, '[3,)');
INSERT INTO reyearn.annotations (observation_id, class_id) VALUES (-1, 1);
DROP VIEW marks;
