-- What one looks at.

CREATE VIEW reyearn.class_overview WITH (security_invoker, security_barrier) AS
SELECT c.class_id, c.label, c.title, c.description,
       a.confirmed, a.rejected, a.predicted, a.unknown, a.last_annotated
  FROM reyearn.classes AS c
  -- A lookup for each class: its annotations lie together in an index.
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE x.status = 'confirmed') AS confirmed,
              count(*) FILTER (WHERE x.status = 'rejected')  AS rejected,
              count(*) FILTER (WHERE x.status = 'predicted') AS predicted,
              count(*) FILTER (WHERE x.status = 'unknown')   AS unknown,
              max(x.time_updated) AS last_annotated
         FROM reyearn.annotations AS x
        WHERE x.tenant_id = c.tenant_id AND x.class_id = c.class_id) AS a
 WHERE c.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.class_overview IS 'classes and how many annotations each has, those below it not counted';
COMMENT ON COLUMN reyearn.class_overview.class_id IS 'number of the class';
COMMENT ON COLUMN reyearn.class_overview.label IS 'place in the taxonomy';
COMMENT ON COLUMN reyearn.class_overview.title IS 'name to show to people, when it differs from the label';
COMMENT ON COLUMN reyearn.class_overview.description IS 'what belongs into the class';
COMMENT ON COLUMN reyearn.class_overview.confirmed IS 'number of positive examples';
COMMENT ON COLUMN reyearn.class_overview.rejected IS 'number of negative examples';
COMMENT ON COLUMN reyearn.class_overview.predicted IS 'number of predictions that nobody has judged yet';
COMMENT ON COLUMN reyearn.class_overview.unknown IS 'number of annotations that were withdrawn';
COMMENT ON COLUMN reyearn.class_overview.last_annotated IS 'when one of them was last changed';

CREATE VIEW reyearn.annotation_overview WITH (security_invoker, security_barrier) AS
SELECT a.annotation_id, a.observation_id, c.label, a.status, a.annotated_by, a.time_updated, a.span,
       CASE WHEN a.span IS NULL THEN o.body
            ELSE substr(o.body, lower(a.span) + 1, upper(a.span) - lower(a.span)) END AS text,
       a.probability, m.name AS model, v.version
  FROM reyearn.annotations AS a
  JOIN reyearn.observations AS o ON o.tenant_id = a.tenant_id AND o.observation_id = a.observation_id
  JOIN reyearn.classes AS c ON c.tenant_id = a.tenant_id AND c.class_id = a.class_id
  LEFT JOIN reyearn.model_versions AS v
    ON v.tenant_id = a.predicted_by_tenant AND v.version_id = a.predicted_by_version
  LEFT JOIN reyearn.models AS m ON m.tenant_id = v.tenant_id AND m.model_id = v.model_id
 WHERE a.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.annotation_overview IS 'annotations with their labels and texts, and who or what made them';
COMMENT ON COLUMN reyearn.annotation_overview.annotation_id IS 'number of the annotation: what reyearn_confirm, reyearn_reject and reyearn_correct take';
COMMENT ON COLUMN reyearn.annotation_overview.observation_id IS 'number of the text';
COMMENT ON COLUMN reyearn.annotation_overview.label IS 'the class';
COMMENT ON COLUMN reyearn.annotation_overview.status IS 'confirmed, rejected, predicted or unknown';
COMMENT ON COLUMN reyearn.annotation_overview.annotated_by IS 'role that last set the status';
COMMENT ON COLUMN reyearn.annotation_overview.time_updated IS 'when it was last set';
COMMENT ON COLUMN reyearn.annotation_overview.span IS 'characters it is about; NULL for the whole text';
COMMENT ON COLUMN reyearn.annotation_overview.text IS 'those characters, or the whole text';
COMMENT ON COLUMN reyearn.annotation_overview.probability IS 'probability given by the version that predicted it';
COMMENT ON COLUMN reyearn.annotation_overview.model IS 'model that predicted it';
COMMENT ON COLUMN reyearn.annotation_overview.version IS 'version of the model that predicted it';

