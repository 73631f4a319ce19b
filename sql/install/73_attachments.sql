-- Application tables: reyearn_attach() lets a label column fill itself, and people's edits teach the model. What happens
-- for each row is in src/pg/sql_row_triggers.cpp; docs/internals/attachments.md tells how both triggers work together.

-- No foreign keys to models and tables: both may be dropped, and what people taught stays.
CREATE TABLE reyearn.attached_tables (
    tenant_id        int          NOT NULL DEFAULT reyearn.current_tenant() REFERENCES reyearn.tenants ON DELETE CASCADE,
    attachment_id    bigint       GENERATED ALWAYS AS IDENTITY,
    relation         regclass     NOT NULL,
    label_column     name         NOT NULL,
    key_columns      name[]       NOT NULL,
    model_tenant_id  int          NOT NULL,
    model_id         bigint       NOT NULL,
    owner            regrole      NOT NULL,
    times_attached   int          NOT NULL DEFAULT 1,
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
COMMENT ON COLUMN reyearn.attached_tables.key_columns IS 'names of the columns of its primary key then: with another key rows are others';
COMMENT ON COLUMN reyearn.attached_tables.model_tenant_id IS 'tenant that owns the model; another one when the model is shared';
COMMENT ON COLUMN reyearn.attached_tables.model_id IS 'model that predicts the labels';
COMMENT ON COLUMN reyearn.attached_tables.owner IS 'role that attached it: its triggers act with the rights of this role';
COMMENT ON COLUMN reyearn.attached_tables.times_attached IS 'how often it was attached: once, or again after reyearn_detach()';
COMMENT ON COLUMN reyearn.attached_tables.is_attached IS 'false once it was detached';
COMMENT ON COLUMN reyearn.attached_tables.last_error IS 'why rows could not be labelled or learned from, the last time';
COMMENT ON COLUMN reyearn.attached_tables.last_error_time IS 'when that was';
COMMENT ON COLUMN reyearn.attached_tables.time_created IS 'when it was first attached';

-- Rows of attached tables are known by their primary keys. The next three tables are written by C code, by index and without
-- waiting: no foreign keys, no triggers, no other indexes, and the columns of their primary keys come first.

-- Written by whoever has the row locked, and nobody else. Stays when the table is detached or its model replaced: a label
-- that we wrote is never taken for a person's.
CREATE TABLE reyearn.attached_rows (
    tenant_id      int      NOT NULL DEFAULT reyearn.current_tenant(),
    attachment_id  bigint   NOT NULL,
    key            text[]   COLLATE "C" NOT NULL,
    label          text     NOT NULL,
    class_id       bigint   NOT NULL,
    version_id     bigint   NOT NULL,
    probability    real     NOT NULL CHECK (probability BETWEEN 0 AND 1),
    text_hash      bigint   NOT NULL,
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
COMMENT ON COLUMN reyearn.attached_rows.text_hash IS '64 bits of a hash of the text that it was predicted for';

CREATE TABLE reyearn.learned_rows (
    tenant_id       int     NOT NULL DEFAULT reyearn.current_tenant(),
    attachment_id   bigint  NOT NULL,
    key             text[]  COLLATE "C" NOT NULL,
    text_hash       bigint  NOT NULL,
    times_attached  int     NOT NULL,
    PRIMARY KEY (tenant_id, attachment_id, key, text_hash, times_attached)
);
ALTER TABLE reyearn.learned_rows ALTER COLUMN key SET STORAGE PLAIN;
COMMENT ON TABLE  reyearn.learned_rows IS 'rows of attached tables of which was learned what people said';
COMMENT ON COLUMN reyearn.learned_rows.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.learned_rows.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.learned_rows.key IS 'primary key of the row, each of its columns as text';
COMMENT ON COLUMN reyearn.learned_rows.text_hash IS '64 bits of a hash of the text that they said it of';
COMMENT ON COLUMN reyearn.learned_rows.times_attached IS 'how often the table had been attached then';

CREATE TABLE reyearn.waiting_rows (
    tenant_id      int      NOT NULL DEFAULT reyearn.current_tenant(),
    attachment_id  bigint   NOT NULL,
    is_refused     boolean  NOT NULL DEFAULT false,
    key            text[]   COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, attachment_id, is_refused, key)
);
ALTER TABLE reyearn.waiting_rows ALTER COLUMN key SET STORAGE PLAIN;
COMMENT ON TABLE  reyearn.waiting_rows IS 'rows of attached tables that are to be labelled in the background';
COMMENT ON COLUMN reyearn.waiting_rows.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.waiting_rows.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.waiting_rows.is_refused IS 'whether the table has refused the label: it is not tried again by itself';
COMMENT ON COLUMN reyearn.waiting_rows.key IS 'primary key of the row, each of its columns as text';

CREATE TABLE reyearn.catch_ups (
    tenant_id      int          NOT NULL DEFAULT reyearn.current_tenant(),
    attachment_id  bigint       NOT NULL,
    confirms       boolean      NOT NULL,
    position       text[]       COLLATE "C",
    rows_swept     bigint       NOT NULL DEFAULT 0,
    is_swept       boolean      NOT NULL DEFAULT false,
    waiting_after  text[]       COLLATE "C",
    failures       int          NOT NULL DEFAULT 0 CHECK (failures >= 0),
    retry_at       timestamptz,
    time_worked    timestamptz,
    PRIMARY KEY (tenant_id, attachment_id)
);
COMMENT ON TABLE  reyearn.catch_ups IS 'how far attachments have caught up with their tables';
COMMENT ON COLUMN reyearn.catch_ups.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.catch_ups.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.catch_ups.confirms IS 'whether labels that were there when it was attached are taken for people''s';
COMMENT ON COLUMN reyearn.catch_ups.position IS 'primary key of the last row that was looked at: rows are taken in its order; NULL: none was';
COMMENT ON COLUMN reyearn.catch_ups.rows_swept IS 'number of rows that were looked at';
COMMENT ON COLUMN reyearn.catch_ups.is_swept IS 'whether all were';
COMMENT ON COLUMN reyearn.catch_ups.waiting_after IS 'primary key of the last row that was labelled because it waited; NULL: the next is the first';
COMMENT ON COLUMN reyearn.catch_ups.failures IS 'how often it failed since it last succeeded';
COMMENT ON COLUMN reyearn.catch_ups.retry_at IS 'when it is tried again; NULL: now';
COMMENT ON COLUMN reyearn.catch_ups.time_worked IS 'when it was last worked on: attachments take turns';

-- In the background a table is read and written as its owner: whoever has that done could do it himself.
CREATE FUNCTION reyearn.check_table_owner(relation regclass, role regrole) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT coalesce(pg_has_role(role, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = relation), 'USAGE'), false) THEN
        RAISE insufficient_privilege USING
            MESSAGE = CASE WHEN role = quote_ident(current_user)::regrole THEN format('must be owner of table %s', relation)
                           ELSE format('role %s, which attached table %s, does not own it', role, relation) END;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_table_owner(regclass, regrole) IS 'raises an error unless the role has the rights of the owner of the table';

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
        IF NEW.is_attached THEN
            PERFORM reyearn.check_table_owner(NEW.relation, NEW.owner);
        END IF;
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

