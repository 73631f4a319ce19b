-- What an attachment does beside the rows that come: it looks at those that were there, and labels the ones that wait.
--
--   sweep           reads the table in the order of its primary key: people's labels are learned, rows without one wait
--   label_waiting   labels rows that wait, whatever they wait for: existing ones, ones that could not be labelled when they
--                   came, ones that are to be labelled again
--
-- Both go in steps of some rows, each a transaction of its own when the worker does them. A sweep takes no lock on rows; a
-- step of labelling locks its own rows for as long as it takes, and skips those that others have locked. What is noted of
-- rows is added without waiting. So no step waits for an application's transaction while that could wait for it.

-- What a query on the table, read as t, needs of its primary key: written out as C code does (attached_row.cpp), and as
-- conditions on $1, a text[] with a key or, for "among", a text[][] with several, read as i (n).
CREATE FUNCTION reyearn.key_expressions(relation regclass, OUT count int, OUT key text, OUT columns text, OUT condition text,
                                        OUT among text, OUT same text, OUT after text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH part AS (
            SELECT k.place, format('t.%I', a.attname) AS name, reyearn.qualified_type(a.atttypid, a.atttypmod) AS type, a.attname,
                   format('OPERATOR(%I.%s)', en.nspname, eo.oprname) AS equals,
                   format('OPERATOR(%I.%s)', gn.nspname, go.oprname) AS exceeds
              FROM pg_index AS i
             CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, place)
              JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              JOIN pg_opclass AS c ON c.oid = k.opclass
              JOIN pg_amop AS e ON e.amopfamily = c.opcfamily AND e.amoplefttype = c.opcintype
                               AND e.amoprighttype = c.opcintype AND e.amopstrategy = 3
              JOIN pg_operator AS eo ON eo.oid = e.amopopr
              JOIN pg_namespace AS en ON en.oid = eo.oprnamespace
              JOIN pg_amop AS g ON g.amopfamily = c.opcfamily AND g.amoplefttype = c.opcintype
                               AND g.amoprighttype = c.opcintype AND g.amopstrategy = 5
              JOIN pg_operator AS go ON go.oid = g.amopopr
              JOIN pg_namespace AS gn ON gn.oid = go.oprnamespace
             WHERE i.indrelid = relation AND i.indisprimary AND k.place <= i.indnkeyatts
        )
        SELECT count(*)::int,
               format('ARRAY[%s]', string_agg(format('pg_catalog.format(''%%s'', %s) COLLATE pg_catalog."C"', p.name), ', ' ORDER BY p.place)),
               string_agg(p.name, ', ' ORDER BY p.place),
               string_agg(format('%s %s $1[%s]::%s', p.name, p.equals, p.place, p.type), ' AND ' ORDER BY p.place),
               string_agg(format('%s %s $1[i.n][%s]::%s', p.name, p.equals, p.place, p.type), ' AND ' ORDER BY p.place),
               string_agg(format('%s %s p.%I', p.name, p.equals, p.attname), ' AND ' ORDER BY p.place),
               -- One comparison of rows is what an index serves best; it takes operators of one schema.
               CASE WHEN count(DISTINCT p.exceeds) = 1
                    THEN format('(%s) %s (%s)', string_agg(p.name, ', ' ORDER BY p.place), min(p.exceeds),
                                string_agg(format('$1[%s]::%s', p.place, p.type), ', ' ORDER BY p.place))
                    ELSE (SELECT string_agg(format('(%s)', concat_ws(' AND ',
                                            (SELECT string_agg(format('%s %s $1[%s]::%s', e.name, e.equals, e.place, e.type), ' AND ' ORDER BY e.place)
                                               FROM part AS e WHERE e.place < q.place),
                                            format('%s %s $1[%s]::%s', q.name, q.exceeds, q.place, q.type))), ' OR ' ORDER BY q.place)
                            FROM part AS q) END
          FROM part AS p;
    END;
COMMENT ON FUNCTION reyearn.key_expressions(regclass) IS
    'what a query on a table needs to read, compare, join and follow its primary key';

