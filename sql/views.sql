-- What one looks at.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT reyearn_create_class('mail.work', 'what is paid for'), reyearn_create_class('mail.home');
SELECT reyearn_create_model('post', 'mail', retrain_after => 3), reyearn_create_model('idle', retrain_after => 0);
INSERT INTO reyearn.inbox (body, label, status, span) VALUES
    ('agenda for ten', 'mail.work', 'confirmed', NULL),
    ('agenda for ten', 'mail.home', 'rejected', NULL),
    (U&'d\00E9jeuner at ten', 'mail.work', 'confirmed', '[0,8)'),
    ('see you', 'mail.home', 'predicted', NULL),
    ('see you', 'mail.work', 'unknown', NULL);
SELECT label, description, confirmed, rejected, predicted, unknown, last_annotated IS NOT NULL AS annotated
  FROM reyearn.class_overview ORDER BY label;
SELECT label, status, annotated_by = current_user AS by_me, span, text, probability, model, version
  FROM reyearn.annotation_overview ORDER BY annotation_id;
SELECT name, task, label_root, algorithm, live_version, waiting, is_due, last_outcome FROM reyearn.model_overview ORDER BY name;
SELECT reyearn_annotate_text('one more', 'mail.home') IS NOT NULL;
SELECT name, waiting, is_due FROM reyearn.model_overview ORDER BY name;
SELECT m.name, count(*) AS classes FROM reyearn.model_classes JOIN reyearn.models AS m USING (model_id)
 GROUP BY m.name ORDER BY m.name;

-- Status: names of facts, and advice where something is to be done.
SELECT name, state, advice FROM reyearn_status();
INSERT INTO reyearn.model_versions (model_id, version, is_live, algorithm, params, examples, class_count, feature_count,
                                    image_bytes, image_checksum, library_version, icu_version)
VALUES (1, 1, true, 'naive_bayes', '{}', 10, 2, 5, 3, 0, '1.0', '0');
SET check_function_bodies = off;
SET row_security = off;
SELECT name, state, advice FROM reyearn_status() WHERE state <> 'ok';
RESET check_function_bodies;
RESET row_security;
