-- Observations and annotations.
--
-- What follows from an annotation is written by the owner of the extension, whoever annotates: nobody else may write
-- the history or the news. These triggers go by the rows that they are given, which have passed row security.
--
-- The rules hold for plain INSERT, UPDATE and DELETE on reyearn.annotations as for the functions, so they live in
-- triggers: those on annotations append each change to annotation_history; the one on annotation_history does what
-- follows from a change, whichever statement made it: news for the models, and the rejection of older siblings.
--
-- Plans are kept for the session, and the first may be made while the tables are empty, the next rows by the million
-- then coming in the same transaction. Hence enable_seqscan = off on what runs for every annotation; it also holds for
-- the checks of foreign keys that are planned inside.

CREATE FUNCTION reyearn.find_observation(body text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'reyearn_find_observation'
    LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION reyearn.find_observation(text) IS
    'number of the observation of this text that the caller''s tenant has, also if it was committed after the snapshot of the transaction';

CREATE VIEW reyearn.model_classes WITH (security_invoker, security_barrier) AS
SELECT m.tenant_id, m.model_id, m.task, c.class_id, c.label
  FROM reyearn.models AS m
  -- OFFSET 0: one lookup for each model, also before there are statistics.
  LEFT JOIN LATERAL (SELECT r.label FROM reyearn.classes AS r
                      WHERE r.tenant_id = m.tenant_id AND r.class_id = m.label_root_id
                     OFFSET 0) AS root ON true
  JOIN reyearn.classes AS c ON c.tenant_id = m.tenant_id AND (m.label_root_id IS NULL OR c.label <@ root.label);
COMMENT ON VIEW reyearn.model_classes IS 'classes that each model learns: those under its root';
COMMENT ON COLUMN reyearn.model_classes.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.model_classes.model_id IS 'the model';
COMMENT ON COLUMN reyearn.model_classes.task IS 'what the model predicts';
COMMENT ON COLUMN reyearn.model_classes.class_id IS 'a class it learns';
COMMENT ON COLUMN reyearn.model_classes.label IS 'label of the class';

-- What follows from an annotation is restored itself: triggers that fired would write the history twice and make every
-- model due.
CREATE FUNCTION reyearn.restoring() RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_restoring'
    LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.restoring() IS
    'whether a superuser restores a dump: the settings check_function_bodies and row_security are both off; triggers on annotations then do nothing';

CREATE FUNCTION reyearn.hold_off_training() RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_hold_off_training'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.hold_off_training() IS
    'no worker begins a training in this database until the session ends; does nothing for those who do not see all tenants';

CREATE FUNCTION reyearn.check_annotation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (NEW.tenant_id, NEW.annotation_id, NEW.observation_id)
       <> (OLD.tenant_id, OLD.annotation_id, OLD.observation_id) THEN
        RAISE feature_not_supported USING
            MESSAGE = 'cannot move an annotation to another text',
            HINT = 'Change class, span or status, or delete the annotation and make a new one.';
    END IF;
    IF NEW.status = 'predicted' AND OLD.status IN ('confirmed', 'rejected') THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('cannot replace status "%s" of annotation %s by a prediction',
                             OLD.status, OLD.annotation_id),
            HINT = 'Set the status to unknown first.';
    END IF;
    -- After a merge the annotation says what it said before.
    IF NEW.status <> OLD.status
       OR NOT EXISTS (SELECT FROM reyearn.merged_classes AS m
                       WHERE m.tenant_id = OLD.tenant_id AND m.class_id = OLD.class_id
                         AND m.into_class_id = NEW.class_id) THEN
        NEW.time_updated := clock_timestamp();
        NEW.annotated_by := reyearn.acting_role();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION reyearn.check_annotation() IS
    'refuses what an annotation cannot become, and records who changed it and when';

CREATE TRIGGER annotations_check BEFORE UPDATE ON reyearn.annotations
    FOR EACH ROW
    WHEN ((OLD.tenant_id, OLD.annotation_id, OLD.observation_id, OLD.class_id, OLD.span, OLD.status)
          IS DISTINCT FROM
          (NEW.tenant_id, NEW.annotation_id, NEW.observation_id, NEW.class_id, NEW.span, NEW.status))
    EXECUTE FUNCTION reyearn.check_annotation();
COMMENT ON TRIGGER annotations_check ON reyearn.annotations IS
    'refuses what an annotation cannot become, and records who changed it and when';

CREATE FUNCTION reyearn.record_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- An INSERT with ON CONFLICT fires these triggers also when there is nothing in it for them.
    IF EXISTS (SELECT FROM new_rows) AND NOT reyearn.restoring() THEN
        INSERT INTO reyearn.annotation_history
              (tenant_id, annotation_id, observation_id, class_id, span, to_status)
        SELECT n.tenant_id, n.annotation_id, n.observation_id, n.class_id, n.span, n.status
          FROM new_rows AS n;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.record_inserted() IS 'appends new annotations to the history';

CREATE FUNCTION reyearn.record_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_rows) THEN
        RETURN NULL;
    END IF;
    -- An annotation that changes its class or span ceases to say one thing and begins to say another: two rows.
    --
    -- FULL JOIN: both sides hold the same rows, and a full join is never planned as nested loops. An inner one would
    -- be, if the first statement of the session changed one row, and the plan is kept for those that change a million.
    INSERT INTO reyearn.annotation_history
          (tenant_id, annotation_id, observation_id, class_id, span, from_status, to_status)
    SELECT n.tenant_id, n.annotation_id, n.observation_id, change.class_id, change.span,
           change.from_status, change.to_status
      FROM old_rows AS o FULL JOIN new_rows AS n USING (tenant_id, annotation_id)
     CROSS JOIN LATERAL (SELECT (o.class_id, o.span) IS NOT DISTINCT FROM (n.class_id, n.span)) AS same (said)
     CROSS JOIN LATERAL (VALUES (o.class_id, o.span, o.status, CASE WHEN same.said THEN n.status END),
                                (n.class_id, n.span, CASE WHEN same.said THEN n.status END, n.status))
                     AS change (class_id, span, from_status, to_status)
     WHERE change.from_status IS DISTINCT FROM change.to_status
       AND NOT EXISTS (SELECT FROM reyearn.merged_classes AS m
                        WHERE m.tenant_id = o.tenant_id AND m.class_id = o.class_id AND m.into_class_id = n.class_id);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.record_updated() IS 'appends what changed of annotations to the history';

