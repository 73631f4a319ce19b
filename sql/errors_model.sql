-- Labels that are none, models that are none, and callers without rights.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- The character that is wrong is named; positions count characters from 1.
SELECT reyearn.parse_label('mail'), reyearn.parse_label('Mail_2.work.0'), reyearn.parse_label(NULL);
SELECT pg_typeof(reyearn.parse_label('mail')), nlevel(reyearn.parse_label('a.b.c')), reyearn.parse_label('a.b') = 'a.b'::ltree AS same;
SELECT length(reyearn.parse_label(repeat('a', 255) || '.' || repeat('b', 255))::text);
SELECT reyearn.parse_label('');
SELECT reyearn.parse_label(' ');
SELECT reyearn.parse_label('mail work');
SELECT reyearn.parse_label('mail.to-do');
SELECT reyearn.parse_label('.mail');
SELECT reyearn.parse_label('mail.');
SELECT reyearn.parse_label('mail..work');
SELECT reyearn.parse_label('.');
SELECT reyearn.parse_label('mail/work');
SELECT reyearn.parse_label(U&'mail.Gr\00FC\00DFe');
SELECT reyearn.parse_label(U&'\6771\4EAC');
SELECT reyearn.parse_label(U&'\+01F600');
SELECT reyearn.parse_label(e'mail\n');
SELECT reyearn.parse_label('work.' || repeat('a', 256));
SELECT nlevel(reyearn.parse_label(repeat('a.', 65534) || 'a'));
SELECT reyearn.parse_label(repeat('a.', 65535) || 'a');
-- A label of any length makes an error of a bounded one, cut between characters.
DO $$
DECLARE
    message text;
BEGIN
    PERFORM reyearn.parse_label(repeat(U&'\00FC', 1000000));
EXCEPTION WHEN invalid_text_representation THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE NOTICE '%, % bytes at most: %', left(message, 20), 512, octet_length(message) BETWEEN 500 AND 512;
END
$$;
-- Every function that takes one as text says the same.
SELECT reyearn_create_class('mail work');
SELECT reyearn_annotate_text('hello', 'mail work');
SELECT reyearn_create_model('m', 'mail work');
INSERT INTO reyearn.inbox (body, label) VALUES ('hello', 'mail work');

-- Names of models.
SELECT reyearn.model_id('m');
SELECT reyearn.model_id(NULL);
SELECT reyearn.model_id('');
SELECT reyearn_predict('x', repeat('long ', 5000)) IS NULL;
SELECT reyearn_predict('x', U&'Gr\00FC\00DFe "x"');
SELECT reyearn_create_class('mail.a');
SELECT reyearn_create_model(U&'Gr\00FC\00DFe ''"\\%s', 'mail') IS NOT NULL AS created;
SELECT reyearn_predict('x');
SELECT reyearn_create_model('m' || i, 'mail') IS NOT NULL AS created FROM generate_series(1, 25) AS i OFFSET 24;
SELECT reyearn_predict('x');

-- Texts of observations are told apart by their bytes.
SELECT reyearn.content_hash('abc'), reyearn.content_hash(''), reyearn.content_hash(NULL);
SELECT reyearn.content_hash(U&'\00FC') = sha256(convert_to(U&'\00FC', 'UTF8')) AS of_utf8,
       reyearn.content_hash(repeat('a', 1000000)) = sha256(convert_to(repeat('a', 1000000), 'UTF8')) AS of_long_text;

-- Without rights nothing is said of any model; what reads no table asks for none.
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA reyearn TO regress_nobody;
GRANT EXECUTE ON FUNCTION reyearn_predict, reyearn_predict_proba, reyearn_train, reyearn_export_model, reyearn.model_id,
    reyearn.predict_row, reyearn.find_observation, reyearn_predict_with TO regress_nobody;
SET ROLE regress_nobody;
SELECT reyearn_predict('x', 'm1');
SELECT reyearn_predict('x', 'not there');
SELECT * FROM reyearn_predict_proba('x', 'm1');
SELECT * FROM reyearn.predict_row('x', 'm1');
SELECT * FROM reyearn_train('m1');
SELECT reyearn_export_model('m1');
SELECT reyearn.model_id('m1');
SELECT reyearn.find_observation('x');
SELECT reyearn_predict_with('', 'x');
SELECT reyearn_evaluate('m1');
RESET ROLE;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
