-- Application tables: reyearn_attach() lets a label column fill itself, and people's edits teach the model. What happens
-- for each row is in src/pg/sql_attachments.cpp; docs/internals/attachments.md tells how both triggers work together.

-- No foreign keys to models and tables: both may be dropped, and what people taught stays.
CREATE TABLE reyearn.attached_tables (
    tenant_id        int          NOT NULL DEFAULT reyearn.current_tenant() REFERENCES reyearn.tenants ON DELETE CASCADE,
    attachment_id    bigint       GENERATED ALWAYS AS IDENTITY,
    relation         regclass     NOT NULL,
    label_column     name         NOT NULL,
    model_tenant_id  int          NOT NULL,
    model_id         bigint       NOT NULL,
    owner            regrole      NOT NULL,
    is_attached      boolean      NOT NULL DEFAULT true,
    last_error       text,
    last_error_time  timestamptz,
    time_created     timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, attachment_id)
);
COMMENT ON TABLE  reyearn.attached_tables IS 'label columns of applications'' tables that were attached to a model';
COMMENT ON COLUMN reyearn.attached_tables.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.attached_tables.attachment_id IS 'number of the attachment: the argument of its triggers';
COMMENT ON COLUMN reyearn.attached_tables.relation IS 'the table';
COMMENT ON COLUMN reyearn.attached_tables.label_column IS 'name of the label column when it was last attached or detached; its triggers know it now';
COMMENT ON COLUMN reyearn.attached_tables.model_tenant_id IS 'tenant that owns the model; another one when the model is shared';
COMMENT ON COLUMN reyearn.attached_tables.model_id IS 'model that predicts the labels';
COMMENT ON COLUMN reyearn.attached_tables.owner IS 'role that attached it: its triggers act with the rights of this role';
COMMENT ON COLUMN reyearn.attached_tables.is_attached IS 'false once it was detached';
COMMENT ON COLUMN reyearn.attached_tables.last_error IS 'why rows could not be labelled or learned from, the last time';
COMMENT ON COLUMN reyearn.attached_tables.last_error_time IS 'when that was';
COMMENT ON COLUMN reyearn.attached_tables.time_created IS 'when it was first attached';

-- Written by C code for each row that it labels: no foreign key, no triggers. Stays when the table is detached or its
-- model replaced: a label that we wrote is never taken for a person's.
CREATE TABLE reyearn.attached_rows (
    tenant_id      int     NOT NULL DEFAULT reyearn.current_tenant(),
    attachment_id  bigint  NOT NULL,
    key            text[]  COLLATE "C" NOT NULL,
    label          text    NOT NULL,
    class_id       bigint  NOT NULL,
    version_id     bigint  NOT NULL,
    probability    real    NOT NULL CHECK (probability BETWEEN 0 AND 1),
    PRIMARY KEY (tenant_id, attachment_id, key)
);
-- Uncompressed and with whole headers: comparing keys, most of what a row costs here, then copies none.
ALTER TABLE reyearn.attached_rows ALTER COLUMN key SET STORAGE PLAIN;
COMMENT ON TABLE  reyearn.attached_rows IS 'labels that were predicted for rows of attached tables, the last of each row';
COMMENT ON COLUMN reyearn.attached_rows.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.attached_rows.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.attached_rows.key IS 'primary key of the row, each of its columns as text';
COMMENT ON COLUMN reyearn.attached_rows.label IS 'label that was written into the row';
COMMENT ON COLUMN reyearn.attached_rows.class_id IS 'class that was predicted: it may have another label now';
COMMENT ON COLUMN reyearn.attached_rows.version_id IS 'version of the model that predicted it';
COMMENT ON COLUMN reyearn.attached_rows.probability IS 'its probability';