CREATE FUNCTION reyearn.record_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO reyearn.annotation_history
          (tenant_id, annotation_id, observation_id, class_id, span, from_status)
    SELECT o.tenant_id, o.annotation_id, o.observation_id, o.class_id, o.span, o.status
      FROM old_rows AS o;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.record_deleted() IS 'appends deleted annotations to the history';

CREATE TRIGGER annotations_inserted AFTER INSERT ON reyearn.annotations
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION reyearn.record_inserted();
COMMENT ON TRIGGER annotations_inserted ON reyearn.annotations IS 'appends new annotations to the history';

CREATE TRIGGER annotations_updated AFTER UPDATE ON reyearn.annotations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION reyearn.record_updated();
COMMENT ON TRIGGER annotations_updated ON reyearn.annotations IS 'appends what changed of annotations to the history';

CREATE TRIGGER annotations_deleted AFTER DELETE ON reyearn.annotations
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION reyearn.record_deleted();
COMMENT ON TRIGGER annotations_deleted ON reyearn.annotations IS 'appends deleted annotations to the history';

-- Of the confirmed classes of a text that one single-label model covers, the newest counts, with those above and below
-- it; these are the others.
CREATE FUNCTION reyearn.older_siblings(tenant_id int, observation_id bigint)
    RETURNS TABLE (annotation_id bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT confirmed.annotation_id
          FROM (SELECT a.annotation_id, covered.label,
                       first_value(covered.label) OVER (PARTITION BY covered.model_id
                                                        ORDER BY a.time_updated DESC, a.annotation_id DESC) AS newest
                  FROM reyearn.annotations AS a
                 CROSS JOIN LATERAL (SELECT mc.model_id, mc.label
                                       FROM reyearn.model_classes AS mc
                                      WHERE mc.tenant_id = $1 AND mc.class_id = a.class_id
                                        AND mc.task = 'classification'
                                     OFFSET 0) AS covered
                 WHERE a.tenant_id = $1 AND a.observation_id = $2 AND a.status = 'confirmed' AND a.span IS NULL
               ) AS confirmed
         WHERE NOT confirmed.label <@ confirmed.newest AND NOT confirmed.newest <@ confirmed.label;
    END;
COMMENT ON FUNCTION reyearn.older_siblings(int, bigint) IS
    'confirmed annotations of the text that a newer one contradicts, for some single-label model';

CREATE FUNCTION reyearn.follow_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    IF reyearn.restoring() OR NOT EXISTS (SELECT FROM new_rows) THEN
        RETURN NULL;
    END IF;

    -- Each LATERAL here can only run as a loop over what changed, with index lookups inside. Plain joins would be
    -- planned for the size of the session's first statement, and the plan of a bulk load would make each single
    -- annotation after it read whole tables.
    INSERT INTO reyearn.news (tenant_id, model_id, n)
    SELECT h.tenant_id, model.model_id, count(*)
      FROM new_rows AS h
     CROSS JOIN LATERAL (SELECT mc.model_id
                           FROM reyearn.model_classes AS mc
                          WHERE mc.tenant_id = h.tenant_id AND mc.class_id = h.class_id
                            AND (h.span IS NULL OR mc.task <> 'classification')
                         OFFSET 0) AS model
     WHERE h.from_status IN ('confirmed', 'rejected') OR h.to_status IN ('confirmed', 'rejected')
     GROUP BY h.tenant_id, model.model_id;
    IF NOT FOUND THEN
        RETURN NULL;    -- no model learns from this
    END IF;

    -- Two sessions that confirm siblings of one text take turns, or neither would see the other's. The functions have
    -- locked the text before; plain statements have not.
    PERFORM FROM (SELECT DISTINCT h.tenant_id, h.observation_id
                    FROM new_rows AS h
                   WHERE h.to_status = 'confirmed' AND h.span IS NULL
                   ORDER BY h.tenant_id, h.observation_id) AS confirmed
      CROSS JOIN LATERAL (SELECT FROM reyearn.observations AS o
                           WHERE o.tenant_id = confirmed.tenant_id AND o.observation_id = confirmed.observation_id
                             FOR NO KEY UPDATE) AS locked;
    -- Most texts have one confirmed class: this test is cheap, the one with the whole tree is not. ORDER BY: of the
    -- indexes that begin with the tenant only annotations_identity has this order, so it is the one that is taken, also
    -- before there are statistics.
    IF FOUND AND EXISTS (
           SELECT FROM new_rows AS h
            CROSS JOIN LATERAL (SELECT FROM reyearn.annotations AS a
                                 WHERE a.tenant_id = h.tenant_id AND a.observation_id = h.observation_id
                                   AND a.annotation_id <> h.annotation_id
                                   AND a.status = 'confirmed' AND a.span IS NULL
                                 ORDER BY a.class_id, a.span
                                 LIMIT 1) AS other
            WHERE h.to_status = 'confirmed' AND h.span IS NULL) THEN
        -- Arrays: looked up in the primary key, whatever their size.
        UPDATE reyearn.annotations AS a SET status = 'rejected'
         WHERE a.tenant_id = ANY (ARRAY(SELECT DISTINCT h.tenant_id FROM new_rows AS h))
           AND a.annotation_id = ANY (ARRAY(
                   SELECT older.annotation_id
                     FROM new_rows AS h
                    CROSS JOIN LATERAL reyearn.older_siblings(h.tenant_id, h.observation_id) AS older
                    WHERE h.to_status = 'confirmed' AND h.span IS NULL));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.follow_changes() IS
    'for each change of annotations: tells the models that learn from it, and rejects what a newly confirmed class contradicts';

CREATE TRIGGER annotation_history_follow AFTER INSERT ON reyearn.annotation_history
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION reyearn.follow_changes();
COMMENT ON TRIGGER annotation_history_follow ON reyearn.annotation_history IS
    'tells the models that learn from a change, and rejects what a newly confirmed class contradicts';

-- Data in.

CREATE FUNCTION reyearn_observe(body text, metadata jsonb DEFAULT '{}') RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    id bigint;
BEGIN
    IF body IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"body" must not be NULL';
    END IF;
    metadata := coalesce(metadata, '{}');
    IF jsonb_typeof(metadata) <> 'object' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = '"metadata" must be a JSON object',
            DETAIL = format('It is of type %s.', jsonb_typeof(metadata));
    END IF;

    LOOP
        id := reyearn.find_observation(body);
        EXIT WHEN id IS NOT NULL;
        IF current_setting('transaction_isolation') = 'read committed' THEN
            INSERT INTO reyearn.observations (tenant_id, body, metadata) VALUES (tenant, body, metadata)
            ON CONFLICT DO NOTHING
            RETURNING observation_id INTO id;
        ELSE
            -- ON CONFLICT would give up over a row that the snapshot does not see.
            BEGIN
                INSERT INTO reyearn.observations (tenant_id, body, metadata) VALUES (tenant, body, metadata)
                RETURNING observation_id INTO id;
            EXCEPTION WHEN unique_violation OR serialization_failure THEN
                IF reyearn.find_observation(body) IS NULL THEN
                    RAISE;
                END IF;    -- else another session has just committed it
            END;
        END IF;
        IF id IS NOT NULL THEN
            RETURN id;
        END IF;
    END LOOP;

    IF metadata <> '{}' THEN
        UPDATE reyearn.observations AS o SET metadata = o.metadata || metadata, time_updated = now()
         WHERE o.tenant_id = tenant AND o.observation_id = id AND o.metadata || metadata <> o.metadata;
        IF NOT FOUND AND NOT EXISTS (SELECT FROM reyearn.observations AS o
                                      WHERE o.tenant_id = tenant AND o.observation_id = id) THEN
            RAISE serialization_failure USING
                MESSAGE = 'could not merge metadata due to concurrent update',
                DETAIL = 'Another session has stored this text after the transaction began.',
                HINT = 'Retry the transaction.';
        END IF;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn_observe(text, jsonb) IS
    'store a text and return its number; a text that is stored already keeps its number and gains the metadata';

CREATE FUNCTION reyearn.check_status(status text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF status IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"status" must not be NULL';
    ELSIF status NOT IN ('unknown', 'predicted', 'confirmed', 'rejected') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid status "%s"', status),
            HINT = 'A status is unknown, predicted, confirmed or rejected.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_status(text) IS 'raises an error unless the text is a status of annotations';

CREATE FUNCTION reyearn.check_span(span int4range, length int) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF isempty(span) OR lower_inf(span) OR upper_inf(span) OR lower(span) < 0 OR upper(span) > length THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('invalid span %s', span),
            DETAIL = CASE WHEN isempty(span) THEN 'The span is empty.'
                          WHEN lower_inf(span) OR upper_inf(span) THEN 'The span is not bounded on both sides.'
                          ELSE format('The text has %s characters, numbered from 0.', length) END,
            HINT = 'A span is a range of characters, such as int4range(0, 5) for the first five.';
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.check_span(int4range, int) IS
    'raises an error unless the span lies within a text of this length';

CREATE FUNCTION reyearn.unknown_observation(observation_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- reyearn_observe() finds texts that are newer than the snapshot; neither foreign keys nor queries see them.
    IF current_setting('transaction_isolation') <> 'read committed'
       AND NOT EXISTS (SELECT FROM reyearn.observations AS o
                        WHERE o.tenant_id = reyearn.current_tenant() AND o.observation_id > observation_id) THEN
        RAISE serialization_failure USING
            MESSAGE = format('could not annotate observation %s due to concurrent update', observation_id),
            DETAIL = 'It was stored after the transaction began, if it exists.',
            HINT = 'Retry the transaction.';
    END IF;
    RAISE undefined_object USING MESSAGE = format('observation %s does not exist', observation_id);
END
$$;
COMMENT ON FUNCTION reyearn.unknown_observation(bigint) IS
    'raises the error for the number of a text that is not there, or not visible to the transaction';

-- What all ways to annotate come down to. Whoever says something of a text locks it first and its annotations after, as
-- set_status() and follow_changes() do: people who judge the same texts at the same time take turns, and do not deadlock.
CREATE FUNCTION reyearn.put_annotation(observation_id bigint, class_id bigint, span int4range, status text)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    length int;
    id bigint;
BEGIN
    PERFORM reyearn.check_status(status);
    SELECT CASE WHEN span IS NOT NULL THEN char_length(o.body) END INTO length
      FROM reyearn.observations AS o
     WHERE o.tenant_id = tenant AND o.observation_id = observation_id
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM reyearn.unknown_observation(observation_id);
    ELSIF span IS NOT NULL THEN
        PERFORM reyearn.check_span(span, length);
    END IF;

    INSERT INTO reyearn.annotations AS a (tenant_id, observation_id, class_id, span, status)
    VALUES (tenant, observation_id, class_id, span, status)
    ON CONFLICT ON CONSTRAINT annotations_identity DO UPDATE SET status = excluded.status
     WHERE a.status <> excluded.status
       AND NOT (excluded.status = 'predicted' AND a.status IN ('confirmed', 'rejected'))
    RETURNING a.annotation_id INTO id;
    IF id IS NULL THEN    -- nothing to change
        SELECT a.annotation_id INTO id
          FROM reyearn.annotations AS a
         WHERE a.tenant_id = tenant AND a.observation_id = observation_id AND a.class_id = class_id
           AND a.span IS NOT DISTINCT FROM span;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn.put_annotation(bigint, bigint, int4range, text) IS
    'annotates a text with a class that is locked: inserts, or changes the status unless a prediction would replace a judgement';

CREATE FUNCTION reyearn_annotate(observation_id bigint, label ltree, status text DEFAULT 'confirmed',
                                 span int4range DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF observation_id IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"observation_id" must not be NULL';
    END IF;
    RETURN reyearn.put_annotation(observation_id, reyearn.lock_class(label), span, status);
END
$$;
COMMENT ON FUNCTION reyearn_annotate(bigint, ltree, text, int4range) IS
    'say of a text, or of a span of it, that it is of a class; returns the number of the annotation';

CREATE FUNCTION reyearn_annotate(observation_id bigint, label text, status text DEFAULT 'confirmed',
                                 span int4range DEFAULT NULL) RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_annotate(observation_id, reyearn.parse_label(label), status, span);
    END;
COMMENT ON FUNCTION reyearn_annotate(bigint, text, text, int4range) IS
    'say of a text, or of a span of it, that it is of a class; returns the number of the annotation';

CREATE FUNCTION reyearn_annotate_text(body text, label ltree, status text DEFAULT 'confirmed') RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_annotate(@extschema@.reyearn_observe(body), label, status);
    END;
COMMENT ON FUNCTION reyearn_annotate_text(text, ltree, text) IS
    'store a text and say that it is of a class; returns the number of the annotation';

CREATE FUNCTION reyearn_annotate_text(body text, label text, status text DEFAULT 'confirmed') RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_annotate_text(body, reyearn.parse_label(label), status);
    END;
COMMENT ON FUNCTION reyearn_annotate_text(text, text, text) IS
    'store a text and say that it is of a class; returns the number of the annotation';

-- Judging predictions.

CREATE FUNCTION reyearn.set_status(annotation_ids bigint[], status text) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    missing text;
    changed int;
BEGIN
    IF annotation_ids IS NULL OR array_position(annotation_ids, NULL) IS NOT NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"annotation_ids" must not be NULL';
    END IF;
    PERFORM FROM reyearn.observations AS o
      WHERE o.tenant_id = tenant
        AND o.observation_id IN (SELECT a.observation_id FROM reyearn.annotations AS a
                                  WHERE a.tenant_id = tenant AND a.annotation_id = ANY (annotation_ids))
      ORDER BY o.observation_id
        FOR NO KEY UPDATE;
    SELECT string_agg(id::text, ', ' ORDER BY id) INTO missing
      FROM (SELECT DISTINCT wanted FROM unnest(annotation_ids) AS wanted
             WHERE NOT EXISTS (SELECT FROM reyearn.annotations AS a
                                WHERE a.tenant_id = tenant AND a.annotation_id = wanted)
             ORDER BY wanted
             LIMIT 20) AS unknown (id);
    IF missing IS NOT NULL THEN
        RAISE undefined_object USING
            MESSAGE = format(CASE WHEN strpos(missing, ',') = 0 THEN 'annotation %s does not exist'
                                  ELSE 'annotations %s do not exist' END, missing),
            DETAIL = 'Nothing was changed.';
    END IF;
    UPDATE reyearn.annotations AS a SET status = status
     WHERE a.tenant_id = tenant AND a.annotation_id = ANY (annotation_ids) AND a.status <> status;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION reyearn.set_status(bigint[], text) IS
    'sets the status of annotations, all of which must exist; returns the number changed';

CREATE FUNCTION reyearn_confirm(annotation_ids bigint[]) RETURNS int
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT reyearn.set_status(annotation_ids, 'confirmed');
    END;
COMMENT ON FUNCTION reyearn_confirm(bigint[]) IS
    'say that these annotations are right; returns the number changed';

CREATE FUNCTION reyearn_confirm(annotation_id bigint) RETURNS int
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT reyearn.set_status(ARRAY[annotation_id], 'confirmed');
    END;
COMMENT ON FUNCTION reyearn_confirm(bigint) IS
    'say that this annotation is right; returns the number changed';

CREATE FUNCTION reyearn_reject(annotation_ids bigint[]) RETURNS int
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT reyearn.set_status(annotation_ids, 'rejected');
    END;
COMMENT ON FUNCTION reyearn_reject(bigint[]) IS
    'say that these annotations are wrong; returns the number changed';

CREATE FUNCTION reyearn_reject(annotation_id bigint) RETURNS int
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT reyearn.set_status(ARRAY[annotation_id], 'rejected');
    END;
COMMENT ON FUNCTION reyearn_reject(bigint) IS
    'say that this annotation is wrong; returns the number changed';

CREATE FUNCTION reyearn_correct(annotation_id bigint, label ltree) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
    class CONSTANT bigint := reyearn.lock_class(label);
    wrong reyearn.annotations;
BEGIN
    IF annotation_id IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"annotation_id" must not be NULL';
    END IF;
    SELECT a.* INTO wrong
      FROM reyearn.annotations AS a
     WHERE a.tenant_id = tenant AND a.annotation_id = annotation_id;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('annotation %s does not exist', annotation_id);
    END IF;
    PERFORM FROM reyearn.observations AS o
      WHERE o.tenant_id = tenant AND o.observation_id = wrong.observation_id
        FOR NO KEY UPDATE;
    IF class <> wrong.class_id THEN
        PERFORM reyearn.set_status(ARRAY[annotation_id], 'rejected');
    END IF;
    RETURN reyearn.put_annotation(wrong.observation_id, class, wrong.span, 'confirmed');
END
$$;
COMMENT ON FUNCTION reyearn_correct(bigint, ltree) IS
    'reject an annotation and confirm the right class in its place; returns the number of the right one';

CREATE FUNCTION reyearn_correct(annotation_id bigint, label text) RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_correct(annotation_id, reyearn.parse_label(label));
    END;
COMMENT ON FUNCTION reyearn_correct(bigint, text) IS
    'reject an annotation and confirm the right class in its place; returns the number of the right one';

CREATE FUNCTION reyearn.delete_observation_of(tenant_id int, observation_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The history last but one: deleting the annotations appends to it.
    DELETE FROM reyearn.annotations AS a WHERE a.tenant_id = $1 AND a.observation_id = $2;
    DELETE FROM reyearn.annotation_history AS h WHERE h.tenant_id = $1 AND h.observation_id = $2;
    DELETE FROM reyearn.observations AS o WHERE o.tenant_id = $1 AND o.observation_id = $2;
END
$$;
COMMENT ON FUNCTION reyearn.delete_observation_of(int, bigint) IS 'deletes a text of a tenant, its annotations and their history';

CREATE FUNCTION reyearn.delete_observation(observation_id bigint) RETURNS void
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.delete_observation(bigint) IS 'delete_observation_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_forget(observation_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT int := reyearn.current_tenant();
BEGIN
    IF observation_id IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = '"observation_id" must not be NULL';
    END IF;
    PERFORM FROM reyearn.observations AS o
      WHERE o.tenant_id = tenant AND o.observation_id = observation_id
        FOR UPDATE;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('observation %s does not exist', observation_id);
    END IF;
    PERFORM reyearn.delete_observation(observation_id);
END
$$;
COMMENT ON FUNCTION reyearn_forget(bigint) IS
    'delete a text, its annotations and their history; models that learned from it are due';

CREATE FUNCTION reyearn.observe(body text, metadata jsonb) RETURNS bigint
    LANGUAGE sql
    BEGIN ATOMIC
        SELECT @extschema@.reyearn_observe(body, metadata);
    END;
COMMENT ON FUNCTION reyearn.observe(text, jsonb) IS
    'reyearn_observe, bound at installation: nobody can put another function in its place';

-- Bulk loading. COPY into a table under row security is refused by PostgreSQL; into a view it is not.

CREATE VIEW reyearn.inbox WITH (security_invoker, security_barrier) AS
SELECT o.body, c.label::text AS label, o.metadata, a.status, a.span
  FROM reyearn.annotations AS a
  JOIN reyearn.observations AS o ON o.tenant_id = a.tenant_id AND o.observation_id = a.observation_id
  JOIN reyearn.classes AS c ON c.tenant_id = a.tenant_id AND c.class_id = a.class_id
 WHERE a.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.inbox IS 'target of INSERT and COPY for annotated texts; shows the annotations';
COMMENT ON COLUMN reyearn.inbox.body IS 'the text';
COMMENT ON COLUMN reyearn.inbox.label IS 'its class, which must exist; NULL: only store the text';
COMMENT ON COLUMN reyearn.inbox.metadata IS 'what to keep with the text, a JSON object; NULL: nothing';
COMMENT ON COLUMN reyearn.inbox.status IS 'status of the annotation; NULL: confirmed';
COMMENT ON COLUMN reyearn.inbox.span IS 'characters the annotation is about; NULL: the whole text';

CREATE FUNCTION reyearn.insert_into_inbox() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    observation CONSTANT bigint := reyearn.observe(NEW.body, NEW.metadata);
BEGIN
    IF NEW.label IS NOT NULL THEN
        PERFORM reyearn.put_annotation(observation, reyearn.lock_class(reyearn.parse_label(NEW.label)), NEW.span,
                                       coalesce(NEW.status, 'confirmed'));
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION reyearn.insert_into_inbox() IS 'stores and annotates what is inserted into the inbox';

CREATE FUNCTION reyearn.refuse_inbox_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE feature_not_supported USING
        MESSAGE = format('cannot %s rows of view "inbox"', lower(TG_OP)),
        HINT = CASE TG_OP WHEN 'UPDATE' THEN 'Call reyearn_annotate(), reyearn_correct() or reyearn_reject().'
                          ELSE 'Call reyearn_reject() or reyearn_forget().' END;
END
$$;
COMMENT ON FUNCTION reyearn.refuse_inbox_change() IS 'refuses UPDATE and DELETE on the inbox';

CREATE TRIGGER inbox_insert INSTEAD OF INSERT ON reyearn.inbox
    FOR EACH ROW EXECUTE FUNCTION reyearn.insert_into_inbox();
COMMENT ON TRIGGER inbox_insert ON reyearn.inbox IS 'stores and annotates what is inserted';

CREATE TRIGGER inbox_change INSTEAD OF UPDATE OR DELETE ON reyearn.inbox
    FOR EACH ROW EXECUTE FUNCTION reyearn.refuse_inbox_change();
COMMENT ON TRIGGER inbox_change ON reyearn.inbox IS 'refuses UPDATE and DELETE';
