-- Taxonomy: creating, moving, merging and dropping classes.
--
-- Locks: whoever changes the shape of a tenant's tree locks the tree (moving and dropping exclusively, creating shared),
-- then the classes concerned FOR UPDATE. Whoever annotates holds FOR KEY SHARE on the class, as the foreign key does
-- too: a move waits for annotations in flight, and an annotation waits for the move and then looks the label up again.

CREATE FUNCTION reyearn.parse_label(label text) RETURNS ltree
    AS 'MODULE_PATHNAME', 'reyearn_parse_label'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.parse_label(text) IS
    'the text as a label; an error that names the character if it is not one';

-- ltree may live in any schema, so a PL/pgSQL body cannot name its operators safely. These bodies are bound now, and
-- so small that the planner puts them in place of the call: an index serves same_label() as it serves "=".
CREATE FUNCTION reyearn.same_label(a ltree, b ltree) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN a = b;
COMMENT ON FUNCTION reyearn.same_label(ltree, ltree) IS 'whether two labels are equal';

CREATE FUNCTION reyearn.is_under(label ltree, root ltree) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN label <@ root;
COMMENT ON FUNCTION reyearn.is_under(ltree, ltree) IS 'whether the label is the root or lies below it';

CREATE FUNCTION reyearn.parent(label ltree) RETURNS ltree
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN nlevel(label) > 1 THEN subpath(label, 0, -1) END;
COMMENT ON FUNCTION reyearn.parent(ltree) IS 'label one level up; NULL for the first level';

CREATE FUNCTION reyearn.ancestors(label ltree) RETURNS SETOF ltree
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4
    BEGIN ATOMIC
        SELECT subpath(label, 0, level) FROM generate_series(1, nlevel(label)) AS level;
    END;
COMMENT ON FUNCTION reyearn.ancestors(ltree) IS 'labels from the first level down to this one, itself included';

