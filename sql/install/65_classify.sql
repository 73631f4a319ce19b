-- Predict and keep the prediction, so that people can confirm or correct it.

CREATE FUNCTION reyearn_classify(body text, model text DEFAULT NULL, metadata jsonb DEFAULT '{}')
    RETURNS TABLE (observation_id bigint, annotation_id bigint, label ltree, probability real, version int)
    LANGUAGE plpgsql ROWS 1
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    prediction record;
    class bigint;
BEGIN
    IF body IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"body" must not be NULL';
    END IF;
    LOOP
        SELECT * INTO prediction FROM reyearn.predict_row(body, model);
        class := reyearn.find_class(prediction.label);
        EXIT WHEN class IS NOT NULL;    -- else another session has just renamed, merged or dropped it
        IF prediction.tenant_id <> tenant THEN
            PERFORM reyearn.unknown_class(prediction.label);    -- a shared model knows the classes of its own tenant
        END IF;
    END LOOP;
    observation_id := reyearn.observe(body, metadata);
    INSERT INTO reyearn.annotations AS a (tenant_id, observation_id, class_id, status, probability,
                                          predicted_by_tenant, predicted_by_version)
    VALUES (tenant, observation_id, class, 'predicted', prediction.probability,
            prediction.tenant_id, prediction.version_id)
    ON CONFLICT ON CONSTRAINT annotations_identity DO UPDATE
       SET status = excluded.status, probability = excluded.probability,
           predicted_by_tenant = excluded.predicted_by_tenant, predicted_by_version = excluded.predicted_by_version
     WHERE a.status IN ('unknown', 'predicted')
       AND (a.status, a.probability, a.predicted_by_tenant, a.predicted_by_version)
           IS DISTINCT FROM
           (excluded.status, excluded.probability, excluded.predicted_by_tenant, excluded.predicted_by_version)
    RETURNING a.annotation_id INTO annotation_id;
    IF annotation_id IS NULL THEN    -- judged by a person, or predicted like this before
        SELECT a.annotation_id INTO annotation_id
          FROM reyearn.annotations AS a
         WHERE a.tenant_id = tenant AND a.observation_id = observation_id AND a.class_id = class
           AND a.span IS NULL;
    END IF;
    label := prediction.label;
    probability := prediction.probability;
    version := prediction.version;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION reyearn_classify(text, text, jsonb) IS
    'predict the class of a text and store both; what people have confirmed or rejected stays';