-- The arguments of a trigger: the number of its attachment, and what the columns are whose numbers follow those of text
-- and label in its list. A trigger that was made by hand beside that of reyearn_attach() counts once.
CREATE FUNCTION reyearn.trigger_arguments(arguments bytea) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT string_to_array(encode(arguments, 'escape'), '\000');
    END;
COMMENT ON FUNCTION reyearn.trigger_arguments(bytea) IS 'arguments of a trigger, from pg_trigger.tgargs';

CREATE VIEW reyearn.attached_columns WITH (security_invoker, security_barrier) AS
SELECT DISTINCT ON (a.tenant_id, a.attachment_id)
       a.tenant_id, a.attachment_id, a.relation, text.attname AS text_column, label.attname AS label_column,
       probability.attname AS probability_column, version.attname AS version_column,
       t.tgenabled IN ('O', 'A') AS is_enabled,
       EXISTS (SELECT FROM pg_index AS i
                WHERE i.indrelid = a.relation AND i.indisprimary AND i.indkey::int2[] <@ t.tgattr::int2[]) AS has_key
  FROM reyearn.attached_tables AS a
  JOIN pg_trigger AS t ON t.tgrelid = a.relation AND t.tgfoid = 'reyearn.label_row'::regproc
 CROSS JOIN LATERAL (SELECT reyearn.trigger_arguments(t.tgargs) AS given) AS arguments
  JOIN pg_attribute AS text ON text.attrelid = a.relation AND text.attnum = t.tgattr[0]
  JOIN pg_attribute AS label ON label.attrelid = a.relation AND label.attnum = t.tgattr[1]
  LEFT JOIN pg_attribute AS probability
    ON probability.attrelid = a.relation AND probability.attnum = t.tgattr[array_position(arguments.given, 'probability')]
  LEFT JOIN pg_attribute AS version
    ON version.attrelid = a.relation AND version.attnum = t.tgattr[array_position(arguments.given, 'version')]
 WHERE arguments.given[1] = a.attachment_id::text
 ORDER BY a.tenant_id, a.attachment_id, t.oid;
