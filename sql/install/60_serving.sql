-- Predictions, and images as values. What depends on the live version is STABLE.

CREATE FUNCTION reyearn_predict(body text, model text DEFAULT NULL) RETURNS ltree
    AS 'MODULE_PATHNAME', 'reyearn_predict'
    LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION reyearn_predict(text, text) IS
    'most probable label of the text under the live version of the model; NULL for NULL';

CREATE FUNCTION reyearn_predict_proba(body text, model text DEFAULT NULL, top int DEFAULT NULL, depth int DEFAULT NULL)
    RETURNS TABLE (label ltree, probability real)
    AS 'MODULE_PATHNAME', 'reyearn_predict_proba'
    LANGUAGE C STABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION reyearn_predict_proba(text, text, int, int) IS
    'labels with their probabilities, most probable first: all or the top ones; with depth, added up at that level of the tree';

CREATE FUNCTION reyearn.predict_row(body text, model text DEFAULT NULL, OUT tenant_id int, OUT version_id bigint,
                                    OUT version int, OUT class_id bigint, OUT label ltree, OUT probability real)
    AS 'MODULE_PATHNAME', 'reyearn_predict_row'
    LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.predict_row(text, text) IS
    'most probable class of the text with its probability, and the version that says so';

CREATE FUNCTION reyearn_predict_with(image bytea, body text) RETURNS ltree
    AS 'MODULE_PATHNAME', 'reyearn_predict_with'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn_predict_with(bytea, text) IS
    'most probable label of the text under an exported model; reads no table';

CREATE FUNCTION reyearn_export_model(model text, version int DEFAULT NULL) RETURNS bytea
    AS 'MODULE_PATHNAME', 'reyearn_export_model'
    LANGUAGE C STABLE;
COMMENT ON FUNCTION reyearn_export_model(text, int) IS
    'the image of a version, by default the live one: for reyearn_import_model in another database, or reyearn_predict_with';

CREATE FUNCTION reyearn.image_labels(image bytea) RETURNS text[]
    AS 'MODULE_PATHNAME', 'reyearn_image_labels'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.image_labels(bytea) IS 'labels of an image in the order of its classes';

CREATE FUNCTION reyearn.image_algorithm(image bytea) RETURNS text
    AS 'MODULE_PATHNAME', 'reyearn_image_algorithm'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.image_algorithm(bytea) IS 'algorithm that made an image';

CREATE FUNCTION reyearn.store_image(model_id bigint, image bytea, class_ids bigint[], is_new boolean) RETURNS int
    AS 'MODULE_PATHNAME', 'reyearn_store_image'
    LANGUAGE C VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reyearn.store_image(bigint, bytea, bigint[], boolean) IS
    'stores an image as a new version of a model, with the given classes in the order of the image; a new model has nothing to learn until annotations change. Returns the number of the version';

CREATE FUNCTION reyearn.class_ids(labels text[]) RETURNS bigint[]
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT array_agg(reyearn.find_class(reyearn.parse_label(l.label)) ORDER BY l.place)
          FROM unnest(labels) WITH ORDINALITY AS l (label, place);
    END;
COMMENT ON FUNCTION reyearn.class_ids(text[]) IS 'ids of classes in the order of their labels, all of which exist';

-- Bound at installation: nobody can put other functions in their place.
CREATE FUNCTION reyearn.create_class(label text) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_create_class(label, NULL);
    END;
COMMENT ON FUNCTION reyearn.create_class(text) IS 'reyearn_create_class, bound at installation';

CREATE FUNCTION reyearn.create_model(name text, label_root text, algorithm text) RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_create_model(name, label_root, algorithm => algorithm);
    END;
COMMENT ON FUNCTION reyearn.create_model(text, text, text) IS 'reyearn_create_model, bound at installation';

CREATE FUNCTION reyearn_import_model(name text, image bytea) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    labels text[];
    types  text[];
    is_new boolean;
BEGIN
    IF name IS NULL OR image IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL', CASE WHEN name IS NULL THEN 'name' ELSE 'image' END),
            HINT = 'Give a name and an image made by reyearn_export_model().';
    END IF;
    labels := reyearn.image_labels(image);
    PERFORM reyearn.create_class(l) FROM unnest(labels) AS l;
    is_new := NOT EXISTS (SELECT FROM reyearn.models AS m
                           WHERE m.tenant_id = reyearn.current_tenant() AND m.name = reyearn_import_model.name);
    IF is_new THEN
        types := ARRAY(SELECT DISTINCT split_part(l, '.', 1) FROM unnest(labels) AS l);
        PERFORM reyearn.create_model(name, CASE WHEN cardinality(types) = 1 THEN types[1] ELSE '' END,
                                     reyearn.image_algorithm(image));
    END IF;
    RETURN reyearn.store_image(reyearn.model_id(name), image, reyearn.class_ids(labels), is_new);
END
$$;
COMMENT ON FUNCTION reyearn_import_model(text, bytea) IS
    'stores an exported image as a new version of the model, which is created if need be, with classes found or created by label; it goes live only when the model has no live version. Returns the number of the version';