CREATE FUNCTION reyearn.lock_taxonomy(exclusively boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_lock_taxonomy'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.lock_taxonomy(boolean) IS
    'locks the tree of the caller''s tenant until the transaction ends: shared to add classes, exclusively to move or drop them';

-- In C: under row security a query would read all classes of the tenant, since only leakproof operators reach an index.
CREATE FUNCTION reyearn.find_class(label ltree) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_find_class'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.find_class(ltree) IS
    'number of the class with this label, which cannot be renamed or dropped until the transaction ends; NULL: there is none';

CREATE FUNCTION reyearn.unknown_class(label ltree) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    nearest text;
BEGIN
    SELECT c.label::text INTO nearest
      FROM reyearn.classes AS c
     WHERE c.tenant_id = reyearn.current_tenant() AND reyearn.is_under(label, c.label)
     ORDER BY c.label DESC    -- they all lie on one path
     LIMIT 1;
    RAISE undefined_object USING
        MESSAGE = format('class "%s" does not exist', label),
        DETAIL = coalesce('The nearest class above it is "' || nearest || '".', 'There is no class above it either.'),
        HINT = format('reyearn.class_overview lists the classes; reyearn_create_class(%L) creates it.', label);
END
$$;
COMMENT ON FUNCTION reyearn.unknown_class(ltree) IS 'raises the error for a label without a class';

CREATE FUNCTION reyearn.lock_class(label ltree) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    class CONSTANT bigint := reyearn.find_class(label);
BEGIN
    IF label IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"label" must not be NULL';
    ELSIF class IS NULL THEN
        PERFORM reyearn.unknown_class(label);
    END IF;
    RETURN class;
END
$$;
COMMENT ON FUNCTION reyearn.lock_class(ltree) IS
    'number of the class with this label, which cannot be renamed or dropped until the transaction ends';

CREATE FUNCTION reyearn_create_class(label ltree, description text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
BEGIN
    IF label IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"label" must not be NULL';
    END IF;
    label := reyearn.parse_label(label::text);
    PERFORM reyearn.lock_taxonomy(false);
    INSERT INTO reyearn.classes (tenant_id, label)
    SELECT tenant, path FROM reyearn.ancestors(label) AS path
    ON CONFLICT DO NOTHING;
    IF description IS NOT NULL THEN
        UPDATE reyearn.classes AS c
           SET description = reyearn_create_class.description, time_updated = now()
         WHERE c.tenant_id = tenant AND c.class_id = reyearn.find_class(label)
           AND c.description IS DISTINCT FROM reyearn_create_class.description;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_create_class(ltree, text) IS
    'create a class and those above it that are missing; for an existing one, change the description';

CREATE FUNCTION reyearn_create_class(label text, description text DEFAULT NULL) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_create_class(reyearn.parse_label(label), description);
    END;
COMMENT ON FUNCTION reyearn_create_class(text, text) IS
    'create a class and those above it that are missing; for an existing one, change the description';

-- Moving. What will happen is computed by one query, from which both the numbers reported and the changes come: a dry
-- run reads what the real one would do, and writes nothing.

CREATE FUNCTION reyearn.moved_classes(tenant_id int, root ltree, new_root ltree)
    RETURNS TABLE (class_id bigint, label ltree, new_label ltree, level int, into_class_id bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT moved.class_id, moved.label, path.label, nlevel(moved.label), target.class_id
          FROM reyearn.classes AS moved
         CROSS JOIN LATERAL (
               SELECT CASE WHEN moved.label = root THEN new_root
                           ELSE new_root || subpath(moved.label, nlevel(root)) END) AS path (label)
          -- A label that is itself moved away is free.
          LEFT JOIN reyearn.classes AS target
            ON target.tenant_id = $1 AND target.label = path.label AND NOT target.label <@ root
         WHERE moved.tenant_id = $1 AND moved.label <@ root;
    END;
COMMENT ON FUNCTION reyearn.moved_classes(int, ltree, ltree) IS
    'what moving a branch does to each of its classes: the new label, and the class it is merged into if there is one';

-- A model gains or loses examples when a class moves across its root, and when two of its classes become one. A root
-- that moves along takes its classes with it.
CREATE FUNCTION reyearn.news_of_move(tenant_id int, root ltree, new_root ltree) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        INSERT INTO reyearn.news (tenant_id, model_id, n)
        SELECT $1, model.model_id, count(*)
          FROM reyearn.moved_classes($1, root, new_root) AS moved
          JOIN reyearn.annotations AS a
            ON a.tenant_id = $1 AND a.class_id = moved.class_id AND a.status IN ('confirmed', 'rejected')
         CROSS JOIN reyearn.models AS model
          LEFT JOIN reyearn.classes AS model_root
            ON model_root.tenant_id = $1 AND model_root.class_id = model.label_root_id
         CROSS JOIN LATERAL (
               SELECT coalesce(moved.label <@ model_root.label, true),
                      coalesce(moved.new_label <@ model_root.label, true)) AS covered (before, after)
         WHERE model.tenant_id = $1 AND (a.span IS NULL OR model.task <> 'classification')
           AND CASE WHEN moved.into_class_id IS NOT NULL THEN covered.before OR covered.after
                    ELSE covered.before <> covered.after AND NOT model_root.label <@ root END
         GROUP BY model.model_id;
    END;
COMMENT ON FUNCTION reyearn.news_of_move(int, ltree, ltree) IS
    'tells models how many annotations they gain or lose by moving a branch';

CREATE FUNCTION reyearn.merge_class(tenant_id int, class_id bigint, into_class_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    strength CONSTANT text[] := ARRAY['unknown', 'predicted', 'rejected', 'confirmed'];
BEGIN
    -- First, because it tells the triggers on annotations that the change of class is nobody's judgement.
    INSERT INTO reyearn.merged_classes (tenant_id, class_id, into_class_id)
    VALUES (tenant_id, class_id, into_class_id);
    UPDATE reyearn.merged_classes AS m SET into_class_id = merge_class.into_class_id
     WHERE m.tenant_id = tenant_id AND m.into_class_id = class_id;

    -- Where both were said of the same text, the stronger stays. Locked before they are compared, or a status that
    -- changes meanwhile would leave both; texts first, as those who annotate do.
    PERFORM FROM reyearn.annotations AS a
       JOIN reyearn.observations AS o ON o.tenant_id = tenant_id AND o.observation_id = a.observation_id
      WHERE a.tenant_id = tenant_id AND a.class_id IN (class_id, into_class_id)
        AND a.observation_id IN (SELECT x.observation_id FROM reyearn.annotations AS x
                                  WHERE x.tenant_id = tenant_id AND x.class_id = class_id)
      ORDER BY a.observation_id
        FOR NO KEY UPDATE OF o, a;
    DELETE FROM reyearn.annotations AS weaker
     USING reyearn.annotations AS stronger
     WHERE weaker.tenant_id = tenant_id AND weaker.class_id IN (class_id, into_class_id)
       AND stronger.tenant_id = tenant_id AND stronger.class_id IN (class_id, into_class_id)
       AND stronger.observation_id = weaker.observation_id
       AND stronger.class_id <> weaker.class_id
       AND stronger.span IS NOT DISTINCT FROM weaker.span
       AND (array_position(strength, stronger.status), stronger.time_updated, stronger.annotation_id)
         > (array_position(strength, weaker.status), weaker.time_updated, weaker.annotation_id);
    UPDATE reyearn.annotations AS a SET class_id = into_class_id
     WHERE a.tenant_id = tenant_id AND a.class_id = class_id;

    UPDATE reyearn.models AS m SET label_root_id = into_class_id, time_updated = now()
     WHERE m.tenant_id = tenant_id AND m.label_root_id = class_id;
    DELETE FROM reyearn.classes AS c WHERE c.tenant_id = tenant_id AND c.class_id = class_id;
END
$$;
COMMENT ON FUNCTION reyearn.merge_class(int, bigint, bigint) IS
    'moves annotations and models from one class to another and deletes it; both classes are locked';

CREATE FUNCTION reyearn.move_branch_of(tenant_id int, label ltree, new_label ltree) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    moved record;
BEGIN
    PERFORM reyearn.news_of_move(tenant_id, label, new_label);
    INSERT INTO reyearn.classes (tenant_id, label)
    SELECT tenant_id, path FROM reyearn.ancestors(reyearn.parent(new_label)) AS path
    ON CONFLICT DO NOTHING;
    -- Level by level from the top: in a branch that moves up, each label is free before it is taken.
    FOR moved IN SELECT * FROM reyearn.moved_classes(tenant_id, label, new_label) AS m ORDER BY m.level LOOP
        IF moved.into_class_id IS NOT NULL THEN
            PERFORM reyearn.merge_class(tenant_id, moved.class_id, moved.into_class_id);
        ELSE
            UPDATE reyearn.classes AS c SET label = moved.new_label, time_updated = now()
             WHERE c.tenant_id = tenant_id AND c.class_id = moved.class_id;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION reyearn.move_branch_of(int, ltree, ltree) IS
    'moves a branch of a tenant''s tree, merging where a label is there already; all classes concerned are locked';

CREATE FUNCTION reyearn.move_branch(label ltree, new_label ltree) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.move_branch(ltree, ltree) IS 'move_branch_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_move_class(label ltree, new_label ltree, dry_run boolean DEFAULT false)
    RETURNS TABLE (what text, rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off    -- see 30_annotations.sql
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    same boolean;
BEGIN
    IF label IS NULL OR new_label IS NULL OR dry_run IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = format('"%s" must not be NULL',
            CASE WHEN label IS NULL THEN 'label' WHEN new_label IS NULL THEN 'new_label' ELSE 'dry_run' END);
    END IF;
    new_label := reyearn.parse_label(new_label::text);
    same := reyearn.same_label(label, new_label);
    IF reyearn.is_under(new_label, label) AND NOT same THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('cannot move class "%s" below itself', label),
            DETAIL = format('The new label is "%s".', new_label);
    END IF;

    IF NOT dry_run THEN
        PERFORM reyearn.lock_taxonomy(true);
        PERFORM FROM reyearn.classes AS c
          WHERE c.tenant_id = tenant
            AND c.class_id IN (SELECT unnest(ARRAY[m.class_id, m.into_class_id])
                                 FROM reyearn.moved_classes(tenant, label, new_label) AS m)
          ORDER BY c.class_id
            FOR UPDATE;
    END IF;
    IF NOT EXISTS (SELECT FROM reyearn.classes AS c
                    WHERE c.tenant_id = tenant AND reyearn.same_label(c.label, label)) THEN
        PERFORM reyearn.unknown_class(label);
    END IF;

    RETURN QUERY
    WITH branch AS (SELECT * FROM reyearn.moved_classes(tenant, label, new_label) AS m WHERE NOT same)
    SELECT 'classes renamed', count(*) FROM branch WHERE branch.into_class_id IS NULL
    UNION ALL
    SELECT 'classes merged', count(branch.into_class_id) FROM branch
    UNION ALL
    SELECT 'classes created', count(*)
      FROM reyearn.ancestors(reyearn.parent(new_label)) AS path
     WHERE NOT EXISTS (SELECT FROM reyearn.classes AS c
                        WHERE c.tenant_id = tenant AND reyearn.same_label(c.label, path))
    UNION ALL
    SELECT 'annotations moved', count(*)
      FROM branch JOIN reyearn.annotations AS a ON a.tenant_id = tenant AND a.class_id = branch.class_id
     WHERE branch.into_class_id IS NOT NULL
    UNION ALL
    SELECT 'annotations combined', count(*)
      FROM branch JOIN reyearn.annotations AS a ON a.tenant_id = tenant AND a.class_id = branch.class_id
      JOIN reyearn.annotations AS same
        ON same.tenant_id = tenant AND same.observation_id = a.observation_id AND same.class_id = branch.into_class_id
       AND same.span IS NOT DISTINCT FROM a.span
    UNION ALL
    SELECT 'models re-rooted', count(*)
      FROM branch JOIN reyearn.models AS m ON m.tenant_id = tenant AND m.label_root_id = branch.class_id
     WHERE branch.into_class_id IS NOT NULL;
    IF dry_run OR same THEN
        RETURN;
    END IF;

    PERFORM reyearn.move_branch(label, new_label);
END
$$;
COMMENT ON FUNCTION reyearn_move_class(ltree, ltree, boolean) IS
    'rename or move a class with all below it; where a label exists already, the classes are merged';

CREATE FUNCTION reyearn_move_class(label text, new_label text, dry_run boolean DEFAULT false)
    RETURNS TABLE (what text, rows bigint)
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT *
          FROM @extschema@.reyearn_move_class(reyearn.parse_label(label), reyearn.parse_label(new_label), dry_run);
    END;
COMMENT ON FUNCTION reyearn_move_class(text, text, boolean) IS
    'rename or move a class with all below it; where a label exists already, the classes are merged';

CREATE FUNCTION reyearn.delete_classes_of(tenant_id int, class_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Annotations first: while their classes exist, the triggers can tell which models learned from them.
    DELETE FROM reyearn.annotations AS a WHERE a.tenant_id = $1 AND a.class_id = ANY ($2);
    DELETE FROM reyearn.classes AS c WHERE c.tenant_id = $1 AND c.class_id = ANY ($2);
END
$$;
COMMENT ON FUNCTION reyearn.delete_classes_of(int, bigint[]) IS 'deletes classes of a tenant and their annotations';

CREATE FUNCTION reyearn.delete_classes(class_ids bigint[]) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.delete_classes(bigint[]) IS 'delete_classes_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_drop_class(label ltree, dry_run boolean DEFAULT false)
    RETURNS TABLE (what text, rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    branch bigint[];
    models text;
BEGIN
    IF label IS NULL OR dry_run IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = format('"%s" must not be NULL',
            CASE WHEN label IS NULL THEN 'label' ELSE 'dry_run' END);
    END IF;
    IF NOT dry_run THEN
        PERFORM reyearn.lock_taxonomy(true);
        PERFORM FROM reyearn.classes AS c
          WHERE c.tenant_id = tenant AND reyearn.is_under(c.label, label)
          ORDER BY c.class_id
            FOR UPDATE;
    END IF;
    SELECT array_agg(c.class_id) INTO branch
      FROM reyearn.classes AS c
     WHERE c.tenant_id = tenant AND reyearn.is_under(c.label, label);
    IF branch IS NULL THEN
        PERFORM reyearn.unknown_class(label);
    END IF;
    SELECT string_agg(format('"%s"', m.name), ', ' ORDER BY m.name) INTO models
      FROM reyearn.models AS m
     WHERE m.tenant_id = tenant AND m.label_root_id = ANY (branch);
    IF models IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = format('cannot drop class "%s" because models depend on it', label),
            DETAIL = format('Rooted in this branch: %s.', models),
            HINT = 'Call reyearn_alter_model() to give them another root, or reyearn_drop_model().';
    END IF;

    RETURN QUERY
    SELECT 'classes dropped', cardinality(branch)::bigint
    UNION ALL
    SELECT 'annotations dropped', count(*)
      FROM reyearn.annotations AS a WHERE a.tenant_id = tenant AND a.class_id = ANY (branch);
    IF NOT dry_run THEN
        PERFORM reyearn.delete_classes(branch);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_drop_class(ltree, boolean) IS
    'drop a class with all below it and their annotations';

CREATE FUNCTION reyearn_drop_class(label text, dry_run boolean DEFAULT false)
    RETURNS TABLE (what text, rows bigint)
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT * FROM @extschema@.reyearn_drop_class(reyearn.parse_label(label), dry_run);
    END;
COMMENT ON FUNCTION reyearn_drop_class(text, boolean) IS
    'drop a class with all below it and their annotations';
