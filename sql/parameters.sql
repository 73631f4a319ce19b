-- Parameters: what there is, and what is refused.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

SELECT name, type, default_value, range, set_for FROM reyearn.parameters;
SELECT name FROM reyearn.parameters WHERE description IS NULL OR default_value::jsonb IS NULL;
SELECT name, value <> '' AS has_value FROM reyearn.library_info();

-- Every default can be given, and so can both ends of every range.
SELECT reyearn.check_params('naive_bayes', jsonb_object_agg(name, default_value::jsonb)) FROM reyearn.parameters;
SELECT reyearn.check_params('auto', params) FROM unnest(ARRAY[
    '{"holdout": 0, "refit": true, "seed": 0, "ngram_range": [1, 1], "min_df": 1, "alpha": 1e-10}',
    '{"holdout": 0.9, "refit": false, "seed": 9007199254740991, "ngram_range": [5, 5], "min_df": 1000000, "alpha": 1e6}',
    '{"min_df": 2.0, "ngram_range": [1.0, 2e0]}', '{}']::jsonb[]) AS params;
SELECT reyearn.check_params(NULL, '{}') IS NULL AS null_for_null;

-- Values of another type, and out of range.
SELECT reyearn.check_params('auto', '{"holdout": -0.1}');
SELECT reyearn.check_params('auto', '{"holdout": 0.91}');
SELECT reyearn.check_params('auto', '{"holdout": "0.2"}');
SELECT reyearn.check_params('auto', '{"refit": 1}');
SELECT reyearn.check_params('auto', '{"refit": null}');
SELECT reyearn.check_params('auto', '{"seed": 0.5}');
SELECT reyearn.check_params('auto', '{"seed": -1}');
SELECT reyearn.check_params('auto', '{"seed": 9007199254740993}');
SELECT reyearn.check_params('auto', '{"seed": 1e400}');
SELECT reyearn.check_params('auto', '{"ngram_range": 2}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1, 2, 3]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [2, 1]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [0, 1]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1, 6]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1, 1.5]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1, "2"]}');
SELECT reyearn.check_params('auto', '{"ngram_range": [1, [2]]}');
SELECT reyearn.check_params('auto', '{"ngram_range": {"min": 1}}');
SELECT reyearn.check_params('auto', '{"min_df": 0}');
SELECT reyearn.check_params('auto', '{"min_df": 1000001}');
SELECT reyearn.check_params('auto', '{"alpha": 0}');
SELECT reyearn.check_params('auto', '{"alpha": true}');
SELECT reyearn.check_params('auto', '{"Alpha": 1}');
SELECT reyearn.check_params('auto', '{"": 1}');
SELECT reyearn.check_params('auto', '{"größe \"x\"": 1}');
SELECT reyearn.check_params('auto', '[]');
SELECT reyearn.check_params('auto', '"alpha"');
SELECT reyearn.check_params('auto', 'null');
SELECT reyearn.check_params('perceptron', '{}');
SELECT reyearn.check_params('', '{}');