CREATE VIEW reyearn.model_overview WITH (security_invoker, security_barrier) AS
SELECT m.name, m.task, root.label AS label_root, m.algorithm, m.owner,
       live.version AS live_version, live.metric, live.score, live.examples, live.time_promoted,
       news.waiting, m.retrain_after > 0 AND news.waiting >= m.retrain_after AS is_due,
       run.outcome AS last_outcome, coalesce(run.time_finished, run.time_created) AS last_run, run.reason AS last_reason
  FROM reyearn.models AS m
  LEFT JOIN reyearn.classes AS root ON root.tenant_id = m.tenant_id AND root.class_id = m.label_root_id
  LEFT JOIN reyearn.model_versions AS live
    ON live.tenant_id = m.tenant_id AND live.model_id = m.model_id AND live.is_live
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(n.n), 0)::bigint AS waiting
         FROM reyearn.news AS n
        WHERE n.tenant_id = m.tenant_id AND n.model_id = m.model_id) AS news
  LEFT JOIN LATERAL (
       SELECT r.outcome, r.time_created, r.time_finished, r.reason
         FROM reyearn.runs AS r
        WHERE r.tenant_id = m.tenant_id AND r.model_id = m.model_id
        ORDER BY r.run_id DESC
        LIMIT 1) AS run ON true
 WHERE m.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.model_overview IS 'models, what is live, what waits to be learned and how the last training ended';
COMMENT ON COLUMN reyearn.model_overview.name IS 'name of the model';
COMMENT ON COLUMN reyearn.model_overview.task IS 'what it predicts';
COMMENT ON COLUMN reyearn.model_overview.label_root IS 'class under which it predicts; NULL: all classes';
COMMENT ON COLUMN reyearn.model_overview.algorithm IS 'how it learns';
COMMENT ON COLUMN reyearn.model_overview.owner IS 'role with whose rights it is trained in the background';
COMMENT ON COLUMN reyearn.model_overview.live_version IS 'version that answers predictions; NULL: none yet';
COMMENT ON COLUMN reyearn.model_overview.metric IS 'metric of its score';
COMMENT ON COLUMN reyearn.model_overview.score IS 'its score on texts it had not learned from';
COMMENT ON COLUMN reyearn.model_overview.examples IS 'number of texts it learned from';
COMMENT ON COLUMN reyearn.model_overview.time_promoted IS 'when it went live';
COMMENT ON COLUMN reyearn.model_overview.waiting IS 'number of changed annotations that it has not been trained on';
COMMENT ON COLUMN reyearn.model_overview.is_due IS 'whether that is enough for a new training';
COMMENT ON COLUMN reyearn.model_overview.last_outcome IS 'outcome of the last run';
COMMENT ON COLUMN reyearn.model_overview.last_run IS 'when that run ended';
COMMENT ON COLUMN reyearn.model_overview.last_reason IS 'why that outcome';

