-- What people do with the rows of attached tables: confirm their labels, have them labelled now or anew, forget them.

CREATE FUNCTION reyearn.queue_relabel_of(tenant_id int, attachment_id bigint, only_below real) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    live bigint;
    queued bigint;
BEGIN
    SELECT v.version_id INTO live
      FROM reyearn.attached_tables AS a
      JOIN reyearn.model_versions AS v ON v.tenant_id = a.model_tenant_id AND v.model_id = a.model_id AND v.is_live
     WHERE a.tenant_id = tenant_id AND a.attachment_id = attachment_id;
    IF NOT FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the model of the attachment has no live version',
            HINT = 'Call reyearn_train().';
    END IF;
    -- Those that wait already are not added, whoever is about to have them wait.
    SELECT coalesce(sum(reyearn.add_waiting(tenant_id, attachment_id, part.keys)), 0) INTO queued
      FROM (SELECT array_agg(k.key) AS keys
              FROM (SELECT w.key, row_number() OVER () / 10000 AS n
                      FROM (SELECT r.key FROM reyearn.attached_rows AS r
                             WHERE r.tenant_id = tenant_id AND r.attachment_id = attachment_id AND r.version_id <> live
                               AND (only_below IS NULL OR r.probability < only_below)
                            UNION
                            SELECT r.key FROM reyearn.waiting_rows AS r
                             WHERE r.tenant_id = tenant_id AND r.attachment_id = attachment_id AND r.is_refused) AS w) AS k
             GROUP BY k.n) AS part;
    DELETE FROM reyearn.waiting_rows AS w
     WHERE w.tenant_id = tenant_id AND w.attachment_id = attachment_id AND w.is_refused;
    UPDATE reyearn.catch_ups AS c SET failures = 0, retry_at = NULL
     WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id AND c.retry_at IS NOT NULL;
    RETURN queued;
END
$$;
COMMENT ON FUNCTION reyearn.queue_relabel_of(int, bigint, real) IS
    'has rows that an earlier version has labelled, and rows that were refused, labelled anew; returns their number';

CREATE FUNCTION reyearn.queue_relabel(attachment_id bigint, only_below real) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.queue_relabel(bigint, real) IS 'queue_relabel_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn.own_attachments(relation regclass) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF relation IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"relation" must not be NULL';
    END IF;
    PERFORM reyearn.check_table_owner(relation, quote_ident(current_user)::regrole);
    RETURN QUERY
    SELECT c.attachment_id FROM reyearn.attached_columns AS c
     WHERE c.tenant_id = reyearn.current_tenant() AND c.relation = relation
     ORDER BY c.attachment_id;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s is not attached', relation),
            HINT = 'SELECT * FROM reyearn.attachments; lists what is attached.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.own_attachments(regclass) IS 'attachments of a table that belongs to the caller; an error if there are none';