-- Queries on an attached table: what the step that comes next is made of. NULLs: it is not attached any more.
CREATE FUNCTION reyearn.attachment_queries(tenant_id int, attachment_id bigint, OUT relation regclass, OUT read_next text,
                                           OUT read_some text, OUT lock_some text, OUT label_some text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.relation,
               format('SELECT %s, pg_catalog.format(''%%s'', t.%I), CASE WHEN t.%I IS NOT NULL THEN pg_catalog.format(''%%s'', t.%I) END FROM %s AS t'
                      ' WHERE t.%I IS NOT NULL AND ($1 IS NULL OR (%s)) ORDER BY %s LIMIT $2',
                      k.key, c.text_column, c.label_column, c.label_column, c.relation, c.text_column, k.after, k.columns),
               format('SELECT %s, CASE WHEN t.%I IS NOT NULL THEN pg_catalog.format(''%%s'', t.%I) END,'
                      ' CASE WHEN t.%I IS NOT NULL THEN pg_catalog.format(''%%s'', t.%I) END'
                      ' FROM pg_catalog.generate_subscripts($1, 1) AS i (n) JOIN %s AS t ON %s',
                      k.key, c.text_column, c.text_column, c.label_column, c.label_column, c.relation, k.among),
               format('SELECT %s, NULL, NULL FROM pg_catalog.generate_subscripts($1, 1) AS i (n) JOIN %s AS t ON %s FOR NO KEY UPDATE OF t SKIP LOCKED',
                      k.key, c.relation, k.among),
               format('UPDATE %s AS t SET %I = t.%I FROM (SELECT %s FROM pg_catalog.generate_subscripts($1, 1) AS i (n) JOIN %s AS t ON %s OFFSET 0) AS p WHERE %s',
                      c.relation, c.label_column, c.label_column, k.columns, c.relation, k.among, k.same)
          FROM reyearn.attached_columns AS c
         CROSS JOIN LATERAL reyearn.key_expressions(c.relation) AS k
         WHERE c.tenant_id = $1 AND c.attachment_id = $2;
    END;
COMMENT ON FUNCTION reyearn.attachment_queries(int, bigint) IS
    'queries on an attached table. Parameters: $1, the key that was read last, or several keys; $2, how many rows';

-- The next three run a query as the owner of the table, as whom autovacuum too would run functions in its indexes.

CREATE FUNCTION reyearn.read_rows(relation regclass, query text, keys text[], most int)
    RETURNS TABLE (key text[], body text, label text)
    AS 'MODULE_PATHNAME', 'reyearn_read_rows'
    LANGUAGE C STABLE ROWS 1000;
COMMENT ON FUNCTION reyearn.read_rows(regclass, text, text[], int) IS
    'rows of an attached table, read as its owner in the snapshot of the caller; of long texts not all at once';

CREATE FUNCTION reyearn.lock_rows(relation regclass, query text, keys text[])
    RETURNS TABLE (key text[], body text, label text)
    AS 'MODULE_PATHNAME', 'reyearn_lock_rows'
    LANGUAGE C VOLATILE ROWS 1000;
COMMENT ON FUNCTION reyearn.lock_rows(regclass, text, text[]) IS 'keys of rows of an attached table, locked as its owner';

CREATE FUNCTION reyearn.write_labels(relation regclass, attachment_id bigint, query text, keys text[]) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_write_labels'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.write_labels(regclass, bigint, text, text[]) IS
    'updates rows of an attached table as its owner, so that its trigger predicts their labels anew, and learns nothing of that';

CREATE FUNCTION reyearn.check_attachment(relation regclass, attachment_id bigint) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_check_attachment'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.check_attachment(regclass, bigint) IS
    'raises an error unless the owner of the attachment can predict with its model';

CREATE FUNCTION reyearn.learn_labels_of(relation regclass, attachment_id bigint, bodies text[], labels text[]) RETURNS text[]
    AS 'MODULE_PATHNAME', 'reyearn_learn_labels_of'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.learn_labels_of(regclass, bigint, text[], text[]) IS 'learn_labels, as the owner of the attachment and for its tenant';

-- Added unless they are there, or somebody is about to add them.

CREATE FUNCTION reyearn.add_waiting(tenant_id int, attachment_id bigint, keys text[]) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_add_waiting'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.add_waiting(int, bigint, text[]) IS 'has rows labelled later; keys: text[][]; returns how many were added';

CREATE FUNCTION reyearn.add_learned(tenant_id int, attachment_id bigint, times_attached int, keys text[], bodies text[]) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_add_learned'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.add_learned(int, bigint, int, text[], text[]) IS
    'remembers that labels were learned that people gave to these texts of rows; keys: text[][]';

CREATE FUNCTION reyearn.announce_work() RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_announce_work'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.announce_work() IS 'has the commit wake a worker';

-- As those who may annotate.
CREATE FUNCTION reyearn.learn_labels(bodies text[], labels text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    known CONSTANT text[] := ARRAY(SELECT c.label::text FROM reyearn.classes AS c WHERE c.tenant_id = tenant);
    said CONSTANT text := 'WITH said AS ('
        ' SELECT DISTINCT ON (s.body, s.label) s.body, c.class_id'
        '   FROM unnest($2, $3) AS s (body, label)'
        '   JOIN reyearn.classes AS c ON c.tenant_id = $1 AND c.label::text = s.label)';
BEGIN
    EXECUTE said || ' INSERT INTO reyearn.observations (tenant_id, body)'
                    ' SELECT DISTINCT $1, s.body FROM said AS s ORDER BY s.body ON CONFLICT DO NOTHING'
        USING tenant, bodies, labels;
    EXECUTE said || ' INSERT INTO reyearn.annotations AS a (tenant_id, observation_id, class_id, status)'
                    ' SELECT $1, o.observation_id, s.class_id, ''confirmed'' FROM said AS s'
                    '   JOIN reyearn.observations AS o ON o.tenant_id = $1 AND o.content_hash = reyearn.content_hash(s.body)'
                    '  ORDER BY o.observation_id, s.class_id'
                    ' ON CONFLICT ON CONSTRAINT annotations_identity DO UPDATE SET status = excluded.status'
                    '  WHERE a.status <> excluded.status'
        USING tenant, bodies, labels;
    RETURN ARRAY(SELECT DISTINCT l FROM unnest(labels) AS l WHERE l <> ALL (known) ORDER BY l);
END
$$;
COMMENT ON FUNCTION reyearn.learn_labels(text[], text[]) IS
    'stores texts and says which class each is of; returns the labels that no class has, of whose texts nothing is stored';

-- The rest as the owner of the extension.

CREATE FUNCTION reyearn.each_key(keys text[]) RETURNS SETOF text[]
    LANGUAGE plpgsql IMMUTABLE ROWS 1000
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key text[];
BEGIN
    IF cardinality(keys) > 0 THEN
        FOREACH key SLICE 1 IN ARRAY keys LOOP
            RETURN NEXT key;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.each_key(text[]) IS 'the rows of a text[][]';

CREATE FUNCTION reyearn.note_learned_of(tenant_id int, attachment_id bigint, keys text[], bodies text[]) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT reyearn.add_learned(a.tenant_id, a.attachment_id, a.times_attached, keys, bodies)
          FROM reyearn.attached_tables AS a
         WHERE a.tenant_id = $1 AND a.attachment_id = $2;
    END;
COMMENT ON FUNCTION reyearn.note_learned_of(int, bigint, text[], text[]) IS 'remembers that labels that people gave to rows were learned';

CREATE FUNCTION reyearn.note_learned(attachment_id bigint, keys text[], bodies text[]) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.note_learned(bigint, text[], text[]) IS 'note_learned_of the caller''s tenant, as the owner of the extension';

-- What is known of a row that was read decides. Of keys that are too long to be remembered nothing is known: they are left
-- alone (attachments.cpp). A label that we wrote is ours also under the name that its class has now. Where there is none
-- although we wrote one for the same text, a person has taken it away. What was learned since the table was attached is not
-- learned again: the text may have changed.
CREATE FUNCTION reyearn.what_to_do(relation regclass, attachment_id bigint, key text[], body text, label text) RETURNS text
    AS 'MODULE_PATHNAME', 'reyearn_what_to_do'
    LANGUAGE C STABLE;
COMMENT ON FUNCTION reyearn.what_to_do(regclass, bigint, text[], text, text) IS
    'label: the row is to be labelled; learn: a person has labelled it; NULL: nothing is to be done. In the snapshot of the caller';

CREATE FUNCTION reyearn.sweep(attachment reyearn.attached_tables, progress reyearn.catch_ups, most int) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    queries CONSTANT record := reyearn.attachment_queries(attachment.tenant_id, attachment.attachment_id);
    found record;
    unknown text[];
BEGIN
    -- One snapshot for the rows and for what is known of them.
    SELECT count(*) AS n, array_agg(r.key ORDER BY r.place) AS keys,
           array_agg(r.key) FILTER (WHERE d.it = 'label') AS unlabelled, array_agg(r.key) FILTER (WHERE d.it = 'learn') AS labelled,
           array_agg(r.body) FILTER (WHERE d.it = 'learn') AS bodies, array_agg(r.label) FILTER (WHERE d.it = 'learn') AS labels
      INTO found
      FROM reyearn.read_rows(queries.relation, queries.read_next, progress.position, most)
           WITH ORDINALITY AS r (key, body, label, place)
     CROSS JOIN LATERAL (SELECT reyearn.what_to_do(attachment.relation, attachment.attachment_id, r.key, r.body, r.label) AS it OFFSET 0) AS d;
    PERFORM reyearn.add_waiting(attachment.tenant_id, attachment.attachment_id, found.unlabelled);
    IF progress.confirms AND found.labelled IS NOT NULL AND attachment.model_tenant_id = attachment.tenant_id THEN
        unknown := reyearn.learn_labels_of(queries.relation, attachment.attachment_id, found.bodies, found.labels);
        PERFORM reyearn.add_learned(attachment.tenant_id, attachment.attachment_id, attachment.times_attached, array_agg(k.key), array_agg(b.body))
           FROM reyearn.each_key(found.labelled) WITH ORDINALITY AS k (key, place)
           JOIN unnest(found.bodies, found.labels) WITH ORDINALITY AS b (body, label, place) USING (place)
          WHERE b.label <> ALL (unknown);
        IF cardinality(unknown) > 0 THEN
            RAISE WARNING USING
                MESSAGE = format('labels of table %s were not learned: their classes do not exist', queries.relation),
                DETAIL = format('The labels are: %s.', array_to_string(unknown[:20], ', ')),
                HINT = 'Create the classes with reyearn_create_class(), detach the table and attach it again.';
            PERFORM reyearn.note_attachment_error(attachment.tenant_id, attachment.attachment_id,
                format('labels were not learned, their classes do not exist: %s', array_to_string(unknown[:20], ', ')));
        END IF;
    END IF;
    UPDATE reyearn.catch_ups AS c
       SET position = CASE WHEN found.n = 0 THEN c.position ELSE ARRAY(SELECT unnest(found.keys[found.n:])) END,
           rows_swept = c.rows_swept + found.n, is_swept = found.n = 0
     WHERE c.tenant_id = attachment.tenant_id AND c.attachment_id = attachment.attachment_id;
    RETURN greatest(found.n, 1);
END
$$;
COMMENT ON FUNCTION reyearn.sweep(reyearn.attached_tables, reyearn.catch_ups, int) IS
    'looks at the next rows that were there when a table was attached; returns how many';

-- Rows that wait are taken in the order of their keys, round and round: so those that others have locked are not met again
-- before the rest, nor the places in the index of those that are done with. The table grows and shrinks too fast for plans to
-- know its size: hence the settings, here and below.
CREATE FUNCTION reyearn.take_waiting(tenant_id int, attachment_id bigint, most int) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_variable
DECLARE
    after text[] COLLATE "C" := (SELECT c.waiting_after FROM reyearn.catch_ups AS c
                                  WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id);
    keys text[];
BEGIN
    LOOP
        SELECT array_agg(w.key) INTO keys
          FROM (SELECT d.key FROM reyearn.waiting_rows AS d
                 WHERE d.tenant_id = tenant_id AND d.attachment_id = attachment_id AND NOT d.is_refused
                   AND d.key > coalesce(after, '{}')
                 ORDER BY d.tenant_id, d.attachment_id, d.is_refused, d.key
                 LIMIT most
                   FOR UPDATE SKIP LOCKED) AS w;
        EXIT WHEN keys IS NOT NULL OR after IS NULL;
        after := NULL;
    END LOOP;
    UPDATE reyearn.catch_ups AS c
       SET waiting_after = CASE WHEN array_length(keys, 1) = most THEN ARRAY(SELECT unnest(keys[most:])) END
     WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id;
    RETURN keys;
END
$$;
COMMENT ON FUNCTION reyearn.take_waiting(int, bigint, int) IS 'the next rows that wait for a label, locked; NULL: none do';

CREATE FUNCTION reyearn.stop_waiting(tenant_id int, attachment_id bigint, keys text[]) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
    BEGIN ATOMIC
        DELETE FROM reyearn.waiting_rows AS w
         WHERE w.ctid = ANY (ARRAY(SELECT d.ctid
                                     FROM reyearn.each_key(keys) AS k
                                    CROSS JOIN LATERAL (SELECT x.ctid FROM reyearn.waiting_rows AS x
                                                         WHERE x.tenant_id = $1 AND x.attachment_id = $2
                                                           AND NOT x.is_refused AND x.key = k
                                                        UNION ALL
                                                        SELECT x.ctid FROM reyearn.waiting_rows AS x
                                                         WHERE x.tenant_id = $1 AND x.attachment_id = $2
                                                           AND x.is_refused AND x.key = k) AS d));
    END;
COMMENT ON FUNCTION reyearn.stop_waiting(int, bigint, text[]) IS 'has rows wait no longer';

CREATE FUNCTION reyearn.refuse_waiting(tenant_id int, attachment_id bigint, keys text[], message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM reyearn.stop_waiting($1, $2, keys);
    INSERT INTO reyearn.waiting_rows (tenant_id, attachment_id, is_refused, key)
    SELECT $1, $2, true, k FROM reyearn.each_key(keys) AS k;
    PERFORM reyearn.note_attachment_error($1, $2, message);
END
$$;
COMMENT ON FUNCTION reyearn.refuse_waiting(int, bigint, text[], text) IS 'has rows that wait not tried again by themselves, and keeps why';

-- Errors of a row are what a table says to its label; these are not. Nor is what keeps the attachment from predicting.
CREATE FUNCTION reyearn.is_of_a_row(sqlstate text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT left(sqlstate, 2) NOT IN ('40', '53', '57', '58', 'F0', 'XX') AND sqlstate NOT IN ('55006', '55P03');
    END;
COMMENT ON FUNCTION reyearn.is_of_a_row(text) IS
    'whether an error has to do with a row: not with locks and conflicts, resources, operators, the system or the server';

CREATE FUNCTION reyearn.label_one_by_one(attachment reyearn.attached_tables, keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    queries CONSTANT record := reyearn.attachment_queries(attachment.tenant_id, attachment.attachment_id);
    one text[];
BEGIN
    FOREACH one SLICE 1 IN ARRAY keys LOOP
        BEGIN
            PERFORM FROM reyearn.lock_rows(queries.relation, queries.lock_some, ARRAY[one]);
            PERFORM reyearn.write_labels(queries.relation, attachment.attachment_id, queries.label_some, ARRAY[one]);
        EXCEPTION WHEN others THEN
            IF NOT reyearn.is_of_a_row(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM reyearn.check_attachment(queries.relation, attachment.attachment_id);
            PERFORM reyearn.refuse_waiting(attachment.tenant_id, attachment.attachment_id, ARRAY[one], SQLERRM);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION reyearn.label_one_by_one(reyearn.attached_tables, text[]) IS
    'labels rows of which some are refused, and finds out which';

-- Writes labels into rows that wait and that nobody has locked; returns those that somebody has.
CREATE FUNCTION reyearn.label_free(attachment reyearn.attached_tables, keys text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    queries CONSTANT record := reyearn.attachment_queries(attachment.tenant_id, attachment.attachment_id);
    locked text[];
    busy text[];
BEGIN
    SELECT array_agg(r.key) INTO locked FROM reyearn.lock_rows(queries.relation, queries.lock_some, keys) AS r;
    SELECT array_agg(r.key) INTO busy
      FROM reyearn.read_rows(queries.relation, queries.read_some, keys, 0) AS r
     WHERE NOT EXISTS (SELECT FROM reyearn.each_key(locked) AS k WHERE k = r.key);
    PERFORM reyearn.write_labels(queries.relation, attachment.attachment_id, queries.label_some, locked);
    RETURN busy;
END
$$;
COMMENT ON FUNCTION reyearn.label_free(reyearn.attached_tables, text[]) IS
    'labels rows unless others have locked them; returns those';

CREATE FUNCTION reyearn.label_waiting(attachment reyearn.attached_tables, most int) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    queries CONSTANT record := reyearn.attachment_queries(attachment.tenant_id, attachment.attachment_id);
    keys text[];
    busy text[];
    missed text[];
BEGIN
    PERFORM reyearn.check_attachment(queries.relation, attachment.attachment_id);
    keys := reyearn.take_waiting(attachment.tenant_id, attachment.attachment_id, most);
    IF keys IS NULL THEN
        RETURN 0;
    END IF;
    BEGIN
        busy := reyearn.label_free(attachment, keys);
    EXCEPTION WHEN others THEN
        IF NOT reyearn.is_of_a_row(SQLSTATE) THEN
            RAISE;
        END IF;
        PERFORM reyearn.label_one_by_one(attachment, keys);
        RETURN array_length(keys, 1);
    END;
    -- Rows that are still without a label, which others have cancelled, and those that the owner of the table does not see.
    SELECT array_agg(k.key) INTO missed
      FROM reyearn.each_key(keys) AS k (key)
      LEFT JOIN reyearn.read_rows(queries.relation, queries.read_some, keys, 0) AS r ON r.key = k.key
     WHERE NOT EXISTS (SELECT FROM reyearn.each_key(busy) AS b WHERE b = k.key)
       AND CASE WHEN r.key IS NULL THEN (SELECT c.relforcerowsecurity FROM pg_class AS c WHERE c.oid = queries.relation)
                WHEN r.label IS NULL AND r.body IS NOT NULL
                THEN reyearn.what_to_do(attachment.relation, attachment.attachment_id, r.key, r.body, r.label) = 'label' END;
    IF missed IS NOT NULL THEN
        PERFORM reyearn.refuse_waiting(attachment.tenant_id, attachment.attachment_id, missed,
                                       'rows could not be labelled: a trigger or a policy of the table left them out');
    END IF;
    PERFORM reyearn.stop_waiting(attachment.tenant_id, attachment.attachment_id,
                                 ARRAY(SELECT k FROM reyearn.each_key(keys) AS k
                                       EXCEPT SELECT k FROM reyearn.each_key(busy) AS k
                                       EXCEPT SELECT k FROM reyearn.each_key(missed) AS k));
    RETURN array_length(keys, 1) - coalesce(array_length(busy, 1), 0);
END
$$;
COMMENT ON FUNCTION reyearn.label_waiting(reyearn.attached_tables, int) IS
    'labels rows that wait for that, but for those that others have locked; returns how many it has done with';

-- Why an attachment cannot catch up with its table as that is now.
CREATE FUNCTION reyearn.check_attached_table(attachment reyearn.attached_tables) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state record;
BEGIN
    SELECT c.* INTO state FROM reyearn.attached_columns AS c
     WHERE c.tenant_id = attachment.tenant_id AND c.attachment_id = attachment.attachment_id;
    IF NOT state.has_key THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('table %s has not the primary key that it was attached with', attachment.relation),
            HINT = 'Detach the table and attach it again.';
    ELSIF NOT state.is_enabled THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('triggers of table %s are disabled', attachment.relation),
            HINT = format('ALTER TABLE %s ENABLE TRIGGER USER;', attachment.relation);
    END IF;
    PERFORM reyearn.check_table_owner(attachment.relation, attachment.owner);
END
$$;
COMMENT ON FUNCTION reyearn.check_attached_table(reyearn.attached_tables) IS 'raises an error unless an attachment can catch up with its table';

CREATE FUNCTION reyearn.is_worker() RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_is_worker'
    LANGUAGE C STABLE;
COMMENT ON FUNCTION reyearn.is_worker() IS 'whether a worker asks, and no session';

-- A restricted operation cannot defer triggers, and a session's are not ours to fire: that is the worker's.
CREATE FUNCTION reyearn.has_deferred_triggers(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT EXISTS (SELECT FROM pg_trigger AS t
                        WHERE t.tginitdeferred
                          AND (t.tgrelid = relation OR t.tgrelid IN (SELECT p.relid FROM pg_partition_tree(relation) AS p)));
    END;
COMMENT ON FUNCTION reyearn.has_deferred_triggers(regclass) IS 'whether a table has triggers that fire when the transaction commits';

CREATE FUNCTION reyearn.catch_up_of(tenant_id int, attachment_id bigint, most int) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C'
AS $$
#variable_conflict use_variable
DECLARE
    attachment reyearn.attached_tables;
    progress reyearn.catch_ups;
    done bigint;
BEGIN
    -- A dump is being restored: what is known of rows is still to come.
    IF reyearn.is_worker() AND NOT reyearn.may_begin_training() THEN
        RETURN 0;
    END IF;
    SELECT c.* INTO progress FROM reyearn.catch_ups AS c
     WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id
       FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND
       OR NOT EXISTS (SELECT FROM reyearn.attached_columns AS a WHERE a.tenant_id = tenant_id AND a.attachment_id = attachment_id) THEN
        RETURN 0;
    END IF;
    SELECT a.* INTO attachment FROM reyearn.attached_tables AS a WHERE a.tenant_id = tenant_id AND a.attachment_id = attachment_id;
    PERFORM reyearn.check_attached_table(attachment);
    done := CASE WHEN NOT progress.is_swept THEN reyearn.sweep(attachment, progress, greatest(most, 1))
                 WHEN NOT reyearn.is_worker() AND reyearn.has_deferred_triggers(attachment.relation) THEN 0
                 ELSE reyearn.label_waiting(attachment, greatest(most, 1)) END;
    UPDATE reyearn.catch_ups AS c SET time_worked = clock_timestamp(), failures = 0, retry_at = NULL
     WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id;
    RETURN done;
END
$$;
COMMENT ON FUNCTION reyearn.catch_up_of(int, bigint, int) IS
    'does a step of what an attachment has to catch up with; returns with how many rows it is done, 0: there is nothing to do now';

CREATE FUNCTION reyearn.catch_up(attachment_id bigint, most int) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.catch_up(bigint, int) IS 'catch_up_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn.has_work_of(tenant_id int, attachment_id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
    BEGIN ATOMIC
        SELECT EXISTS (SELECT FROM reyearn.catch_ups AS c
                        WHERE c.tenant_id = $1 AND c.attachment_id = $2 AND NOT c.is_swept)
            OR EXISTS (SELECT FROM reyearn.attached_tables AS t
                         JOIN reyearn.model_versions AS v ON v.tenant_id = t.model_tenant_id AND v.model_id = t.model_id AND v.is_live
                        WHERE t.tenant_id = $1 AND t.attachment_id = $2)
               AND EXISTS (SELECT FROM reyearn.waiting_rows AS w
                            WHERE w.tenant_id = $1 AND w.attachment_id = $2 AND NOT w.is_refused);
    END;
COMMENT ON FUNCTION reyearn.has_work_of(int, bigint) IS 'whether an attachment has rows to look at, or to label and a version to do it with';

CREATE FUNCTION reyearn.has_work(attachment_id bigint) RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.has_work(bigint) IS 'has_work_of the caller''s tenant, as the owner of the extension';

-- For the worker.

-- What is begun is postponed, in case that the worker does not come back: a step that succeeds takes that back.
CREATE FUNCTION reyearn.next_catch_up(passed_over bigint[], OUT tenant_id int, OUT attachment_id bigint, OUT failures int,
                                      OUT due_at timestamptz)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    due record;
BEGIN
    FOR due IN
        SELECT c.tenant_id, c.attachment_id, c.failures, c.retry_at
          FROM reyearn.catch_ups AS c
         WHERE c.attachment_id <> ALL (passed_over) AND reyearn.has_work_of(c.tenant_id, c.attachment_id)
           AND EXISTS (SELECT FROM reyearn.attached_columns AS a
                        WHERE a.tenant_id = c.tenant_id AND a.attachment_id = c.attachment_id)
         ORDER BY coalesce(c.retry_at > clock_timestamp(), false), c.failures > 0,
                  CASE WHEN c.retry_at > clock_timestamp() THEN c.retry_at ELSE c.time_worked END NULLS FIRST
    LOOP
        IF due.retry_at > clock_timestamp() THEN
            due_at := due.retry_at;
            RETURN;
        END IF;
        UPDATE reyearn.catch_ups AS c
           SET failures = c.failures + 1, time_worked = clock_timestamp(),
               retry_at = clock_timestamp() + least(interval '5 s' * power(2::float8, least(c.failures, 20)), interval '5 min')
          FROM (SELECT FROM reyearn.catch_ups AS f
                 WHERE f.tenant_id = due.tenant_id AND f.attachment_id = due.attachment_id
                   FOR NO KEY UPDATE SKIP LOCKED) AS free
         WHERE c.tenant_id = due.tenant_id AND c.attachment_id = due.attachment_id;
        IF FOUND THEN
            tenant_id := due.tenant_id;
            attachment_id := due.attachment_id;
            failures := due.failures;
            RETURN;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION reyearn.next_catch_up(bigint[]) IS
    'the attachment whose turn it is to catch up, and how often it has failed; without one, when the next is due';

CREATE FUNCTION reyearn.put_back_catch_up(tenant_id int, attachment_id bigint) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        UPDATE reyearn.catch_ups AS c SET failures = greatest(c.failures - 1, 0), retry_at = NULL
         WHERE c.tenant_id = $1 AND c.attachment_id = $2;
    END;
COMMENT ON FUNCTION reyearn.put_back_catch_up(int, bigint) IS 'has an attachment tried again at once: others were in the way, and it has not failed';

CREATE FUNCTION reyearn.fail_catch_up(tenant_id int, attachment_id bigint, message text, skips_row boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM reyearn.note_attachment_error(tenant_id, attachment_id, message);
    -- A step of one row that fails without being refused must not keep the rows after it waiting.
    UPDATE reyearn.catch_ups AS c
       SET waiting_after = (SELECT w.key FROM reyearn.waiting_rows AS w
                             WHERE w.tenant_id = tenant_id AND w.attachment_id = attachment_id AND NOT w.is_refused
                               AND w.key > coalesce(c.waiting_after, '{}')
                             ORDER BY w.tenant_id, w.attachment_id, w.is_refused, w.key
                             LIMIT 1)
     WHERE c.tenant_id = tenant_id AND c.attachment_id = attachment_id AND c.is_swept AND skips_row;
END
$$;
COMMENT ON FUNCTION reyearn.fail_catch_up(int, bigint, text, boolean) IS 'keeps why an attachment could not catch up';
