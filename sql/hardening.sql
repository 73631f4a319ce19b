-- A hostile schema first on the search_path, with what reyearn calls and what it could be tricked into calling.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE SCHEMA hostile;
CREATE FUNCTION hostile.trap() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
CREATE FUNCTION hostile.same_ltree(ltree, ltree) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.trap()';
CREATE FUNCTION hostile.same_int4(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.trap()';
CREATE FUNCTION hostile.same_int8(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.trap()';
CREATE FUNCTION hostile.same_text(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.trap()';
CREATE FUNCTION hostile.merge_jsonb(jsonb, jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT hostile.trap()::text::jsonb$$;
CREATE OPERATOR hostile.= (LEFTARG = ltree, RIGHTARG = ltree, FUNCTION = hostile.same_ltree);
CREATE OPERATOR hostile.<@ (LEFTARG = ltree, RIGHTARG = ltree, FUNCTION = hostile.same_ltree);
CREATE OPERATOR hostile.= (LEFTARG = int, RIGHTARG = int, FUNCTION = hostile.same_int4);
CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.same_int8);
CREATE OPERATOR hostile.<> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.same_int8);
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.same_text);
CREATE OPERATOR hostile.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.same_text);
CREATE OPERATOR hostile.|| (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = hostile.merge_jsonb);
CREATE FUNCTION hostile.nlevel(ltree) RETURNS int LANGUAGE sql AS 'SELECT hostile.trap()::int';
CREATE FUNCTION hostile.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION hostile.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT hostile.trap()::text$$;
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT hostile.trap()::text::timestamptz$$;
CREATE FUNCTION hostile.reyearn_annotate(bigint, ltree, text, int4range) RETURNS bigint
    LANGUAGE sql AS $$SELECT hostile.trap()::int::bigint$$;
CREATE FUNCTION hostile.reyearn_observe(text, jsonb) RETURNS bigint
    LANGUAGE sql AS $$SELECT hostile.trap()::int::bigint$$;
CREATE FUNCTION hostile.reyearn_create_class(ltree, text) RETURNS void
    LANGUAGE sql AS $$SELECT hostile.trap()$$;
CREATE TABLE hostile.annotations (no text);
CREATE TEMP TABLE classes (no text);

-- pg_catalog last, so that the hostile operators win where nothing protects from them.
SET search_path = hostile, public, pg_catalog;
SELECT 1 = 1;
SELECT public.reyearn_create_class('email.business', 'work');
SELECT public.reyearn_create_class('email.private'::ltree);
SELECT public.reyearn_create_model('post', 'email');
SELECT public.reyearn_observe('meeting at ten', '{"from": "a"}');
SELECT public.reyearn_observe('meeting at ten', '{"to": "b"}');
SELECT public.reyearn_annotate(1, 'email.business', 'predicted');
SELECT public.reyearn_annotate(1, 'email.business'::ltree);
SELECT public.reyearn_annotate_text('see you', 'email.private');
SELECT public.reyearn_correct(3, 'email.business');
SELECT public.reyearn_reject(3);
SELECT public.reyearn_confirm(ARRAY[1, 3]::bigint[]);
SELECT * FROM public.reyearn_evaluate('post');
INSERT INTO reyearn.inbox (body, label, span) VALUES ('lunch?', 'email.private', '[0,5)');
SELECT rows FROM public.reyearn_move_class('email', 'post');
SELECT rows FROM public.reyearn_move_class('post.private', 'post.business');
SELECT public.reyearn_alter_model('post', keep_versions => 3);
SELECT public.reyearn_forget(1);
SELECT count(name) > 5 FROM public.reyearn_status();
SELECT public.reyearn_drop_model('post');
SELECT rows FROM public.reyearn_drop_class('post');
RESET search_path;
DROP TABLE pg_temp.classes;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