CREATE FUNCTION reyearn.catch_up_now(attachment_id bigint, enough bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    step bigint;
    done bigint := 0;
BEGIN
    WHILE reyearn.has_work(attachment_id) AND NOT coalesce(done >= enough, false) LOOP
        step := reyearn.catch_up(attachment_id, 1000);
        EXIT WHEN step = 0;
        done := done + step;
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION reyearn.catch_up_now(bigint, bigint) IS
    'has an attachment catch up, with all or until enough is done; returns with how many rows it was done';

CREATE FUNCTION reyearn.catch_up_or_leave(attachment_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_left_to_worker CONSTANT boolean := (SELECT b.is_possible AND b.most_workers > 0 FROM reyearn.background() AS b);
BEGIN
    PERFORM reyearn.catch_up_now(attachment_id, CASE WHEN is_left_to_worker THEN 2000 END);
    IF reyearn.has_work(attachment_id) THEN
        PERFORM reyearn.announce_work();
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.catch_up_or_leave(bigint) IS
    'has an attachment catch up: with a small table at once, with a large one in the background unless nothing works there';

CREATE FUNCTION reyearn_catch_up(relation regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attachment bigint;
    done bigint := 0;
BEGIN
    FOR attachment IN SELECT * FROM reyearn.own_attachments(relation) LOOP
        done := done + reyearn.catch_up_now(attachment);
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION reyearn_catch_up(regclass) IS
    'do now what attachments of a table have to do in the background: look at the rows that were there, and label those that wait; returns the number of steps, a row each';

CREATE FUNCTION reyearn.forget_deleted_rows_of(tenant_id int, attachment_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C'
AS $$
#variable_conflict use_variable
DECLARE
    queries record;
    after text[] COLLATE "C" := '{}';
    keys text[];
    here text[];
    gone text[];
    step bigint;
    forgotten bigint := 0;
BEGIN
    SELECT * INTO queries FROM reyearn.attachment_queries(tenant_id, attachment_id);
    IF queries.relation IS NULL THEN
        RETURN 0;
    END IF;
    -- Who writes what is remembered of a row has the row locked: now nobody has.
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', queries.relation);
    LOOP
        SELECT array_agg(r.key) INTO keys
          FROM (SELECT b.key FROM ((SELECT k.key FROM reyearn.attached_rows AS k
                                     WHERE k.tenant_id = tenant_id AND k.attachment_id = attachment_id AND k.key > after
                                     ORDER BY k.tenant_id, k.attachment_id, k.key
                                     LIMIT 1000)
                                   UNION
                                   (SELECT l.key FROM reyearn.learned_rows AS l
                                     WHERE l.tenant_id = tenant_id AND l.attachment_id = attachment_id AND l.key > after
                                     ORDER BY l.tenant_id, l.attachment_id, l.key
                                     LIMIT 1000)) AS b
                 ORDER BY b.key
                 LIMIT 1000) AS r;
        EXIT WHEN keys IS NULL;
        SELECT array_agg(r.key) INTO here FROM reyearn.read_rows(queries.relation, queries.read_some, keys, 0) AS r;
        gone := ARRAY(SELECT k FROM reyearn.each_key(keys) AS k EXCEPT SELECT k FROM reyearn.each_key(here) AS k);
        DELETE FROM reyearn.attached_rows AS r
         WHERE r.ctid = ANY (ARRAY(SELECT (SELECT x.ctid FROM reyearn.attached_rows AS x
                                            WHERE x.tenant_id = tenant_id AND x.attachment_id = attachment_id AND x.key = k)
                                     FROM reyearn.each_key(gone) AS k));
        GET DIAGNOSTICS step = ROW_COUNT;
        forgotten := forgotten + step;
        DELETE FROM reyearn.learned_rows AS r
         WHERE r.ctid = ANY (ARRAY(SELECT x.ctid FROM reyearn.each_key(gone) AS k
                                    CROSS JOIN LATERAL (SELECT l.ctid FROM reyearn.learned_rows AS l
                                                         WHERE l.tenant_id = tenant_id AND l.attachment_id = attachment_id AND l.key = k
                                                        OFFSET 0) AS x));
        after := ARRAY(SELECT unnest(keys[array_length(keys, 1):]));
    END LOOP;
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION reyearn.forget_deleted_rows_of(int, bigint) IS
    'forgets what is remembered of rows that are not in the table any more; returns of how many';

CREATE FUNCTION reyearn.forget_deleted_rows(attachment_id bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.forget_deleted_rows(bigint) IS 'forget_deleted_rows_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn.forget_dropped_tables_of(tenant_id int) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped CONSTANT bigint[] := ARRAY(SELECT a.attachment_id FROM reyearn.attached_tables AS a
                                        WHERE a.tenant_id = $1 AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = a.relation));
    forgotten bigint;
BEGIN
    DELETE FROM reyearn.attached_rows AS r WHERE r.tenant_id = $1 AND r.attachment_id = ANY (dropped);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    DELETE FROM reyearn.learned_rows AS l WHERE l.tenant_id = $1 AND l.attachment_id = ANY (dropped);
    DELETE FROM reyearn.waiting_rows AS w WHERE w.tenant_id = $1 AND w.attachment_id = ANY (dropped);
    DELETE FROM reyearn.catch_ups AS c WHERE c.tenant_id = $1 AND c.attachment_id = ANY (dropped);
    DELETE FROM reyearn.attached_tables AS a WHERE a.tenant_id = $1 AND a.attachment_id = ANY (dropped);
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION reyearn.forget_dropped_tables_of(int) IS 'forgets what is remembered of tables that were dropped; returns of how many rows';

CREATE FUNCTION reyearn.forget_dropped_tables() RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.forget_dropped_tables() IS 'forget_dropped_tables_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_forget_rows(relation regclass DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    attachment bigint;
    forgotten bigint := 0;
BEGIN
    IF relation IS NULL THEN
        RETURN reyearn.forget_dropped_tables();
    ELSIF (SELECT c.relforcerowsecurity FROM pg_class AS c WHERE c.oid = relation) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot tell which rows of table %s were deleted', relation),
            DETAIL = 'Its row security holds for its owner too, who does not see all of them.';
    END IF;
    FOR attachment IN SELECT * FROM reyearn.own_attachments(relation) LOOP
        forgotten := forgotten + reyearn.forget_deleted_rows(attachment);
    END LOOP;
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION reyearn_forget_rows(regclass) IS
    'forget what is remembered of rows that were deleted from an attached table or, without one, of tables that were dropped; returns of how many rows';

CREATE FUNCTION reyearn_relabel(relation regclass, only_below real DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attachment bigint;
    queued bigint := 0;
BEGIN
    IF NOT coalesce(only_below BETWEEN 0 AND 1, true) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('"only_below" must be a probability between 0 and 1, not %s', only_below);
    END IF;
    FOR attachment IN SELECT * FROM reyearn.own_attachments(relation) LOOP
        queued := queued + reyearn.queue_relabel(attachment, only_below);
        PERFORM reyearn.catch_up_or_leave(attachment);
    END LOOP;
    RETURN queued;
END
$$;
COMMENT ON FUNCTION reyearn_relabel(regclass, real) IS
    'have rows labelled anew that an earlier version of the model has labelled, only_below: with less than this probability; and those whose label the table has refused. What people have labelled stays. Returns the number of rows';

CREATE FUNCTION reyearn_confirm_row(relation regclass, VARIADIC key text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C'
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    keys record;
    one record;
    body text;
    label text;
    n int;
    is_any boolean := false;
BEGIN
    IF relation IS NULL OR key IS NULL OR array_position(key, NULL) IS NOT NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL', CASE WHEN relation IS NULL THEN 'relation' ELSE 'key' END);
    END IF;
    SELECT * INTO keys FROM reyearn.key_expressions(relation);
    FOR one IN SELECT c.* FROM reyearn.attached_columns AS c
                 JOIN reyearn.attached_tables AS a USING (tenant_id, attachment_id)
                WHERE c.tenant_id = tenant AND c.relation = relation AND a.model_tenant_id = a.tenant_id
                ORDER BY c.attachment_id LOOP
        is_any := true;
        IF cardinality(key) <> keys.count THEN
            RAISE invalid_parameter_value USING
                MESSAGE = format('the primary key of table %s has %s columns', relation, keys.count),
                DETAIL = format('%s values were given.', cardinality(key));
        END IF;
        EXECUTE format('SELECT CASE WHEN t.%1$I IS NOT NULL THEN format(''%%s'', t.%1$I) END,'
                       ' CASE WHEN t.%2$I IS NOT NULL THEN format(''%%s'', t.%2$I) END FROM %3$s AS t WHERE %4$s', one.text_column, one.label_column, relation,
                       keys.condition) INTO body, label USING key;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = 0 THEN
            RAISE no_data_found USING MESSAGE = format('table %s has no row with key (%s)', relation, array_to_string(key, ', '));
        ELSIF body IS NOT NULL AND label IS NOT NULL THEN
            PERFORM reyearn.learn_label(body, label);
            PERFORM reyearn.note_learned(one.attachment_id, ARRAY[key], ARRAY[body]);
        END IF;
    END LOOP;
    IF NOT is_any THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s is not attached to a model that learns', relation),
            HINT = 'SELECT * FROM reyearn.attachments; lists what is attached.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_confirm_row(regclass, text[]) IS
    'say that the labels of a row of an attached table are right as they are; key: the values of its primary key, in order';