-- An attachment acts with the rights of its owner: nobody can lend it those of somebody else.
CREATE FUNCTION reyearn.own_attachment() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF reyearn.restoring() THEN
        -- What was dropped is dumped as its number, which may be another's where the dump is restored.
        IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = NEW.owner) THEN
            NEW.owner := 0;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = NEW.relation) THEN
            NEW.relation := 0;
        END IF;
    ELSIF TG_OP = 'INSERT'
          OR (NEW.owner, NEW.relation, NEW.model_tenant_id, NEW.model_id, NEW.is_attached)
             IS DISTINCT FROM (OLD.owner, OLD.relation, OLD.model_tenant_id, OLD.model_id, OLD.is_attached) THEN
        NEW.owner := quote_ident(current_user)::regrole;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION reyearn.own_attachment() IS 'lets whoever attaches a table own the attachment';

CREATE TRIGGER own_attachment BEFORE INSERT OR UPDATE ON reyearn.attached_tables
    FOR EACH ROW EXECUTE FUNCTION reyearn.own_attachment();
COMMENT ON TRIGGER own_attachment ON reyearn.attached_tables IS 'lets whoever attaches a table own the attachment';
ALTER TABLE reyearn.attached_tables ENABLE ALWAYS TRIGGER own_attachment;

CREATE FUNCTION reyearn.label_row() RETURNS trigger
    AS 'MODULE_PATHNAME', 'reyearn_label_row'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.label_row() IS 'fills the label of a row of an attached table: on INSERT when it has none, on UPDATE when the text changed and the label was predicted';

CREATE FUNCTION reyearn.learn_row() RETURNS trigger
    AS 'MODULE_PATHNAME', 'reyearn_learn_row'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.learn_row() IS 'remembers what label_row() wrote, and annotates what people did';

CREATE FUNCTION reyearn.usable_model(model text, OUT tenant_id int, OUT model_id bigint, OUT name text)
    AS 'MODULE_PATHNAME', 'reyearn_usable_model'
    LANGUAGE C STABLE;
COMMENT ON FUNCTION reyearn.usable_model(text) IS
    'the model of this name that the caller may predict with, its own or a shared one; for NULL, the default model or the only one';

CREATE FUNCTION reyearn.predicted_labels(model text) RETURNS text[]
    AS 'MODULE_PATHNAME', 'reyearn_predicted_labels'
    LANGUAGE C STABLE;
COMMENT ON FUNCTION reyearn.predicted_labels(text) IS 'labels that the live version of the model can give; NULL: it has none';