COMMENT ON VIEW reyearn.attached_columns IS 'columns of attached tables, as their triggers know them';
COMMENT ON COLUMN reyearn.attached_columns.tenant_id IS 'tenant that the attachment acts for';
COMMENT ON COLUMN reyearn.attached_columns.attachment_id IS 'the attachment';
COMMENT ON COLUMN reyearn.attached_columns.relation IS 'the table';
COMMENT ON COLUMN reyearn.attached_columns.text_column IS 'name of the text column';
COMMENT ON COLUMN reyearn.attached_columns.label_column IS 'name of the label column';
COMMENT ON COLUMN reyearn.attached_columns.probability_column IS 'name of the column for the probability; NULL: there is none';
COMMENT ON COLUMN reyearn.attached_columns.version_column IS 'name of the column for the version; NULL: there is none';
COMMENT ON COLUMN reyearn.attached_columns.is_enabled IS 'whether its trigger is not disabled';
COMMENT ON COLUMN reyearn.attached_columns.has_key IS 'whether the table has the primary key that it was attached with';

CREATE VIEW reyearn.attachments WITH (security_invoker, security_barrier) AS
SELECT a.relation, c.text_column, coalesce(c.label_column, a.label_column) AS label_column, c.probability_column,
       c.version_column,
       CASE WHEN a.model_tenant_id = a.tenant_id THEN m.name
            ELSE (SELECT t.name FROM reyearn.tenants AS t WHERE t.tenant_id = a.model_tenant_id) || '/' || m.name
        END AS model,
       a.owner, c.attachment_id IS NOT NULL AS is_attached,
       known.seen AS rows_seen, known.labelled AS rows_labelled, known.learned AS rows_learned,
       known.waiting AS rows_waiting, known.refused AS rows_refused,
       CASE WHEN p.is_swept THEN 1 WHEN size.rows > 0 THEN p.rows_swept / greatest(size.rows, p.rows_swept + 1) END::real AS progress,
       a.last_error, a.last_error_time
  FROM reyearn.attached_tables AS a
  LEFT JOIN reyearn.attached_columns AS c ON c.tenant_id = a.tenant_id AND c.attachment_id = a.attachment_id
  LEFT JOIN reyearn.models AS m ON m.tenant_id = a.model_tenant_id AND m.model_id = a.model_id
  LEFT JOIN reyearn.catch_ups AS p ON p.tenant_id = a.tenant_id AND p.attachment_id = a.attachment_id
 CROSS JOIN LATERAL (
       SELECT sum(greatest(part.reltuples, 0)) AS rows
         FROM pg_class AS part
        WHERE part.oid = a.relation OR part.oid IN (SELECT tree.relid FROM pg_partition_tree(a.relation) AS tree)) AS size
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE k.state = 'labelled') AS labelled,
              count(DISTINCT k.key) FILTER (WHERE k.state = 'learned') AS learned,
              count(*) FILTER (WHERE k.state = 'waiting') AS waiting, count(*) FILTER (WHERE k.state = 'refused') AS refused,
              count(DISTINCT k.key) AS seen
         FROM (SELECT r.key, 'labelled' AS state FROM reyearn.attached_rows AS r
                WHERE r.tenant_id = a.tenant_id AND r.attachment_id = a.attachment_id
               UNION ALL
               SELECT l.key, 'learned' FROM reyearn.learned_rows AS l
                WHERE l.tenant_id = a.tenant_id AND l.attachment_id = a.attachment_id
               UNION ALL
               SELECT w.key, CASE WHEN w.is_refused THEN 'refused' ELSE 'waiting' END FROM reyearn.waiting_rows AS w
                WHERE w.tenant_id = a.tenant_id AND w.attachment_id = a.attachment_id) AS k) AS known
 WHERE a.tenant_id = reyearn.current_tenant() AND EXISTS (SELECT FROM pg_class AS r WHERE r.oid = a.relation);
