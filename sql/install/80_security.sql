-- The levels of rights that roles are granted, and the tenants. Row security itself is in 90_finish.sql, and
-- docs/security.md tells the whole.

-- Rights. A level has those of the levels before it. What is not here is for the owner of the extension; nobody has
-- the right to write versions, images, runs and the history, which C code and triggers write for those who may cause it.
-- On tables of all tenants nobody has more than SELECT, and rights on columns: with DELETE or UPDATE on a table one could
-- lock it and keep everybody out.

CREATE FUNCTION reyearn.list_rights() RETURNS TABLE (level text, rights text, on_what text, objects text[])
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
    BEGIN ATOMIC
        VALUES
            ('reader', 'USAGE', 'SCHEMA', ARRAY['reyearn']),
            ('reader', 'EXECUTE', 'FUNCTION', ARRAY[
                'reyearn_predict', 'reyearn_predict_proba', 'reyearn_predict_with', 'reyearn_evaluate',
                'reyearn_confusion_matrix', 'reyearn_status', 'reyearn_login',
                'current_tenant', 'find_current_tenant', 'usable_tenants', 'sees_all_tenants', 'acting_role',
                'content_hash', 'parse_label', 'same_label', 'is_under', 'parent', 'ancestors', 'restoring',
                'library_info', 'list_parameters', 'list_shared_models', 'list_rights', 'model_id', 'run_of_version',
                'unknown_version', 'no_live_version', 'shared_images', 'shared_memory', 'background', 'training_now',
                'usable_model', 'predicted_labels', 'model_labels', 'trigger_arguments']),
            ('reader', 'SELECT', 'TABLE', ARRAY[
                'tenants', 'classes', 'merged_classes', 'observations', 'annotations', 'annotation_history', 'models',
                'model_versions', 'model_shares', 'experiments', 'runs', 'run_labels', 'news',
                'model_classes', 'inbox', 'parameters', 'stat_models', 'shared_models', 'training_schedule', 'progress',
                'class_overview', 'annotation_overview', 'model_overview',
                'attached_tables', 'attached_rows', 'learned_rows', 'waiting_rows', 'catch_ups', 'attached_columns', 'attachments']),
            ('annotator', 'EXECUTE', 'FUNCTION', ARRAY[
                'reyearn_observe', 'reyearn_annotate', 'reyearn_annotate_text', 'reyearn_confirm', 'reyearn_reject',
                'reyearn_correct', 'reyearn_classify', 'reyearn_confirm_row',
                'find_observation', 'observe', 'find_class', 'lock_class', 'unknown_class', 'unknown_observation',
                'check_status', 'check_span', 'put_annotation', 'set_status', 'predict_row', 'learn_label',
                'learn_labels', 'note_learned', 'key_expressions', 'qualified_type']),
            ('annotator', 'INSERT (tenant_id, body, metadata), UPDATE (metadata, time_updated)', 'TABLE',
                ARRAY['observations']),
            ('annotator', 'INSERT (tenant_id, observation_id, class_id, span, status, probability, '
                          'predicted_by_tenant, predicted_by_version), '
                          'UPDATE (class_id, span, status, probability, predicted_by_tenant, predicted_by_version)',
                'TABLE', ARRAY['annotations']),
            ('annotator', 'INSERT', 'TABLE', ARRAY['inbox']),
            ('trainer', 'EXECUTE', 'FUNCTION', ARRAY[
                'reyearn_create_class', 'reyearn_move_class', 'reyearn_drop_class', 'reyearn_create_model',
                'reyearn_alter_model', 'reyearn_drop_model', 'reyearn_train', 'reyearn_promote', 'reyearn_rollback',
                'reyearn_export_model', 'reyearn_import_model', 'reyearn_attach', 'reyearn_detach',
                'lock_taxonomy', 'moved_classes', 'move_branch', 'delete_classes', 'create_class', 'create_model',
                'check_params', 'check_model', 'lock_model', 'label_root_id', 'delete_model', 'make_live',
                'image_labels', 'image_algorithm', 'store_image', 'class_ids',
                'label_row', 'learn_row', 'check_attached_relation', 'attached_column', 'check_text_column',
                'check_label_column', 'refused_label', 'check_prediction_column', 'check_not_attached', 'put_attachment',
                'create_attachment_triggers', 'begin_catch_up', 'catch_up', 'catch_up_or_leave', 'catch_up_now', 'has_work', 'check_table_owner', 'key_columns',
                'queue_relabel', 'own_attachments', 'announce_work', 'reyearn_catch_up', 'reyearn_relabel',
                'reyearn_forget_rows', 'forget_deleted_rows', 'forget_dropped_tables']),
            -- The owner of an attachment is whoever writes the row: see own_attachment().
            ('trainer', 'INSERT (tenant_id, relation, label_column, key_columns, model_tenant_id, model_id), '
                        'UPDATE (label_column, key_columns, model_tenant_id, model_id, times_attached, is_attached, last_error, '
                        'last_error_time)', 'TABLE',
                ARRAY['attached_tables']),
            ('trainer', 'INSERT (tenant_id, label, title, description), '
                        'UPDATE (label, title, description, time_updated)', 'TABLE', ARRAY['classes']),
            ('trainer', 'INSERT (tenant_id, name, label_root_id, task, algorithm, params, retrain_after, retrain_delay, '
                        'promotion, keep_versions), UPDATE (name, label_root_id, task, algorithm, params, retrain_after, '
                        'retrain_delay, promotion, keep_versions, owner, time_updated)', 'TABLE',
                ARRAY['models']),
            ('trainer', 'SELECT', 'TABLE', ARRAY['model_images']),
            ('admin', 'EXECUTE', 'FUNCTION', ARRAY[
                'reyearn_forget', 'reyearn_share_model', 'reyearn_unshare_model', 'tenant_id', 'check_share',
                'delete_observation', 'delete_share']),
            ('admin', 'INSERT (tenant_id, model_id, to_tenant_id)', 'TABLE', ARRAY['model_shares']);
    END;