CREATE FUNCTION reyearn_status() RETURNS TABLE (name text, value text, state text, advice text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH library AS (
            SELECT max(info.value) FILTER (WHERE info.name = 'library_version') AS version,
                   max(info.value) FILTER (WHERE info.name = 'postgresql_version') AS postgresql,
                   max(info.value) FILTER (WHERE info.name = 'icu_version') AS icu,
                   max(info.value) FILTER (WHERE info.name = 'unicode_version') AS unicode,
                   max(info.value) FILTER (WHERE info.name = 'server_encoding') AS encoding
              FROM reyearn.library_info() AS info
        ), data AS (
            SELECT (SELECT count(*) FROM reyearn.classes AS c WHERE c.tenant_id = t.id) AS classes,
                   (SELECT count(*) FROM reyearn.observations AS o WHERE o.tenant_id = t.id) AS observations,
                   (SELECT count(*) FROM reyearn.annotations AS a WHERE a.tenant_id = t.id) AS annotations
              FROM (SELECT reyearn.find_current_tenant()) AS t (id)
        ), models AS (
            SELECT count(*) AS n,
                   string_agg(m.name, ', ' ORDER BY m.name) FILTER (WHERE v.version_id IS NULL) AS without_live,
                   string_agg(m.name, ', ' ORDER BY m.name) FILTER (WHERE v.icu_version <> library.icu) AS other_icu
              FROM library
             CROSS JOIN reyearn.models AS m
              LEFT JOIN reyearn.model_versions AS v
                ON v.tenant_id = m.tenant_id AND v.model_id = m.model_id AND v.is_live
             WHERE m.tenant_id = reyearn.find_current_tenant()
        ), memory AS (
            SELECT m.*,
                   pg_size_pretty(m.limit_bytes) AS allowed,
                   CASE m.last_private_reason
                        WHEN 'over_limit' THEN 'Raise reyearn.shared_memory_limit.'
                        WHEN 'no_shared_memory' THEN
                             'Give the server more shared memory: enlarge /dev/shm, in Docker with --shm-size.'
                        WHEN 'slow_loader' THEN 'See in pg_stat_activity what the session that loads it waits for.'
                        WHEN 'too_many_in_statement' THEN 'Use fewer models in one statement.'
                        WHEN 'too_many_versions' THEN
                             CASE WHEN m.is_preloaded
                                  THEN 'End the sessions that hold old versions; reyearn.stat_models shows them.'
                                  ELSE 'Add reyearn to shared_preload_libraries and restart.' END
                        ELSE 'Add reyearn to shared_preload_libraries and restart.' END AS private_advice
              FROM reyearn.shared_memory() AS m
        ), trainer AS (
            SELECT b.*,
                   (SELECT string_agg(format('%s (%s)', s.name, s.reason), ', '
                                      ORDER BY s.name)
                      FROM reyearn.training_schedule AS s
                     WHERE s.is_parked AND s.tenant_id = reyearn.find_current_tenant()) AS parked
              FROM reyearn.background() AS b
        ), tenants AS (
            SELECT count(*) AS n,
                   max(t.name) FILTER (WHERE t.tenant_id = reyearn.find_current_tenant()) AS mine,
                   string_agg(t.name, ', ' ORDER BY t.name)
                       FILTER (WHERE t.role IS NOT NULL AND r.oid IS NULL) AS without_role
              FROM reyearn.tenants AS t
              LEFT JOIN pg_roles AS r ON r.oid = t.role
        ), restore AS (
            SELECT min(l.pid) AS pid
              FROM pg_locks AS l
             WHERE l.locktype = 'advisory' AND l.classid = 'reyearn.tenants'::regclass AND l.objid = 0 AND l.objsubid = 4
               AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
               AND l.mode = 'ShareLock'
        )
        SELECT fact.name, fact.value, CASE WHEN fact.advice IS NULL THEN 'ok' ELSE fact.severity END, fact.advice
          FROM library, data, models, memory, trainer, tenants, restore, pg_extension AS extension,
               LATERAL (VALUES
                   (1, 'extension version', extension.extversion, 'ok', NULL),
                   (2, 'library version', library.version, 'warning',
                    CASE WHEN NOT starts_with(library.version || '.', extension.extversion || '.')
                         THEN 'It is not that of the extension: ALTER EXTENSION reyearn UPDATE, then reconnect.' END),
                   (3, 'built for PostgreSQL', library.postgresql, 'ok', NULL),
                   (4, 'Unicode version', library.unicode, 'ok', NULL),
                   (5, 'ICU version', library.icu, 'warning',
                    'Live versions made with another one may read some texts differently; train again: '
                    || models.other_icu || '.'),
                   (6, 'server encoding', library.encoding, 'warning',
                    CASE WHEN library.encoding <> 'UTF8'
                         THEN 'Each text is converted to UTF-8, which costs time; prefer a database in UTF8.' END),
                   (7, 'restoring', CASE WHEN reyearn.restoring() THEN 'on' ELSE 'off' END, 'warning',
                    CASE WHEN reyearn.restoring()
                         THEN 'Triggers on annotations do nothing: turn check_function_bodies or row_security on.' END),
                   (8, 'classes', data.classes::text, 'ok', NULL),
                   (9, 'observations', data.observations::text, 'ok', NULL),
                   (10, 'annotations', data.annotations::text, 'ok', NULL),
                   (11, 'models', models.n::text, 'note',
                    'Call reyearn_train() for those without a live version: ' || models.without_live || '.'),
                   (12, 'preloaded', CASE WHEN memory.is_preloaded THEN 'yes' ELSE 'no' END, 'note',
                    CASE WHEN NOT memory.is_preloaded
                         THEN 'Add to postgresql.conf, beside what is there, and restart: '
                              'shared_preload_libraries = ''reyearn''.' END),
                   (13, 'shared models', format('%s versions, %s of %s', memory.live, pg_size_pretty(memory.live_bytes),
                                                memory.allowed), 'warning',
                    CASE WHEN memory.places = 0
                         THEN 'None is shared: the server''s shared memory had no room left. Preload the library.' END),
                   (14, 'retired models', format('%s versions, %s', memory.retired, pg_size_pretty(memory.retired_bytes))
                                          || coalesce(', held by ' || memory.sessions_with_retired || ' sessions', ''),
                    'note',
                    CASE WHEN memory.retired > 0
                         THEN 'They go when those sessions end their transactions: see pg_stat_activity for old ones.'
                    END),
                   (15, 'private models', pg_size_pretty(memory.private_bytes) || ' in '
                                          || memory.sessions_with_private || ' sessions', 'warning',
                    CASE WHEN memory.sessions_with_private > 0
                         THEN format('Last time because of %s. ', replace(memory.last_private_reason, '_', ' '))
                              || memory.private_advice END),
                   (16, 'training', CASE WHEN trainer.most_workers = 0 OR NOT trainer.is_possible THEN 'on request only'
                                         WHEN trainer.launcher IS NOT NULL THEN 'in the background'
                                         WHEN memory.is_preloaded THEN 'waits for the launcher'
                                         ELSE 'in the background, started by sessions' END, 'note',
                    CASE WHEN trainer.most_workers = 0
                         THEN 'reyearn.max_workers is 0: raise it, and models are retrained by themselves.'
                         WHEN restore.pid IS NOT NULL
                         THEN format('Nothing is trained until process %s ends, which has restored a dump.', restore.pid)
                         WHEN NOT trainer.is_possible
                         THEN 'The server''s shared memory had no room left. Preload the library.'
                         WHEN trainer.launcher IS NULL AND memory.is_preloaded
                         THEN 'It is started within five seconds; on a standby, when that is promoted.'
                         WHEN trainer.launcher IS NULL
                         THEN 'What a crash or a prepared transaction leaves waits for the next annotation: preload.'
                    END),
                   (17, 'training workers', trainer.workers || ' of ' || trainer.most_workers, 'warning',
                    CASE WHEN trainer.lacked_worker IS NOT NULL
                         THEN 'PostgreSQL had no process to give: raise max_worker_processes and restart.' END),
                   (18, 'parked models', coalesce(trainer.parked, 'none'), 'warning',
                    CASE WHEN trainer.parked IS NOT NULL
                         THEN 'They are not trained by themselves any more: remove the reason, then reyearn_train().'
                    END),
                   (19, 'tenant', coalesce(tenants.mine, 'none'), 'warning',
                    CASE WHEN tenants.mine IS NOT NULL THEN NULL
                         WHEN tenants.n > 1 THEN 'There are several: choose one, SET reyearn.tenant = ''...''.'
                         ELSE 'Have the role of a tenant granted to this one, or call reyearn_login().' END),
                   (20, 'tenants', tenants.n::text, 'warning',
                    'Their roles were dropped; give them others with reyearn_alter_tenant(): ' || tenants.without_role || '.')
               ) AS fact (place, name, value, severity, advice)
         WHERE extension.extname = 'reyearn' AND fact.value IS NOT NULL    -- NULL: not for this role to see
         ORDER BY fact.place;
    END;
COMMENT ON FUNCTION reyearn_status() IS
    'facts about the installation and the caller''s tenant, one a row; where state is not ok, advice says what to do';
