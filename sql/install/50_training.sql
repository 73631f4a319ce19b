-- Training. The work is done in C; see src/pg/sql_train.cpp.

CREATE FUNCTION reyearn_train(model text DEFAULT NULL, params jsonb DEFAULT '{}', wait boolean DEFAULT true)
    RETURNS reyearn.training_result
    AS 'MODULE_PATHNAME', 'reyearn_train'
    LANGUAGE C VOLATILE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reyearn_train(text, jsonb, boolean) IS
    'trains a new version of the model in the current transaction, compares it with the live one on the same texts and puts it in its place if the gate says so; params hold for this training only. Call it as SELECT * FROM reyearn_train(...)';