COMMENT ON FUNCTION reyearn.list_rights() IS
    'what reyearn_grant() grants with each level, beside what it grants with those before it';

CREATE FUNCTION reyearn.list_objects() RETURNS TABLE (kind text, name text, identity text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT 'SCHEMA', 'reyearn', 'reyearn'
        UNION ALL
        SELECT 'FUNCTION', p.proname::text, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
          FROM pg_depend AS d
          JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
          JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
          JOIN pg_namespace AS n ON n.oid = p.pronamespace
         WHERE x.extname = 'reyearn' AND d.deptype = 'e'
        UNION ALL
        SELECT 'TABLE', c.relname::text, format('%I.%I', n.nspname, c.relname)
          FROM pg_depend AS d
          JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
          JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE x.extname = 'reyearn' AND d.deptype = 'e' AND c.relkind IN ('r', 'v', 'S');
    END;
COMMENT ON FUNCTION reyearn.list_objects() IS 'what of the extension rights can be had on: its schema, functions, tables, views and sequences';

CREATE FUNCTION reyearn.revoke_all(role regrole) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT o.kind, o.identity FROM reyearn.list_objects() AS o
        UNION ALL
        SELECT 'SCHEMA', x.extnamespace::regnamespace::text
          FROM pg_extension AS x JOIN reyearn.grants AS g ON g.role = $1 AND g.has_schema
         WHERE x.extname = 'reyearn'
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s', object.kind, object.identity, role);
    END LOOP;
    DELETE FROM reyearn.grants AS g
     WHERE g.role = $1 OR NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = g.role);
END
$$;
COMMENT ON FUNCTION reyearn.revoke_all(regrole) IS 'takes all rights on the extension from a role, and forgets roles that were dropped';