COMMENT ON VIEW reyearn.attachments IS 'tables whose labels are predicted, and how that goes';
COMMENT ON COLUMN reyearn.attachments.relation IS 'the table';
COMMENT ON COLUMN reyearn.attachments.text_column IS 'column that is read; NULL when it is detached';
COMMENT ON COLUMN reyearn.attachments.label_column IS 'column that is filled';
COMMENT ON COLUMN reyearn.attachments.probability_column IS 'column that gets the probability of the label; NULL: none';
COMMENT ON COLUMN reyearn.attachments.version_column IS 'column that gets the version of the model; NULL: none';
COMMENT ON COLUMN reyearn.attachments.model IS 'model that predicts; NULL when it was dropped or belongs to another tenant';
COMMENT ON COLUMN reyearn.attachments.owner IS 'role that attached it, with whose rights it acts';
COMMENT ON COLUMN reyearn.attachments.is_attached IS 'whether rows are labelled as they come';
COMMENT ON COLUMN reyearn.attachments.rows_seen IS 'number of rows that were labelled, learned from, or wait';
COMMENT ON COLUMN reyearn.attachments.rows_labelled IS 'number of rows that it has labelled and remembers';
COMMENT ON COLUMN reyearn.attachments.rows_learned IS 'number of rows of which it has learned what people said';
COMMENT ON COLUMN reyearn.attachments.rows_waiting IS 'number of rows that are to be labelled in the background';
COMMENT ON COLUMN reyearn.attachments.rows_refused IS 'number of rows whose label the table has refused: reyearn_relabel() tries again';
COMMENT ON COLUMN reyearn.attachments.progress IS 'part of the rows that were there when it was attached that have been looked at; 1: all, NULL: the table was never analyzed';
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
    ELSIF EXISTS (SELECT FROM pg_index AS i
                    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                    JOIN pg_type AS t ON t.oid = a.atttypid
                   WHERE i.indrelid = relation AND i.indisprimary AND t.typname LIKE 'reg%' AND t.typnamespace = 'pg_catalog'::regnamespace) THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach table %s', relation),
            DETAIL = 'Its primary key has names of objects, which are written in one way or another depending on search_path.',
            HINT = 'Use a column of type oid or text.';
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

