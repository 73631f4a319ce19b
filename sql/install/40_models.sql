-- Models and their versions: what is declared, what is live, what can be gone back to. Training is in 50_training.sql.
--
-- Whatever changes a model or its versions first locks the model's row FOR NO KEY UPDATE, as training does: a promotion
-- waits for a training of the same model, and the other way round.

CREATE FUNCTION reyearn.model_id(model text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_model_id'
    LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.model_id(text) IS
    'number of the model with this name that the caller''s tenant has; for NULL, of the default model or the only one';

CREATE FUNCTION reyearn.check_params(algorithm text, params jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_check_params'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.check_params(text, jsonb) IS
    'raises an error unless the algorithm exists and takes these parameters';

CREATE FUNCTION reyearn.lock_model(name text, argument text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id bigint;
BEGIN
    IF name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = format('"%s" must not be NULL', argument);
    END IF;
    id := reyearn.model_id(name);
    PERFORM FROM reyearn.models AS m
      WHERE m.tenant_id = reyearn.current_tenant() AND m.model_id = id
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN    -- dropped while this waited
        RAISE undefined_object USING MESSAGE = format('model "%s" does not exist', name);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn.lock_model(text, text) IS
    'number of the model, which no other session trains or changes until the transaction ends; the argument is named in the error for NULL';

CREATE FUNCTION reyearn.label_root_id(label_root text) RETURNS bigint
    LANGUAGE sql
    RETURN CASE WHEN label_root <> '' THEN reyearn.lock_class(reyearn.parse_label(label_root)) END;
COMMENT ON FUNCTION reyearn.label_root_id(text) IS
    'number of the class that a label root names; NULL for the empty one, which means all classes';

CREATE FUNCTION reyearn.check_model(definition reyearn.models) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    SELECT argument INTO missing
      FROM jsonb_each(to_jsonb(definition)) AS given (argument, value)
     WHERE argument IN ('name', 'task', 'algorithm', 'params', 'retrain_after', 'retrain_delay', 'promotion',
                        'keep_versions')
       AND value = 'null';
    IF FOUND THEN
        RAISE null_value_not_allowed USING MESSAGE = format('"%s" must not be NULL', missing);
    END IF;
    IF definition.name = '' OR strpos(definition.name, '/') > 0 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid model name "%s"', definition.name),
            HINT = 'A name is not empty and has no slash, which separates tenant and name of a shared model.';
    ELSIF definition.task <> 'classification' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('task "%s" is not supported', definition.task),
            HINT = 'The only task is classification.';
    ELSIF definition.promotion NOT IN ('if_better', 'if_not_worse', 'always', 'never') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid promotion "%s"', definition.promotion),
            HINT = 'Promotion is if_better, if_not_worse, always or never.';
    ELSIF definition.retrain_after < 0 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"retrain_after" must not be negative',
            DETAIL = format('It is %s.', definition.retrain_after),
            HINT = 'Use 0 to train only on request.';
    ELSIF definition.retrain_delay < interval '0' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"retrain_delay" must not be negative',
            DETAIL = format('It is %s.', definition.retrain_delay);
    ELSIF definition.retrain_delay > interval '366 days' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"retrain_delay" must not be longer than 366 days',
            DETAIL = format('It is %s.', definition.retrain_delay),
            HINT = 'To train only on request, set "retrain_after" to 0.';
    ELSIF extract(year FROM definition.retrain_delay) NOT BETWEEN 0 AND 1
          OR extract(day FROM definition.retrain_delay) NOT BETWEEN 0 AND 366 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"retrain_delay" must not be made of opposite parts',
            DETAIL = format('It is %s.', definition.retrain_delay);
    ELSIF definition.keep_versions < 1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"keep_versions" must be at least 1',
            DETAIL = format('It is %s.', definition.keep_versions);
    ELSIF jsonb_typeof(definition.params) <> 'object' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"params" must be a JSON object',
            DETAIL = format('It is of type %s.', jsonb_typeof(definition.params));
    END IF;
    PERFORM reyearn.check_params(definition.algorithm, definition.params);
END
$$;
COMMENT ON FUNCTION reyearn.check_model(reyearn.models) IS 'raises an error unless a model can be defined like this';

CREATE FUNCTION reyearn.news_of_model(tenant_id int, model_id bigint) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        DELETE FROM reyearn.news AS n WHERE n.tenant_id = $1 AND n.model_id = $2;    -- which is among what follows
        INSERT INTO reyearn.news (tenant_id, model_id, n)
        SELECT $1, $2, count(*)
          FROM reyearn.model_classes AS c
          JOIN reyearn.annotations AS a ON a.tenant_id = c.tenant_id AND a.class_id = c.class_id
         WHERE c.tenant_id = $1 AND c.model_id = $2 AND a.status = 'confirmed' AND a.span IS NULL
        HAVING count(*) > 0;
    END;
COMMENT ON FUNCTION reyearn.news_of_model(int, bigint) IS
    'makes all annotations that a model learns from new to it: it has just been defined, or otherwise than before';

CREATE FUNCTION reyearn.count_models(tenant_id int) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_count_models'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.count_models(int) IS 'number of models of a tenant that are committed or of this transaction, whatever its snapshot shows';

CREATE FUNCTION reyearn.image_bytes(tenant_id int) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_image_bytes'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.image_bytes(int) IS 'bytes of the images of a tenant that are committed or of this transaction, whatever its snapshot shows';

CREATE FUNCTION reyearn.check_model_quota(tenant_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant reyearn.tenants;
BEGIN
    -- Two that create models take turns.
    SELECT t.* INTO tenant FROM reyearn.tenants AS t WHERE t.tenant_id = $1 AND t.max_models IS NOT NULL FOR NO KEY UPDATE;
    IF FOUND AND reyearn.count_models($1) > tenant.max_models THEN
        RAISE configuration_limit_exceeded USING
            MESSAGE = format('tenant "%s" may not have more models', tenant.name),
            DETAIL = format('It may have %s.', tenant.max_models),
            HINT = 'Drop one, or have the limit raised with reyearn_alter_tenant().';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_model_quota(int) IS 'raises an error if a tenant has more models than it may have';

CREATE FUNCTION reyearn.model_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF reyearn.restoring() THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM reyearn.news AS n WHERE n.tenant_id = OLD.tenant_id AND n.model_id = OLD.model_id;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM reyearn.check_model_quota(NEW.tenant_id);
        PERFORM reyearn.news_of_model(NEW.tenant_id, NEW.model_id);
        RETURN NULL;
    END IF;
    -- A root that is merged into another class: news_of_move() tells what that changes.
    IF (NEW.label_root_id, NEW.task, NEW.algorithm, NEW.params)
       IS DISTINCT FROM (OLD.label_root_id, OLD.task, OLD.algorithm, OLD.params)
       AND NOT EXISTS (SELECT FROM reyearn.merged_classes AS m
                        WHERE m.tenant_id = OLD.tenant_id AND m.class_id = OLD.label_root_id
                          AND m.into_class_id = NEW.label_root_id) THEN
        PERFORM reyearn.news_of_model(NEW.tenant_id, NEW.model_id);
    END IF;
    IF NEW.keep_versions < OLD.keep_versions THEN
        PERFORM reyearn.prune_versions(NEW.tenant_id, NEW.model_id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.model_changed() IS
    'makes what a model learns from new to it when it is defined otherwise, prunes versions when it keeps fewer, and forgets its news when it is dropped';

CREATE TRIGGER model_changed AFTER INSERT OR UPDATE OR DELETE ON reyearn.models
    FOR EACH ROW EXECUTE FUNCTION reyearn.model_changed();
COMMENT ON TRIGGER model_changed ON reyearn.models IS 'does what follows from another definition';

-- A model is trained in the background with the rights of its owner: nobody can lend it those of somebody else.
CREATE FUNCTION reyearn.check_model_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT reyearn.restoring() AND NOT pg_has_role(current_user, NEW.owner, 'MEMBER') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('must be member of role %s to let it own a model', NEW.owner);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION reyearn.check_model_owner() IS 'lets a model be owned only by roles that the caller is a member of';

CREATE TRIGGER models_owner BEFORE UPDATE OF owner ON reyearn.models
    FOR EACH ROW WHEN (NEW.owner IS DISTINCT FROM OLD.owner)
    EXECUTE FUNCTION reyearn.check_model_owner();
COMMENT ON TRIGGER models_owner ON reyearn.models IS 'lets a model be owned only by roles that the caller is a member of';

CREATE FUNCTION reyearn_create_model(name text, label_root text DEFAULT '', task text DEFAULT 'classification',
                                     algorithm text DEFAULT 'auto', params jsonb DEFAULT '{}',
                                     retrain_after int DEFAULT 1, retrain_delay interval DEFAULT '5 s',
                                     promotion text DEFAULT 'if_better', keep_versions int DEFAULT 5) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    model reyearn.models;
BEGIN
    IF label_root IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = '"label_root" must not be NULL',
            HINT = 'The empty string means all classes.';
    END IF;
    model.tenant_id := reyearn.current_tenant();
    model.name := name;
    model.task := task;
    model.algorithm := algorithm;
    model.params := jsonb_strip_nulls(params);
    model.retrain_after := retrain_after;
    model.retrain_delay := retrain_delay;
    model.promotion := promotion;
    model.keep_versions := keep_versions;
    PERFORM reyearn.check_model(model);
    INSERT INTO reyearn.models AS m (tenant_id, name, label_root_id, task, algorithm, params, retrain_after,
                                     retrain_delay, promotion, keep_versions)
    VALUES (model.tenant_id, name, reyearn.label_root_id(label_root), task, algorithm, model.params, retrain_after,
            retrain_delay, promotion, keep_versions)
    ON CONFLICT DO NOTHING
    RETURNING m.model_id INTO model.model_id;
    IF NOT FOUND THEN
        RAISE duplicate_object USING
            MESSAGE = format('model "%s" already exists', name),
            HINT = 'Change it with reyearn_alter_model().';
    END IF;
    RETURN model.model_id;
END
$$;
COMMENT ON FUNCTION reyearn_create_model(text, text, text, text, jsonb, int, interval, text, int) IS
    'define a model that learns the classes under label_root, and when it is retrained and replaced; returns its number';

CREATE FUNCTION reyearn_alter_model(name text, label_root text DEFAULT NULL, task text DEFAULT NULL,
                                    algorithm text DEFAULT NULL, params jsonb DEFAULT NULL,
                                    retrain_after int DEFAULT NULL, retrain_delay interval DEFAULT NULL,
                                    promotion text DEFAULT NULL, keep_versions int DEFAULT NULL,
                                    owner name DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id CONSTANT bigint := reyearn.lock_model(name, 'name');
    model reyearn.models;
BEGIN
    SELECT m.* INTO model FROM reyearn.models AS m WHERE m.tenant_id = tenant AND m.model_id = id;
    model.task := coalesce(task, model.task);
    model.algorithm := coalesce(algorithm, model.algorithm);
    model.params := CASE WHEN params IS NULL THEN model.params
                         WHEN jsonb_typeof(params) = 'object' THEN jsonb_strip_nulls(model.params || params)
                         ELSE params END;    -- which check_model() refuses
    model.retrain_after := coalesce(retrain_after, model.retrain_after);
    model.retrain_delay := coalesce(retrain_delay, model.retrain_delay);
    model.promotion := coalesce(promotion, model.promotion);
    model.keep_versions := coalesce(keep_versions, model.keep_versions);
    IF label_root IS NOT NULL THEN
        model.label_root_id := reyearn.label_root_id(label_root);
    END IF;
    PERFORM reyearn.check_model(model);
    IF owner IS NOT NULL THEN
        model.owner := quote_ident(owner)::regrole;
    END IF;
    UPDATE reyearn.models AS m
       SET label_root_id = model.label_root_id, task = model.task, algorithm = model.algorithm, params = model.params,
           retrain_after = model.retrain_after, retrain_delay = model.retrain_delay, promotion = model.promotion,
           keep_versions = model.keep_versions, owner = model.owner, time_updated = now()
     WHERE m.tenant_id = tenant AND m.model_id = id;
END
$$;
COMMENT ON FUNCTION reyearn_alter_model(text, text, text, text, jsonb, int, interval, text, int, name) IS
    'change the definition of a model: NULL leaves a property as it is, params are merged over those it has, and a JSON null in them restores the default';

CREATE FUNCTION reyearn.delete_model_of(tenant_id int, model_id bigint) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        DELETE FROM reyearn.models AS m WHERE m.tenant_id = $1 AND m.model_id = $2;
    END;
COMMENT ON FUNCTION reyearn.delete_model_of(int, bigint) IS 'deletes a model of a tenant with its versions, images and runs';

CREATE FUNCTION reyearn.delete_model(model_id bigint) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.delete_model(bigint) IS 'delete_model_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_drop_model(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id CONSTANT bigint := reyearn.lock_model(name, 'name');
BEGIN
    PERFORM reyearn.delete_model(id);
END
$$;
COMMENT ON FUNCTION reyearn_drop_model(text) IS 'drop a model with its versions, images and runs';

-- Versions.

CREATE FUNCTION reyearn.unknown_version(model_id bigint, version int) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
    oldest int;
    newest int;
BEGIN
    SELECT m.name, min(v.version), max(v.version) INTO name, oldest, newest
      FROM reyearn.models AS m
      LEFT JOIN reyearn.model_versions AS v ON v.tenant_id = m.tenant_id AND v.model_id = m.model_id
     WHERE m.tenant_id = reyearn.current_tenant() AND m.model_id = model_id
     GROUP BY m.name;
    RAISE undefined_object USING
        MESSAGE = format('version %s of model "%s" does not exist', version, name),
        DETAIL = CASE WHEN newest IS NULL THEN 'It has no versions yet.'
                      WHEN newest = oldest THEN format('It has version %s only.', newest)
                      ELSE format('It has versions %s to %s.', oldest, newest) END;
END
$$;
COMMENT ON FUNCTION reyearn.unknown_version(bigint, int) IS 'raises the error for a version that does not exist';

CREATE FUNCTION reyearn.no_live_version(model_id bigint) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
    newest int;
BEGIN
    SELECT m.name, max(v.version) INTO name, newest
      FROM reyearn.models AS m
      LEFT JOIN reyearn.model_versions AS v ON v.tenant_id = m.tenant_id AND v.model_id = m.model_id
     WHERE m.tenant_id = reyearn.current_tenant() AND m.model_id = model_id
     GROUP BY m.name;
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = format('model "%s" has no live version', name),
        DETAIL = CASE WHEN newest IS NULL THEN 'It has not been trained yet.'
                      ELSE format('Its newest version, %s, was not promoted.', newest) END,
        HINT = CASE WHEN newest IS NULL THEN format('Call SELECT * FROM reyearn_train(%L);', name)
                    ELSE format('Call reyearn_promote(%L, %s).', name, newest) END;
END
$$;
COMMENT ON FUNCTION reyearn.no_live_version(bigint) IS 'raises the error for a model without a live version';

CREATE FUNCTION reyearn.prune_versions(tenant_id int, model_id bigint) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        WITH pruned AS (
            UPDATE reyearn.model_versions AS v SET time_pruned = now()
             WHERE v.tenant_id = $1 AND v.model_id = $2
               AND v.time_pruned IS NULL AND NOT v.is_live
               AND v.version IN (SELECT old.version
                                   FROM reyearn.model_versions AS old
                                  WHERE old.tenant_id = $1 AND old.model_id = $2
                                  ORDER BY old.version DESC
                                 OFFSET (SELECT m.keep_versions FROM reyearn.models AS m
                                          WHERE m.tenant_id = $1 AND m.model_id = $2))
               AND NOT EXISTS (SELECT FROM reyearn.model_versions AS live
                                WHERE live.tenant_id = v.tenant_id AND live.model_id = v.model_id
                                  AND live.is_live AND live.replaced_version = v.version)
            RETURNING v.tenant_id, v.version_id)
        DELETE FROM reyearn.model_images AS i USING pruned
         WHERE i.tenant_id = pruned.tenant_id AND i.version_id = pruned.version_id;
    END;
COMMENT ON FUNCTION reyearn.prune_versions(int, bigint) IS
    'deletes the images of all but the newest keep_versions of a model, the live version and the one that it replaced';

CREATE FUNCTION reyearn.check_image_quota(tenant_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant reyearn.tenants;
    bytes bigint;
BEGIN
    -- Two that store images take turns.
    SELECT t.* INTO tenant
      FROM reyearn.tenants AS t WHERE t.tenant_id = $1 AND t.max_image_bytes IS NOT NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    bytes := reyearn.image_bytes($1);
    IF bytes > tenant.max_image_bytes THEN
        RAISE configuration_limit_exceeded USING
            MESSAGE = format('model images of tenant "%s" would take more than they may', tenant.name),
            DETAIL = format('They would take %s of %s bytes.', bytes, tenant.max_image_bytes),
            HINT = 'Have models keep fewer versions, drop some, or have the limit raised with reyearn_alter_tenant().';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_image_quota(int) IS 'raises an error if the images of a tenant take more bytes than they may';

-- Versions are written by the owner of the extension only.
CREATE FUNCTION reyearn.make_live_of(tenant_id int, model_id bigint, version int, goes_back boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    replaced int;
BEGIN
    UPDATE reyearn.model_versions AS v SET is_live = false
     WHERE v.tenant_id = tenant_id AND v.model_id = model_id AND v.is_live
    RETURNING v.version INTO replaced;
    -- Going back twice must lead further back, not forth again.
    UPDATE reyearn.model_versions AS v
       SET is_live = true, time_promoted = now(),
           replaced_version = CASE WHEN goes_back THEN v.replaced_version ELSE replaced END
     WHERE v.tenant_id = tenant_id AND v.model_id = model_id AND v.version = version;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('version %s does not exist', version);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.make_live_of(int, bigint, int, boolean) IS
    'puts a version in the place of the live one, or of the one that had replaced it; the model is locked and the version has its images';

CREATE FUNCTION reyearn.make_live(model_id bigint, version int, goes_back boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.make_live(bigint, int, boolean) IS 'make_live_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_promote(model text, version int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id CONSTANT bigint := reyearn.lock_model(model, 'model');
    wanted reyearn.model_versions;
BEGIN
    IF version IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"version" must not be NULL';
    END IF;
    SELECT v.* INTO wanted
      FROM reyearn.model_versions AS v
     WHERE v.tenant_id = tenant AND v.model_id = id AND v.version = version;
    IF NOT FOUND THEN
        PERFORM reyearn.unknown_version(id, version);
    ELSIF wanted.time_pruned IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('version %s of model "%s" has been pruned', version, model),
            DETAIL = 'Its images were deleted because newer versions had been made.',
            HINT = format('Train again with its parameters; reyearn_alter_model(%L, keep_versions => ...) keeps more.',
                          model);
    ELSIF NOT wanted.is_live THEN
        PERFORM reyearn.make_live(id, version, false);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_promote(text, int) IS 'make a version the one that answers predictions';

CREATE FUNCTION reyearn_rollback(model text) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id CONSTANT bigint := reyearn.lock_model(model, 'model');
    live reyearn.model_versions;
    earlier reyearn.model_versions;
BEGIN
    SELECT v.* INTO live
      FROM reyearn.model_versions AS v
     WHERE v.tenant_id = tenant AND v.model_id = id AND v.is_live;
    IF NOT FOUND THEN
        PERFORM reyearn.no_live_version(id);
    END IF;
    SELECT v.* INTO earlier
      FROM reyearn.model_versions AS v
     WHERE v.tenant_id = tenant AND v.model_id = id AND v.version = live.replaced_version;
    IF NOT FOUND OR earlier.time_pruned IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('model "%s" has no version to go back to', model),
            DETAIL = CASE WHEN earlier.version IS NULL
                          THEN format('Version %s, which is live, replaced no other.', live.version)
                          ELSE format('Version %s, which version %s replaced, has been pruned.',
                                      earlier.version, live.version) END,
            HINT = 'Call reyearn_promote() with a version that reyearn.model_versions shows as not pruned.';
    END IF;
    PERFORM reyearn.make_live(id, earlier.version, true);
    RETURN earlier.version;
END
$$;
COMMENT ON FUNCTION reyearn_rollback(text) IS
    'put the version back that the live one replaced; returns its number';

-- Memory follows what is live. ENABLE ALWAYS: also for rows that replication applies.

CREATE FUNCTION reyearn.version_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'reyearn_version_changed'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.version_changed() IS
    'has the commit bring a version that goes live into shared memory, and retire there what it replaces';

CREATE TRIGGER version_changed AFTER INSERT OR UPDATE OR DELETE ON reyearn.model_versions
    FOR EACH ROW EXECUTE FUNCTION reyearn.version_changed();
COMMENT ON TRIGGER version_changed ON reyearn.model_versions IS 'keeps shared memory in step with what is live';
CREATE TRIGGER versions_truncated AFTER TRUNCATE ON reyearn.model_versions
    FOR EACH STATEMENT EXECUTE FUNCTION reyearn.version_changed();
COMMENT ON TRIGGER versions_truncated ON reyearn.model_versions IS 'keeps shared memory in step with what is live';
ALTER TABLE reyearn.model_versions ENABLE ALWAYS TRIGGER version_changed;
ALTER TABLE reyearn.model_versions ENABLE ALWAYS TRIGGER versions_truncated;

-- Quality.

CREATE FUNCTION reyearn.run_of_version(model text, version int) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id CONSTANT bigint := reyearn.model_id(model);
    wanted reyearn.model_versions;
    run bigint;
BEGIN
    SELECT v.* INTO wanted
      FROM reyearn.model_versions AS v
     WHERE v.tenant_id = tenant AND v.model_id = id
       AND CASE WHEN version IS NULL THEN v.is_live ELSE v.version = version END;
    IF NOT FOUND AND version IS NULL THEN
        PERFORM reyearn.no_live_version(id);
    ELSIF NOT FOUND THEN
        PERFORM reyearn.unknown_version(id, version);
    END IF;
    SELECT max(r.run_id) INTO run
      FROM reyearn.runs AS r
     WHERE r.tenant_id = tenant AND r.model_id = id AND r.version_id = wanted.version_id;
    IF run IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('version %s of model "%s" has not been evaluated', wanted.version,
                             (SELECT m.name FROM reyearn.models AS m WHERE m.tenant_id = tenant AND m.model_id = id)),
            DETAIL = 'It was imported: no training in this database has measured it.',
            HINT = 'Train the model: the run compares the new version with this one on the same texts.';
    END IF;
    RETURN run;
END
$$;
COMMENT ON FUNCTION reyearn.run_of_version(text, int) IS
    'number of the run that made a version, by default the live one';

CREATE FUNCTION reyearn_evaluate(model text DEFAULT NULL, version int DEFAULT NULL)
    RETURNS TABLE (label ltree, "precision" float8, recall float8, f1 float8, support bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run CONSTANT bigint := reyearn.run_of_version(model, version);
BEGIN
    RETURN QUERY
    SELECT l.label, l."precision", l.recall, l.f1, l.support
      FROM reyearn.run_labels AS l
     WHERE l.tenant_id = reyearn.current_tenant() AND l.run_id = run
     ORDER BY l.label;
END
$$;
COMMENT ON FUNCTION reyearn_evaluate(text, int) IS
    'quality of a version class by class, measured on texts it had not learned from; by default of the live version';

CREATE FUNCTION reyearn_confusion_matrix(model text DEFAULT NULL, version int DEFAULT NULL)
    RETURNS TABLE (actual ltree, predicted ltree, count bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run CONSTANT bigint := reyearn.run_of_version(model, version);
BEGIN
    RETURN QUERY
    SELECT l.label, reyearn.parse_label(confused.label), confused.texts::bigint
      FROM reyearn.run_labels AS l
     CROSS JOIN LATERAL jsonb_each_text(l.confusion) AS confused (label, texts)
     WHERE l.tenant_id = reyearn.current_tenant() AND l.run_id = run
     ORDER BY 1, 2;
END
$$;
COMMENT ON FUNCTION reyearn_confusion_matrix(text, int) IS
    'how often texts of each class were predicted as which, for the texts that reyearn_evaluate measures on';