CREATE FUNCTION reyearn_grant(role_name name, level text, default_tenant boolean DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    levels CONSTANT text[] := ARRAY['reader', 'annotator', 'trainer', 'admin'];
    role CONSTANT regrole := quote_ident(role_name)::regrole;
    schema CONSTANT regnamespace := (SELECT x.extnamespace FROM pg_extension AS x WHERE x.extname = 'reyearn');
    needs_schema boolean;
    granted record;
BEGIN
    IF role_name IS NULL OR level IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL', CASE WHEN role_name IS NULL THEN 'role_name' ELSE 'level' END);
    ELSIF level <> ALL (levels) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid level "%s"', level),
            HINT = 'A level is reader, annotator, trainer or admin; each has the rights of those before it.';
    END IF;
    PERFORM reyearn.revoke_all(role);
    FOR granted IN
        SELECT r.rights, r.on_what, o.identity
          FROM reyearn.list_rights() AS r
          JOIN reyearn.list_objects() AS o ON o.kind = r.on_what AND o.name = ANY (r.objects)
         WHERE array_position(levels, r.level) <= array_position(levels, level)
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO %s', granted.rights, granted.on_what, granted.identity, role);
    END LOOP;
    needs_schema := NOT has_schema_privilege(role::oid, schema::oid, 'USAGE');
    IF needs_schema THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', schema, role);
    END IF;

    INSERT INTO reyearn.grants (role, level, has_schema, is_default_tenant)
    VALUES (role, level, needs_schema, coalesce(default_tenant,
                                  NOT EXISTS (SELECT FROM reyearn.tenants AS t JOIN pg_roles AS r ON r.oid = t.role
                                               WHERE pg_has_role(role, t.role, 'USAGE'))));
END
$$;
COMMENT ON FUNCTION reyearn_grant(name, text, boolean) IS
    'let a role use the extension: level is reader, annotator, trainer or admin. It may use the default tenant if default_tenant says so or, when that is NULL, if it belongs to no other';

CREATE FUNCTION reyearn_revoke(role_name name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    role CONSTANT regrole := quote_ident(role_name)::regrole;
BEGIN
    IF role_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"role_name" must not be NULL';
    END IF;
    PERFORM reyearn.revoke_all(role);
END
$$;
COMMENT ON FUNCTION reyearn_revoke(name) IS 'take from a role what reyearn_grant() gave it';

-- A role that was dropped is dumped as its number, which may be another role's where the dump is restored.
CREATE FUNCTION reyearn.check_restored_role() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role oid;
BEGIN
    IF TG_TABLE_NAME = 'models' THEN
        role := NEW.owner;
    ELSE
        role := NEW.role;
    END IF;
    IF role IS NULL OR EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = role) THEN
        RETURN NEW;
    ELSIF TG_TABLE_NAME = 'models' THEN
        NEW.owner := 0;    -- which parks it
        RETURN NEW;
    ELSIF TG_TABLE_NAME = 'tenants' THEN
        NEW.role := NULL;
        RETURN NEW;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.check_restored_role() IS 'takes a role that does not exist from what is inserted';

CREATE TRIGGER check_restored_role BEFORE INSERT ON reyearn.tenants
    FOR EACH ROW EXECUTE FUNCTION reyearn.check_restored_role();
COMMENT ON TRIGGER check_restored_role ON reyearn.tenants IS 'takes a role that does not exist from what is inserted';
CREATE TRIGGER check_restored_role BEFORE INSERT ON reyearn.grants
    FOR EACH ROW EXECUTE FUNCTION reyearn.check_restored_role();
COMMENT ON TRIGGER check_restored_role ON reyearn.grants IS 'leaves out what was granted to a role that does not exist';
CREATE TRIGGER check_restored_role BEFORE INSERT ON reyearn.models
    FOR EACH ROW EXECUTE FUNCTION reyearn.check_restored_role();
COMMENT ON TRIGGER check_restored_role ON reyearn.models IS 'takes an owner that does not exist from what is inserted';
ALTER TABLE reyearn.tenants ENABLE ALWAYS TRIGGER check_restored_role;
ALTER TABLE reyearn.grants ENABLE ALWAYS TRIGGER check_restored_role;
ALTER TABLE reyearn.models ENABLE ALWAYS TRIGGER check_restored_role;

-- Tenants.

CREATE FUNCTION reyearn.lock_tenant(name text) RETURNS reyearn.tenants
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant reyearn.tenants;
BEGIN
    IF name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"name" must not be NULL';
    END IF;
    SELECT t.* INTO tenant FROM reyearn.tenants AS t WHERE t.name = name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('tenant "%s" does not exist', name),
            HINT = 'SELECT name FROM reyearn.tenants; lists them.';
    END IF;
    RETURN tenant;
END
$$;
COMMENT ON FUNCTION reyearn.lock_tenant(text) IS 'the tenant of that name, locked until the transaction ends';

CREATE FUNCTION reyearn.check_tenant(name text, role_name name) RETURNS regrole
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    role CONSTANT regrole := quote_ident(role_name)::regrole;
    other text;
BEGIN
    IF name = '' OR strpos(name, '/') > 0 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid tenant name "%s"', name),
            HINT = 'A name is not empty and has no slash, which separates tenant and name of a shared model.';
    END IF;
    SELECT t.name INTO other FROM reyearn.tenants AS t WHERE t.role = role AND t.name <> name;
    IF FOUND THEN
        RAISE duplicate_object USING MESSAGE = format('role %s is that of tenant "%s" already', role, other);
    ELSIF (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles AS r WHERE r.oid = role) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('role %s cannot be that of a tenant', role),
            DETAIL = 'It is a superuser or has BYPASSRLS: row security would not hold it.';
    END IF;
    RETURN role;
END
$$;
COMMENT ON FUNCTION reyearn.check_tenant(text, name) IS 'the role, or an error if a tenant cannot have that name or that role';

-- Whoever works for a tenant does not find himself in the default one when he leaves it.
CREATE FUNCTION reyearn.close_default_tenant(role regrole) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        UPDATE reyearn.grants AS g SET is_default_tenant = false
         WHERE g.is_default_tenant AND EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = g.role)
           AND pg_has_role(g.role, $1, 'USAGE');
    END;
