-- Which SQLSTATE each refusal has; their texts are in the tests of the functions.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
SELECT reyearn_create_class('mail.work'), reyearn_create_class('mail.home');
SELECT reyearn_create_model('post', 'mail'), reyearn_annotate_text('text', 'mail.work');

CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'success';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END
$$;
-- A NULL where none is allowed; the others mean "unchanged" or the default.
SELECT call, sqlstate_of('SELECT ' || call) FROM unnest(ARRAY[
    'reyearn_create_class(NULL::text)', 'reyearn_create_class(NULL::ltree)', 'reyearn_create_class(''a'', NULL)',
    'reyearn_move_class(NULL, ''a'')', 'reyearn_move_class(''a'', NULL)', 'reyearn_move_class(''a'', ''b'', NULL)',
    'reyearn_drop_class(NULL::text)', 'reyearn_drop_class(''a'', NULL)',
    'reyearn_observe(NULL)', 'reyearn_observe(''x'', NULL)',
    'reyearn_annotate(NULL, ''mail'')', 'reyearn_annotate(1, NULL::text)', 'reyearn_annotate(1, ''mail'', NULL)',
    'reyearn_annotate(1, ''mail'', ''rejected'', NULL)',
    'reyearn_annotate_text(NULL, ''mail'')', 'reyearn_annotate_text(''x'', NULL::text)',
    'reyearn_annotate_text(''x'', ''mail'', NULL)',
    'reyearn_confirm(NULL::bigint)', 'reyearn_confirm(NULL::bigint[])', 'reyearn_reject(ARRAY[NULL]::bigint[])',
    'reyearn_correct(NULL, ''mail'')', 'reyearn_correct(1, NULL::ltree)', 'reyearn_forget(NULL)',
    'reyearn_create_model(NULL)', 'reyearn_create_model(''x'', NULL)', 'reyearn_create_model(''x'', task => NULL)',
    'reyearn_create_model(''x'', algorithm => NULL)', 'reyearn_create_model(''x'', params => NULL)',
    'reyearn_create_model(''x'', retrain_after => NULL)', 'reyearn_create_model(''x'', retrain_delay => NULL)',
    'reyearn_create_model(''x'', promotion => NULL)', 'reyearn_create_model(''x'', keep_versions => NULL)',
    'reyearn_alter_model(NULL)', 'reyearn_alter_model(''post'')', 'reyearn_drop_model(NULL)',
    'reyearn_promote(NULL, 1)', 'reyearn_promote(''post'', NULL)', 'reyearn_rollback(NULL)',
    'reyearn_classify(NULL)']) AS call;
-- What does not exist, exists already, is not a value, is in use or in the wrong state.
SELECT call, sqlstate_of('SELECT ' || call) FROM unnest(ARRAY[
    'reyearn_move_class(''none'', ''a'')', 'reyearn_drop_class(''none'')', 'reyearn_annotate(1, ''none'')',
    'reyearn_annotate(0, ''mail'')', 'reyearn_confirm(0)', 'reyearn_correct(0, ''mail'')', 'reyearn_forget(0)',
    'reyearn_create_model(''x'', ''none'')', 'reyearn_alter_model(''none'')', 'reyearn_drop_model(''none'')',
    'reyearn_promote(''post'', 1)', 'reyearn_evaluate(''none'')', 'reyearn_evaluate(''post'', 1)',
    'reyearn_create_model(''post'')',
    'reyearn_create_class(''a b'')', 'reyearn_move_class(''mail'', ''mail.x'')', 'reyearn_observe(''x'', ''1'')',
    'reyearn_annotate(1, ''mail'', ''x'')', 'reyearn_annotate(1, ''mail'', span => ''empty'')',
    'reyearn_create_model('''')', 'reyearn_create_model(''x'', promotion => ''x'')',
    'reyearn_create_model(''x'', keep_versions => 0)', 'reyearn_create_model(''x'', params => ''1'')',
    'reyearn_create_model(''x'', task => ''tagging'')',
    'reyearn_drop_class(''mail'')', 'reyearn_rollback(''post'')', 'reyearn_evaluate(''post'')',
    'reyearn_confusion_matrix(''post'')']) AS call;
DROP FUNCTION sqlstate_of(text);