-- Queries on attached tables are run under the search paths of others: nothing in them is looked up there.
CREATE FUNCTION reyearn.qualified_type(type oid, modifier int) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        -- Names that are words of SQL itself, such as bigint for int8, are no names of types.
        SELECT CASE WHEN n.nspname = 'pg_catalog'
                         AND regexp_replace(format_type(e.oid, modifier), '\(.*\)', '') = quote_ident(e.typname)
                    THEN 'pg_catalog.' ELSE '' END
               || format_type(type, modifier)
          FROM pg_type AS t
          JOIN pg_type AS e ON e.oid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END
          JOIN pg_namespace AS n ON n.oid = e.typnamespace
         WHERE t.oid = type;
    END;
COMMENT ON FUNCTION reyearn.qualified_type(oid, int) IS 'name of a type that means the same under any search path';

CREATE FUNCTION reyearn.refused_label(relation regclass, label_number int2, labels text[]) RETURNS text
    AS 'MODULE_PATHNAME', 'reyearn_refused_label'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.refused_label(regclass, int2, text[]) IS
    'the first of these labels that constraints on the label column alone refuse, and why; asked as the owner of the table';

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
    missing := reyearn.refused_label(relation, attribute.attnum, labels);
    IF missing IS NOT NULL THEN
        RAISE check_violation USING
            MESSAGE = format('label column "%s" cannot take all labels of the model', name),
            DETAIL = missing,
            HINT = 'Have the constraint allow all labels of the model, or drop it.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_label_column(regclass, name, text[]) IS 'raises an error unless the column can take these labels';

CREATE FUNCTION reyearn.check_prediction_column(relation regclass, name name, types regtype[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attribute pg_attribute;
BEGIN
    IF name IS NULL THEN
        RETURN;
    END IF;
    attribute := reyearn.attached_column(relation, name);
    IF attribute.atttypid <> ALL (types::oid[]) THEN
        RAISE datatype_mismatch USING
            MESSAGE = format('column "%s" must be of type %s', name, array_to_string(types, ' or ')),
            DETAIL = format('It is of type %s.', format_type(attribute.atttypid, attribute.atttypmod));
    ELSIF attribute.attnotnull THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('column "%s" must allow NULL', name),
            DETAIL = 'It has no value where a person has given the label.',
            HINT = format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL.', relation, name);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_prediction_column(regclass, name, regtype[]) IS
    'raises an error unless the column is NULL or can take what is told of a prediction';

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

CREATE FUNCTION reyearn.key_columns(relation regclass) RETURNS name[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT array_agg(a.attname ORDER BY k.place)
          FROM pg_index AS i
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
         WHERE i.indrelid = relation AND i.indisprimary AND k.place <= i.indnkeyatts;
    END;
COMMENT ON FUNCTION reyearn.key_columns(regclass) IS 'columns of the primary key of a table';

CREATE FUNCTION reyearn.put_attachment(relation regclass, label_column name, model_tenant_id int, model_id bigint)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    key_columns CONSTANT name[] := reyearn.key_columns(relation);
    id bigint;
BEGIN
    UPDATE reyearn.attached_tables AS a
       SET model_tenant_id = model_tenant_id, model_id = model_id, times_attached = a.times_attached + 1,
           is_attached = true, last_error = NULL, last_error_time = NULL
     WHERE a.tenant_id = tenant AND a.relation = relation AND a.label_column = label_column
       AND a.key_columns = key_columns
       AND NOT EXISTS (SELECT FROM reyearn.attached_columns AS c
                        WHERE c.tenant_id = tenant AND c.attachment_id = a.attachment_id)
    RETURNING a.attachment_id INTO id;
    IF NOT FOUND THEN
        INSERT INTO reyearn.attached_tables AS a (tenant_id, relation, label_column, key_columns, model_tenant_id, model_id)
        VALUES (tenant, relation, label_column, key_columns, model_tenant_id, model_id)
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