COMMENT ON FUNCTION reyearn.close_default_tenant(regrole) IS 'takes the default tenant from those who have the privileges of a role';

CREATE FUNCTION reyearn_create_tenant(name text, role_name name) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    role regrole;
    id int;
BEGIN
    IF name IS NULL OR role_name IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL', CASE WHEN name IS NULL THEN 'name' ELSE 'role_name' END);
    END IF;
    role := reyearn.check_tenant(name, role_name);
    INSERT INTO reyearn.tenants AS t (name, role) VALUES (name, role) ON CONFLICT DO NOTHING RETURNING t.tenant_id INTO id;
    IF id IS NULL THEN
        RAISE duplicate_object USING MESSAGE = format('tenant "%s" already exists', name);
    END IF;
    PERFORM reyearn.close_default_tenant(role);
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn_create_tenant(text, name) IS
    'let the members of a role act for a new tenant; returns its number. What they may do is for reyearn_grant()';

CREATE FUNCTION reyearn_alter_tenant(name text, role_name name DEFAULT NULL, max_models int DEFAULT NULL,
                                     max_image_bytes bigint DEFAULT NULL, max_trainings int DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant reyearn.tenants;
BEGIN
    tenant := reyearn.lock_tenant(name);
    IF least(max_models, max_image_bytes, max_trainings) < -1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'a limit must not be negative',
            HINT = 'Use -1 for no limit.';
    END IF;
    IF tenant.tenant_id = 0 THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot change tenant "%s"', name),
            DETAIL = 'It serves those who need no tenants, and has neither a role nor limits.';
    END IF;
    IF role_name IS NOT NULL THEN
        tenant.role := reyearn.check_tenant(name, role_name);
        PERFORM reyearn.close_default_tenant(tenant.role);
    END IF;
    UPDATE reyearn.tenants AS t
       SET role = tenant.role,
           max_models = nullif(coalesce(max_models, t.max_models), -1),
           max_image_bytes = nullif(coalesce(max_image_bytes, t.max_image_bytes), -1),
           max_trainings = nullif(coalesce(max_trainings, t.max_trainings), -1)
     WHERE t.tenant_id = tenant.tenant_id;
END
$$;
COMMENT ON FUNCTION reyearn_alter_tenant(text, name, int, bigint, int) IS
    'change the role or the limits of a tenant: NULL leaves one as it is, -1 removes a limit';

CREATE FUNCTION reyearn_drop_tenant(name text, dry_run boolean DEFAULT false) RETURNS TABLE (what text, rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant reyearn.tenants;
BEGIN
    IF dry_run IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"dry_run" must not be NULL';
    END IF;
    tenant := reyearn.lock_tenant(name);
    IF tenant.tenant_id = 0 THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot drop tenant "%s"', name),
            DETAIL = 'It serves those who need no tenants.';
    END IF;
    RETURN QUERY
    SELECT 'classes dropped', count(*) FROM reyearn.classes AS c WHERE c.tenant_id = tenant.tenant_id
    UNION ALL
    SELECT 'observations dropped', count(*) FROM reyearn.observations AS o WHERE o.tenant_id = tenant.tenant_id
    UNION ALL
    SELECT 'annotations dropped', count(*) FROM reyearn.annotations AS a WHERE a.tenant_id = tenant.tenant_id
    UNION ALL
    SELECT 'models dropped', count(*) FROM reyearn.models AS m WHERE m.tenant_id = tenant.tenant_id;
    IF NOT dry_run THEN
        -- Texts have no foreign key to the tenant: nobody must add one now.
        LOCK TABLE reyearn.observations, reyearn.annotations, reyearn.models, reyearn.classes IN SHARE ROW EXCLUSIVE MODE;
        DELETE FROM reyearn.models AS m WHERE m.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.annotations AS a WHERE a.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.annotation_history AS h WHERE h.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.observations AS o WHERE o.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.classes AS c WHERE c.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.news AS n WHERE n.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.attached_rows AS a WHERE a.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.learned_rows AS l WHERE l.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.waiting_rows AS w WHERE w.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.catch_ups AS c WHERE c.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.turns AS t WHERE t.tenant_id = tenant.tenant_id;
        DELETE FROM reyearn.tenants AS t WHERE t.tenant_id = tenant.tenant_id;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_drop_tenant(text, boolean) IS
    'drop a tenant with all that it owns; its role and the rights of roles stay';