CREATE FUNCTION reyearn.note_attachment_error(tenant_id int, attachment_id bigint, message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The lock lasts as long as the application's transaction: nobody waits for it, and the same error is noted once.
    UPDATE reyearn.attached_tables AS t SET last_error = $3, last_error_time = now()
      FROM (SELECT FROM reyearn.attached_tables AS a
             WHERE a.tenant_id = $1 AND a.attachment_id = $2 AND a.last_error IS DISTINCT FROM $3
               FOR NO KEY UPDATE SKIP LOCKED) AS free
     WHERE t.tenant_id = $1 AND t.attachment_id = $2;
END
$$;
COMMENT ON FUNCTION reyearn.note_attachment_error(int, bigint, text) IS 'keeps why an attachment could not do its work';

-- Annotating, as those who may annotate.

CREATE FUNCTION reyearn.learn_label(body text, confirmed text, rejected text DEFAULT NULL, withdrawn text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    observation bigint;
    class bigint;
    said record;
BEGIN
    IF confirmed IS NOT NULL THEN
        class := reyearn.lock_class(reyearn.parse_label(confirmed));    -- first: an unknown class leaves nothing behind
    END IF;
    observation := reyearn.observe(body, '{}');
    IF class IS NOT NULL THEN
        PERFORM reyearn.put_annotation(observation, class, NULL, 'confirmed');
    END IF;
    FOR said IN SELECT rejected AS label, 'rejected' AS status WHERE rejected IS NOT NULL
                UNION ALL
                SELECT w, 'unknown' FROM unnest(withdrawn) AS w LOOP
        class := reyearn.find_class(reyearn.parse_label(said.label));
        IF class IS NOT NULL AND (said.status = 'rejected'
              OR EXISTS (SELECT FROM reyearn.annotations AS a
                          WHERE a.tenant_id = reyearn.current_tenant() AND a.observation_id = observation
                            AND a.class_id = class AND a.span IS NULL)) THEN
            PERFORM reyearn.put_annotation(observation, class, NULL, said.status);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION reyearn.learn_label(text, text, text, text[]) IS
    'stores a text and says which class it is of and which it is not; of withdrawn ones nothing is known any more';

-- What is attached.

CREATE VIEW reyearn.attached_columns WITH (security_invoker, security_barrier) AS
SELECT a.tenant_id, a.attachment_id, a.relation, t.tgattr[0] AS text_number, t.tgattr[1] AS label_number,
       text.attname AS text_column, label.attname AS label_column
  FROM reyearn.attached_tables AS a
  JOIN pg_trigger AS t
    ON t.tgrelid = a.relation AND t.tgfoid = 'reyearn.label_row'::regproc
   AND t.tgargs = convert_to(a.attachment_id::text, 'UTF8') || '\x00'
  JOIN pg_attribute AS text ON text.attrelid = a.relation AND text.attnum = t.tgattr[0]
  JOIN pg_attribute AS label ON label.attrelid = a.relation AND label.attnum = t.tgattr[1];
COMMENT ON VIEW reyearn.attached_columns IS 'columns of attached tables, as their triggers know them';
COMMENT ON COLUMN reyearn.attached_columns.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.attached_columns.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.attached_columns.relation IS 'the table';
COMMENT ON COLUMN reyearn.attached_columns.text_number IS 'number of the text column';
COMMENT ON COLUMN reyearn.attached_columns.label_number IS 'number of the label column';
COMMENT ON COLUMN reyearn.attached_columns.text_column IS 'name of the text column';
COMMENT ON COLUMN reyearn.attached_columns.label_column IS 'name of the label column';

CREATE VIEW reyearn.attachments WITH (security_invoker, security_barrier) AS
SELECT a.relation, c.text_column, coalesce(c.label_column, a.label_column) AS label_column,
       CASE WHEN a.model_tenant_id = a.tenant_id THEN m.name
            ELSE (SELECT t.name FROM reyearn.tenants AS t WHERE t.tenant_id = a.model_tenant_id) || '/' || m.name
        END AS model,
       a.owner, c.attachment_id IS NOT NULL AS is_attached,
       (SELECT count(*) FROM reyearn.attached_rows AS r
         WHERE r.tenant_id = a.tenant_id AND r.attachment_id = a.attachment_id) AS rows_labelled,
       a.last_error, a.last_error_time
  FROM reyearn.attached_tables AS a
  LEFT JOIN reyearn.attached_columns AS c ON c.tenant_id = a.tenant_id AND c.attachment_id = a.attachment_id
  LEFT JOIN reyearn.models AS m ON m.tenant_id = a.model_tenant_id AND m.model_id = a.model_id
 WHERE a.tenant_id = reyearn.current_tenant() AND EXISTS (SELECT FROM pg_class AS r WHERE r.oid = a.relation);
COMMENT ON VIEW reyearn.attachments IS 'tables whose labels are predicted, and how that goes';
COMMENT ON COLUMN reyearn.attachments.relation IS 'the table';
COMMENT ON COLUMN reyearn.attachments.text_column IS 'column that is read; NULL when it is detached';
COMMENT ON COLUMN reyearn.attachments.label_column IS 'column that is filled';
COMMENT ON COLUMN reyearn.attachments.model IS 'model that predicts; NULL when it was dropped or belongs to another tenant';
COMMENT ON COLUMN reyearn.attachments.owner IS 'role that attached it, with whose rights it acts';
COMMENT ON COLUMN reyearn.attachments.is_attached IS 'whether rows are labelled as they come';
COMMENT ON COLUMN reyearn.attachments.rows_labelled IS 'number of rows that it has labelled and remembers';
COMMENT ON COLUMN reyearn.attachments.last_error IS 'why rows could not be labelled or learned from, the last time';
COMMENT ON COLUMN reyearn.attachments.last_error_time IS 'when that was';

-- What attaching refuses.

CREATE FUNCTION reyearn.check_attached_relation(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    class pg_class;
BEGIN
    SELECT c.* INTO class FROM pg_class AS c WHERE c.oid = relation;
    IF NOT FOUND THEN
        RAISE undefined_table USING MESSAGE = format('relation %s does not exist', relation);
    ELSIF class.relkind NOT IN ('r', 'p') THEN
        RAISE wrong_object_type USING
            MESSAGE = format('"%s" is not a table', class.relname),
            HINT = CASE class.relkind WHEN 'v' THEN 'Attach the table that the view reads.' ELSE 'Only tables and partitioned tables can be attached.' END;
    ELSIF class.relpersistence = 't' THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach temporary table "%s"', class.relname);
    ELSIF class.relnamespace IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'reyearn'::regnamespace)
          OR class.relnamespace = to_regnamespace('information_schema') THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach table %s', relation),
            DETAIL = 'It belongs to PostgreSQL or to reyearn.';
    ELSIF NOT pg_has_role(current_user, class.relowner, 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', class.relname);
    ELSIF class.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = relation) THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach table %s', relation),
            DETAIL = 'Other tables inherit from it, which may have rows of the same key.',
            HINT = 'Attach these, or use partitions.';
    ELSIF EXISTS (SELECT FROM pg_index AS i
                    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                   WHERE i.indrelid = relation AND i.indisprimary AND a.attgenerated <> '') THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach table %s', relation),
            DETAIL = 'Its primary key has a generated column, which has no value yet when a row is labelled.';
    ELSIF NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = relation AND i.indisprimary AND i.indimmediate) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('table "%s" has no primary key', class.relname),
            DETAIL = 'What is written into a row is remembered by its primary key.',
            HINT = format('ALTER TABLE %s ADD PRIMARY KEY (...), one that is not DEFERRABLE.', relation);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_attached_relation(regclass) IS 'raises an error unless the caller may attach the table';

CREATE FUNCTION reyearn.attached_column(relation regclass, name name) RETURNS pg_attribute
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result pg_attribute;
BEGIN
    SELECT a.* INTO result FROM pg_attribute AS a
     WHERE a.attrelid = relation AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE undefined_column USING MESSAGE = format('column "%s" of table %s does not exist', name, relation);
    ELSIF result.attgenerated <> '' THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach generated column "%s"', name),
            DETAIL = 'It has no value yet when a row is labelled.';
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION reyearn.attached_column(regclass, name) IS 'a column that can be attached, or an error';

CREATE FUNCTION reyearn.check_text_column(relation regclass, name name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attribute CONSTANT pg_attribute := reyearn.attached_column(relation, name);
BEGIN
    IF attribute.atttypid NOT IN ('text'::regtype, 'varchar'::regtype) THEN
        RAISE datatype_mismatch USING
            MESSAGE = format('text column "%s" must be of type text or varchar', name),
            DETAIL = format('It is of type %s.', format_type(attribute.atttypid, attribute.atttypmod));
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_text_column(regclass, name) IS 'raises an error unless the column can be read from';

CREATE FUNCTION reyearn.check_label_column(relation regclass, name name, labels text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attribute CONSTANT pg_attribute := reyearn.attached_column(relation, name);
    ltree CONSTANT oid := (SELECT a.atttypid FROM pg_attribute AS a
                            WHERE a.attrelid = 'reyearn.classes'::regclass AND a.attname = 'label');
    is_enum CONSTANT boolean := EXISTS (SELECT FROM pg_type AS t WHERE t.oid = attribute.atttypid AND t.typtype = 'e');
    missing text;
BEGIN
    IF attribute.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, ltree) AND NOT is_enum THEN
        RAISE datatype_mismatch USING
            MESSAGE = format('label column "%s" must be of type ltree, text, varchar or an enum', name),
            DETAIL = format('It is of type %s.', format_type(attribute.atttypid, attribute.atttypmod));
    ELSIF attribute.attnotnull THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('label column "%s" must allow NULL', name),
            DETAIL = 'A row that cannot be labelled is stored without a label.',
            HINT = format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL.', relation, name);
    ELSIF EXISTS (SELECT FROM pg_partition_tree(relation) AS part
                    JOIN pg_partitioned_table AS p ON p.partrelid = part.relid
                    JOIN pg_attribute AS a ON a.attrelid = part.relid AND a.attname = name
                   WHERE a.attnum = ANY (p.partattrs))
          OR EXISTS (SELECT FROM pg_partition_ancestors(relation) AS above (relid)
                       JOIN pg_partitioned_table AS p ON p.partrelid = above.relid
                       JOIN pg_attribute AS a ON a.attrelid = above.relid AND a.attname = name
                      WHERE a.attnum = ANY (p.partattrs)) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot attach label column "%s": the table is partitioned by it', name),
            DETAIL = 'A row that is labelled would belong into another partition.';
    END IF;
    SELECT string_agg(label, ', ' ORDER BY label) INTO missing
      FROM (SELECT l FROM unnest(labels) AS l
             WHERE CASE WHEN is_enum THEN NOT EXISTS (SELECT FROM pg_enum AS e
                                                       WHERE e.enumtypid = attribute.atttypid AND e.enumlabel = l)
                        ELSE attribute.atttypmod > 0 AND length(l) > attribute.atttypmod - 4 END
             ORDER BY l LIMIT 20) AS unfit (label);
    IF missing IS NOT NULL THEN
        RAISE datatype_mismatch USING
            MESSAGE = format('label column "%s" cannot take all labels of the model', name),
            DETAIL = format('Its type %s has no place for: %s.', format_type(attribute.atttypid, attribute.atttypmod), missing),
            HINT = CASE WHEN is_enum THEN format('ALTER TYPE %s ADD VALUE ...; adds one.', attribute.atttypid::regtype)
                        ELSE 'Make the column longer.' END;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_label_column(regclass, name, text[]) IS 'raises an error unless the column can take these labels';

CREATE FUNCTION reyearn.check_not_attached(relation regclass, label_column name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other regclass;
BEGIN
    -- Whatever the tenant. Triggers are cloned to partitions: the table that they come from is the one without a parent.
    SELECT made.tgrelid INTO other
      FROM (SELECT relation UNION SELECT p.relid FROM pg_partition_tree(relation) AS p) AS part (relid)
      JOIN pg_trigger AS t ON t.tgrelid = part.relid AND t.tgfoid = 'reyearn.label_row'::regproc
      JOIN pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum = t.tgattr[1]
      JOIN (SELECT part.relid, above.relid AS table_id
              FROM (SELECT relation UNION SELECT p.relid FROM pg_partition_tree(relation) AS p) AS part (relid)
             CROSS JOIN LATERAL (SELECT part.relid UNION SELECT q.relid FROM pg_partition_ancestors(part.relid) AS q) AS above (relid))
           AS above ON above.relid = part.relid
      JOIN pg_trigger AS made ON made.tgrelid = above.table_id AND made.tgfoid = t.tgfoid AND made.tgargs = t.tgargs
                             AND made.tgparentid = 0
     WHERE a.attname = $2
     LIMIT 1;
    IF other IS NOT NULL THEN
        RAISE duplicate_object USING
            MESSAGE = format('label column "%s" of table %s is attached already', label_column, other),
            HINT = format('Detach it first: SELECT reyearn_detach(%L, %L);', other, label_column);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_not_attached(regclass, name) IS 'raises an error if the label column is attached';

-- The columns of the primary key for a query that reads the table as t: written out as C code does (attached_row.cpp), and
-- as conditions on the parameter $1, a text[].
CREATE FUNCTION reyearn.key_expressions(relation regclass, OUT count int, OUT key text, OUT condition text, OUT same text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT count(*)::int, format('ARRAY[%s]', string_agg(format('format(''%%s'', t.%I) COLLATE "C"', a.attname), ', ' ORDER BY k.place)),
               string_agg(format('t.%I OPERATOR(%I.%s) $1[%s]::%s', a.attname, n.nspname, o.oprname, k.place,
                                 format_type(a.atttypid, a.atttypmod)), ' AND ' ORDER BY k.place),
               string_agg(format('t.%1$I OPERATOR(%2$I.%3$s) p.%1$I', a.attname, n.nspname, o.oprname), ' AND ' ORDER BY k.place)
          FROM pg_index AS i
         CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, place)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          JOIN pg_opclass AS c ON c.oid = k.opclass
          JOIN pg_amop AS m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype
                           AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3
          JOIN pg_operator AS o ON o.oid = m.amopopr
          JOIN pg_namespace AS n ON n.oid = o.oprnamespace
         WHERE i.indrelid = relation AND i.indisprimary;
    END;
COMMENT ON FUNCTION reyearn.key_expressions(regclass) IS 'what a query on a table needs to read, compare and join its primary key';

-- Labels that are there already.

CREATE FUNCTION reyearn.confirm_existing(relation regclass, text_column name, label_column name, attachment_id bigint)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
DECLARE
    -- By people: not what we wrote when the table was attached before. $1: tenant, $2: attachment.
    labelled CONSTANT text := format(
        'WITH labelled AS ('
        '     SELECT DISTINCT format(''%%s'', t.%1$I) AS body, format(''%%s'', t.%2$I) AS label FROM %3$s AS t'
        '      WHERE t.%1$I IS NOT NULL AND t.%2$I IS NOT NULL'
        '        AND NOT EXISTS (SELECT FROM reyearn.attached_rows AS r'
        '                         WHERE r.tenant_id = $1 AND r.attachment_id = $2 AND r.key = %4$s AND r.label = format(''%%s'', t.%2$I))'
        '), known AS ('
        '     SELECT l.body, l.label, c.class_id FROM labelled AS l'
        '       LEFT JOIN reyearn.classes AS c ON c.tenant_id = $1 AND c.label::text = l.label)',
        text_column, label_column, relation, (SELECT k.key FROM reyearn.key_expressions(relation) AS k));
    tenant CONSTANT int := reyearn.current_tenant();
    unknown text;
    n bigint;
BEGIN
    EXECUTE labelled || ' SELECT string_agg(l.label, '', '' ORDER BY l.label) FILTER (WHERE l.place <= 20), sum(l.n)'
                        '   FROM (SELECT k.label, count(*) AS n, row_number() OVER (ORDER BY k.label) AS place FROM known AS k'
                        '          WHERE k.class_id IS NULL GROUP BY k.label) AS l'
        INTO unknown, n USING tenant, attachment_id;
    IF unknown IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = format('%s labelled texts of table %s were not learned: their classes do not exist', n, relation),
            DETAIL = format('The labels are: %s.', unknown),
            HINT = 'Create the classes with reyearn_create_class(), detach the table and attach it again.';
    END IF;
    EXECUTE labelled || ' INSERT INTO reyearn.observations (tenant_id, body)'
                        ' SELECT DISTINCT $1, k.body FROM known AS k WHERE k.class_id IS NOT NULL'
                        ' ON CONFLICT DO NOTHING'
        USING tenant, attachment_id;
    EXECUTE labelled || ' INSERT INTO reyearn.annotations AS a (tenant_id, observation_id, class_id, status)'
                        ' SELECT $1, o.observation_id, k.class_id, ''confirmed'' FROM known AS k'
                        '   JOIN reyearn.observations AS o ON o.tenant_id = $1 AND o.content_hash = reyearn.content_hash(k.body)'
                        '  WHERE k.class_id IS NOT NULL'
                        ' ON CONFLICT ON CONSTRAINT annotations_identity DO UPDATE SET status = excluded.status'
                        '  WHERE a.status <> excluded.status'
        USING tenant, attachment_id;
END
$$;
COMMENT ON FUNCTION reyearn.confirm_existing(regclass, name, name, bigint) IS
    'takes the labels that people have given to rows of a table as confirmed';

CREATE FUNCTION reyearn.label_existing(relation regclass, text_column name, label_column name, attachment_id bigint, model text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
DECLARE
    type CONSTANT text := (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
                            WHERE a.attrelid = relation AND a.attname = label_column);
    keys record;
BEGIN
    SELECT * INTO keys FROM reyearn.key_expressions(relation);
    EXECUTE format(
        'WITH labelled AS ('
        '     UPDATE %1$s AS t SET %2$I = p.reyearn_label::text::%3$s'
        '       FROM (SELECT t.*, r.label AS reyearn_label, r.class_id AS reyearn_class, r.version_id AS reyearn_version, r.probability AS reyearn_probability'
        '               FROM %1$s AS t, LATERAL reyearn.predict_row(t.%4$I::text, $3) AS r'
        '              WHERE t.%2$I IS NULL AND t.%4$I IS NOT NULL OFFSET 0) AS p'
        '      WHERE %5$s'
        '  RETURNING %6$s AS key, t.%2$I::text AS label, p.reyearn_class AS class_id, p.reyearn_version AS version_id, p.reyearn_probability AS probability)'
        ' INSERT INTO reyearn.attached_rows (tenant_id, attachment_id, key, label, class_id, version_id, probability)'
        ' SELECT $1, $2, l.key, l.label, l.class_id, l.version_id, l.probability FROM labelled AS l'
        ' ON CONFLICT (tenant_id, attachment_id, key) DO UPDATE'
        '    SET label = excluded.label, class_id = excluded.class_id, version_id = excluded.version_id, probability = excluded.probability',
        relation, label_column, type, text_column, keys.same, keys.key)
        USING reyearn.current_tenant(), attachment_id, model;
END
$$;
COMMENT ON FUNCTION reyearn.label_existing(regclass, name, name, bigint, text) IS
    'labels the rows of a table that have no label, and remembers what it wrote';

CREATE FUNCTION reyearn.put_attachment(relation regclass, label_column name, model_tenant_id int, model_id bigint)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id bigint;
BEGIN
    UPDATE reyearn.attached_tables AS a
       SET model_tenant_id = model_tenant_id, model_id = model_id, is_attached = true, last_error = NULL,
           last_error_time = NULL
     WHERE a.tenant_id = tenant AND a.relation = relation AND a.label_column = label_column
       AND NOT EXISTS (SELECT FROM reyearn.attached_columns AS c
                        WHERE c.tenant_id = tenant AND c.attachment_id = a.attachment_id)
    RETURNING a.attachment_id INTO id;
    IF NOT FOUND THEN
        INSERT INTO reyearn.attached_tables AS a (tenant_id, relation, label_column, model_tenant_id, model_id)
        VALUES (tenant, relation, label_column, model_tenant_id, model_id)
        RETURNING a.attachment_id INTO id;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn.put_attachment(regclass, name, int, bigint) IS
    'number of the attachment of a label column: of the one that was detached, or of a new one';

CREATE FUNCTION reyearn.model_labels(tenant_id int, model_id bigint, model text) RETURNS text[]
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT coalesce(reyearn.predicted_labels(model),
                        (SELECT array_agg(c.label::text ORDER BY c.label)
                           FROM reyearn.model_classes AS c
                          WHERE c.tenant_id = $1 AND c.model_id = $2
                            AND NOT EXISTS (SELECT FROM reyearn.model_classes AS below
                                             WHERE below.tenant_id = $1 AND below.model_id = $2
                                               AND below.label <@ c.label AND below.label <> c.label)));
    END;
COMMENT ON FUNCTION reyearn.model_labels(int, bigint, text) IS
    'labels that a model gives, or will once it is trained: those of its live version, or the classes without classes below';

CREATE FUNCTION reyearn_attach(relation regclass, text_column name, label_column name, model text DEFAULT NULL,
                               existing text DEFAULT 'confirm') RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    used record;
    id bigint;
    keys text;
BEGIN
    IF num_nulls(relation, text_column, label_column, existing) > 0 THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL',
                             CASE WHEN relation IS NULL THEN 'relation' WHEN text_column IS NULL THEN 'text_column'
                                  WHEN label_column IS NULL THEN 'label_column' ELSE 'existing' END);
    ELSIF existing NOT IN ('confirm', 'ignore') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid value for "existing": "%s"', existing),
            HINT = 'It is confirm, for labels that people gave, or ignore.';
    ELSIF text_column = label_column THEN
        RAISE invalid_parameter_value USING MESSAGE = 'text and label must be different columns';
    END IF;
    PERFORM reyearn.check_attached_relation(relation);
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    PERFORM reyearn.check_text_column(relation, text_column);
    SELECT * INTO used FROM reyearn.usable_model(model);
    PERFORM reyearn.check_label_column(relation, label_column,
                                       reyearn.model_labels(used.tenant_id, used.model_id, used.name));
    PERFORM reyearn.check_not_attached(relation, label_column);
    id := reyearn.put_attachment(relation, label_column, used.tenant_id, used.model_id);

    IF existing = 'confirm' THEN
        IF used.tenant_id = tenant THEN
            PERFORM reyearn.confirm_existing(relation, text_column, label_column, id);
        END IF;
        IF reyearn.predicted_labels(used.name) IS NOT NULL THEN
            PERFORM reyearn.label_existing(relation, text_column, label_column, id, used.name);
        END IF;
    END IF;

    -- Triggers fire in the order of their names: the label is filled when others have made the row, and what came of it
    -- is seen before others change it again. Changes of the key alone are followed too: the first two columns count.
    SELECT string_agg(format(', %I', a.attname), '') INTO keys
      FROM pg_index AS i
      JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = ANY (i.indkey)
     WHERE i.indrelid = relation AND i.indisprimary AND a.attname NOT IN (text_column, label_column);
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %I, %I%s ON %s FOR EACH ROW EXECUTE FUNCTION reyearn.label_row(%L)',
                   '~~reyearn_label_' || id, text_column, label_column, coalesce(keys, ''), relation, id);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OF %I, %I%s ON %s FOR EACH ROW EXECUTE FUNCTION reyearn.learn_row(%L)',
                   '!!reyearn_learn_' || id, text_column, label_column, coalesce(keys, ''), relation, id);
END
$$;
COMMENT ON FUNCTION reyearn_attach(regclass, name, name, text, text) IS
    'let a label column fill itself: rows get the label that the model predicts for their text, and people''s labels teach it. existing: confirm takes the labels that are there for people''s and labels the other rows, ignore leaves all as it is';

CREATE FUNCTION reyearn_detach(relation regclass, label_column name DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    one record;
    is_any boolean := false;
BEGIN
    IF relation IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"relation" must not be NULL';
    END IF;
    FOR one IN
        SELECT c.attachment_id, c.label_column, t.tgname
          FROM reyearn.attached_columns AS c
          JOIN pg_trigger AS t
            ON t.tgrelid = relation AND t.tgfoid IN ('reyearn.label_row'::regproc, 'reyearn.learn_row'::regproc)
           AND t.tgargs = convert_to(c.attachment_id::text, 'UTF8') || '\x00'
         WHERE c.tenant_id = tenant AND c.relation = relation
           AND c.label_column = coalesce(label_column, c.label_column)
         ORDER BY c.attachment_id, t.tgname DESC
    LOOP
        is_any := true;
        EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, relation);
        UPDATE reyearn.attached_tables AS a SET is_attached = false, label_column = one.label_column
         WHERE a.tenant_id = tenant AND a.attachment_id = one.attachment_id;
    END LOOP;
    IF NOT is_any THEN
        RAISE undefined_object USING
            MESSAGE = CASE WHEN label_column IS NULL THEN format('table %s is not attached', relation)
                           ELSE format('label column "%s" of table %s is not attached', label_column, relation) END,
            HINT = 'SELECT * FROM reyearn.attachments; lists what is attached.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_detach(regclass, name) IS
    'no longer fill a label column, or any of the table, nor learn from it; labels stay, and what was predicted is remembered';

CREATE FUNCTION reyearn_confirm_row(relation regclass, VARIADIC key text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex'
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
