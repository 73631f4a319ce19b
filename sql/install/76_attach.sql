-- Attaching tables, and detaching them.

-- A table that is attached again is looked at again.
CREATE FUNCTION reyearn.begin_catch_up_of(tenant_id int, attachment_id bigint, confirms boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO reyearn.catch_ups (tenant_id, attachment_id, confirms) VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, attachment_id) DO UPDATE
       SET confirms = excluded.confirms, position = NULL, rows_swept = 0, is_swept = false, failures = 0, retry_at = NULL;
END
$$;
COMMENT ON FUNCTION reyearn.begin_catch_up_of(int, bigint, boolean) IS 'has an attachment look at all rows of its table';

CREATE FUNCTION reyearn.begin_catch_up(attachment_id bigint, confirms boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.begin_catch_up(bigint, boolean) IS 'begin_catch_up_of the caller''s tenant, as the owner of the extension';

-- Triggers fire in the order of their names: the label is filled when others have made the row, and what came of it is seen
-- before others change it again. The first columns of their lists count, and tell what is attached; those of the primary key
-- are there for the key to be followed when it changes alone.
CREATE FUNCTION reyearn.create_attachment_triggers(relation regclass, attachment_id bigint, text_column name, label_column name,
                                                   probability_column name, version_column name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    listed CONSTANT name[] := array_remove(ARRAY[text_column, label_column, probability_column, version_column], NULL);
    columns CONSTANT text := (
        SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place, c.name)
          FROM (SELECT l.name, l.place FROM unnest(listed) WITH ORDINALITY AS l (name, place)
                UNION ALL
                SELECT a.attname, 100
                  FROM pg_index AS i
                  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = relation AND i.indisprimary AND a.attname <> ALL (listed)) AS c (name, place));
    arguments CONSTANT text := concat_ws(', ', quote_literal(attachment_id),
                                         CASE WHEN probability_column IS NOT NULL THEN quote_literal('probability') END,
                                         CASE WHEN version_column IS NOT NULL THEN quote_literal('version') END);
BEGIN
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %s ON %s FOR EACH ROW EXECUTE FUNCTION reyearn.label_row(%s)',
                   '~~reyearn_label_' || attachment_id, columns, relation, arguments);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OF %s ON %s FOR EACH ROW EXECUTE FUNCTION reyearn.learn_row(%s)',
                   '!!reyearn_learn_' || attachment_id, columns, relation, arguments);
END
$$;
COMMENT ON FUNCTION reyearn.create_attachment_triggers(regclass, bigint, name, name, name, name) IS
    'makes the triggers of an attachment';

CREATE FUNCTION reyearn_attach(relation regclass, text_column name, label_column name, model text DEFAULT NULL,
                               existing text DEFAULT 'confirm', probability_column name DEFAULT NULL,
                               version_column name DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    used record;
    id bigint;
BEGIN
    PERFORM reyearn.current_tenant();    -- its errors come first
    IF num_nulls(relation, text_column, label_column, existing) > 0 THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL',
                             CASE WHEN relation IS NULL THEN 'relation' WHEN text_column IS NULL THEN 'text_column'
                                  WHEN label_column IS NULL THEN 'label_column' ELSE 'existing' END);
    ELSIF existing NOT IN ('confirm', 'ignore') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid value for "existing": "%s"', existing),
            HINT = 'It is confirm, for labels that people gave, or ignore.';
    ELSIF EXISTS (SELECT FROM unnest(ARRAY[text_column, label_column, probability_column, version_column]) AS c
                   WHERE c IS NOT NULL GROUP BY c HAVING count(*) > 1) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'text, label, probability and version must be different columns';
    END IF;
    PERFORM reyearn.check_attached_relation(relation);
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    PERFORM reyearn.check_text_column(relation, text_column);
    SELECT * INTO used FROM reyearn.usable_model(model);
    PERFORM reyearn.check_label_column(relation, label_column,
                                       reyearn.model_labels(used.tenant_id, used.model_id, coalesce(model, used.name)));
    PERFORM reyearn.check_prediction_column(relation, probability_column, '{real,double precision}');
    PERFORM reyearn.check_prediction_column(relation, version_column, '{integer,bigint}');
    PERFORM reyearn.check_not_attached(relation, label_column);
    id := reyearn.put_attachment(relation, label_column, used.tenant_id, used.model_id);
    PERFORM reyearn.create_attachment_triggers(relation, id, text_column, label_column, probability_column, version_column);
    PERFORM reyearn.begin_catch_up(id, existing = 'confirm');
    PERFORM reyearn.catch_up_or_leave(id);
END
$$;
COMMENT ON FUNCTION reyearn_attach(regclass, name, name, text, text, name, name) IS
    'let a label column fill itself: rows get the label that the model predicts for their text, also those that are there, and people''s labels teach it. existing: confirm takes the labels that are there for people''s, ignore learns nothing from them; probability and version of a prediction go into columns of their own, if named';

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
           AND (reyearn.trigger_arguments(t.tgargs))[1] = c.attachment_id::text
         WHERE c.tenant_id = tenant AND c.relation = relation
           AND c.label_column = coalesce(label_column, c.label_column)
         ORDER BY c.attachment_id, t.tgname DESC
    LOOP
        is_any := true;
        EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, relation);
        UPDATE reyearn.attached_tables AS a
           SET is_attached = false, label_column = one.label_column, key_columns = coalesce(reyearn.key_columns(relation), a.key_columns)
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
