-- Training in the background: what is due and when, and what becomes of a run. The worker that asks is
-- src/pg/worker.cpp; it runs as the owner of the server, and reads what it trains with as the model's owner.

CREATE FUNCTION reyearn.news_added() RETURNS trigger
    AS 'MODULE_PATHNAME', 'reyearn_news_added'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.news_added() IS
    'has the commit send NOTIFY reyearn_annotation with the number of the model, and wake the launcher';
CREATE TRIGGER news_added AFTER INSERT ON reyearn.news
    FOR EACH ROW EXECUTE FUNCTION reyearn.news_added();
COMMENT ON TRIGGER news_added ON reyearn.news IS 'tells that a model has something to learn';

CREATE FUNCTION reyearn.run_ended() RETURNS trigger
    AS 'MODULE_PATHNAME', 'reyearn_run_ended'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.run_ended() IS 'has the commit send NOTIFY reyearn_model with the number of the model';
CREATE TRIGGER run_ended AFTER UPDATE OF outcome ON reyearn.runs
    FOR EACH ROW WHEN (NEW.outcome NOT IN ('queued', 'running') AND OLD.outcome IS DISTINCT FROM NEW.outcome)
    EXECUTE FUNCTION reyearn.run_ended();
COMMENT ON TRIGGER run_ended ON reyearn.runs IS 'tells that a run has ended';

CREATE FUNCTION reyearn.queue_run(tenant_id int, model_id bigint, params jsonb, OUT run_id bigint, OUT name text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    model reyearn.models;
BEGIN
    SELECT m.* INTO STRICT model FROM reyearn.models AS m WHERE m.tenant_id = tenant_id AND m.model_id = model_id;
    PERFORM reyearn.check_params(model.algorithm, params);
    name := model.name;
    -- One that waits already will do.
    SELECT r.run_id INTO run_id
      FROM reyearn.runs AS r
     WHERE r.tenant_id = tenant_id AND r.model_id = model_id AND r.outcome = 'queued' AND r.params = params;
    IF NOT FOUND THEN
        IF (SELECT count(*) FROM reyearn.runs AS r
             WHERE r.tenant_id = tenant_id AND r.model_id = model_id AND r.outcome = 'queued') >= 100 THEN
            RAISE program_limit_exceeded USING
                MESSAGE = format('model "%s" has too many trainings in the queue', name),
                DETAIL = 'There are 100 with different parameters.',
                HINT = 'Wait until some have ended.';
        END IF;
        INSERT INTO reyearn.runs AS r (tenant_id, model_id, outcome, params, time_started)
        VALUES (tenant_id, model_id, 'queued', params, NULL)
        RETURNING r.run_id INTO run_id;
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn.queue_run(int, bigint, jsonb) IS
    'asks for a training in the background with these parameters; returns the number of the run, and the name of the model';

-- Failures since the last success or change of the model: after each the next try comes later, after the third none. A
-- model that cannot be trained yet, for want of a second class, is no failure: it is tried again once more is known.
CREATE VIEW reyearn.training_schedule WITH (security_invoker, security_barrier) AS
SELECT m.tenant_id, m.model_id, m.name, news.waiting, failed.n AS failures,
       CASE WHEN owner.is_there THEN failed.reason ELSE 'its owner was dropped' END AS reason, parked.is_parked,
       CASE WHEN m.retrain_after > 0 AND news.waiting >= m.retrain_after AND NOT parked.is_parked
                 AND NOT coalesce(last_try.is_too_early AND last_try.waiting = news.waiting, false)
            THEN greatest(news.since + m.retrain_delay,
                          learned.time_finished + 10 * learned.seconds * interval '1 s',
                          CASE WHEN learned.examples > 1000 AND news.waiting < learned.examples / 100
                               THEN news.since + interval '1 hour' END,
                          failed.last + interval '10 s' * power(6::float8, (failed.n - 1)::float8)) END AS due_at
  FROM reyearn.models AS m
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(n.n), 0)::bigint AS waiting, min(n.time_created) AS since
         FROM reyearn.news AS n
        WHERE n.tenant_id = m.tenant_id AND n.model_id = m.model_id) AS news
  LEFT JOIN LATERAL (
       SELECT r.time_finished, r.seconds, r.examples
         FROM reyearn.runs AS r
        WHERE r.tenant_id = m.tenant_id AND r.model_id = m.model_id AND r.outcome IN ('promoted', 'kept', 'unchanged')
        ORDER BY r.time_finished DESC
        LIMIT 1) AS learned ON true
 CROSS JOIN LATERAL (
       SELECT count(*) AS n, max(r.time_finished) AS last, (array_agg(r.reason ORDER BY r.time_finished DESC))[1] AS reason
         FROM reyearn.runs AS r
        WHERE r.tenant_id = m.tenant_id AND r.model_id = m.model_id AND r.outcome = 'failed' AND NOT r.is_too_early
          AND NOT r.is_requested AND r.time_finished > coalesce(learned.time_finished, '-infinity')
          AND r.time_created >= m.time_updated) AS failed
  LEFT JOIN LATERAL (
       SELECT r.is_too_early, r.waiting
         FROM reyearn.runs AS r
        WHERE r.tenant_id = m.tenant_id AND r.model_id = m.model_id AND NOT r.is_requested
          AND r.time_finished > coalesce(learned.time_finished, '-infinity')
        ORDER BY r.time_finished DESC
        LIMIT 1) AS last_try ON true
 CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_roles AS o WHERE o.oid = m.owner) AS is_there) AS owner
 CROSS JOIN LATERAL (SELECT failed.n >= 3 OR NOT owner.is_there AS is_parked) AS parked;
COMMENT ON VIEW reyearn.training_schedule IS 'when each model is to be trained in the background next';
COMMENT ON COLUMN reyearn.training_schedule.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.training_schedule.model_id IS 'the model';
COMMENT ON COLUMN reyearn.training_schedule.name IS 'its name';
COMMENT ON COLUMN reyearn.training_schedule.waiting IS 'number of changed annotations that it has not been trained on';
COMMENT ON COLUMN reyearn.training_schedule.failures IS 'trainings that failed since the last that did not';
COMMENT ON COLUMN reyearn.training_schedule.reason IS 'why the last of them failed, or that its owner was dropped';
COMMENT ON COLUMN reyearn.training_schedule.is_parked IS
    'whether it is trained on request only, since three trainings failed or its owner was dropped';
COMMENT ON COLUMN reyearn.training_schedule.due_at IS
    'after retrain_delay, ten times as long after the last training as that took, with less than 1 % of new examples an hour later, after a failure later still; NULL: not due';

CREATE FUNCTION reyearn.is_model_free(tenant_id int, model_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM reyearn.models AS m WHERE m.tenant_id = $1 AND m.model_id = $2 FOR NO KEY UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION reyearn.is_model_free(int, bigint) IS
    'whether nobody else trains or changes the model, which nobody does then until the transaction ends';

CREATE FUNCTION reyearn.begin_run(tenant_id int, model_id bigint, run_id bigint, waiting bigint)
    RETURNS reyearn.runs
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    run reyearn.runs;
BEGIN
    INSERT INTO reyearn.turns AS t (tenant_id, time_started) VALUES (tenant_id, clock_timestamp())
    ON CONFLICT ON CONSTRAINT turns_pkey DO UPDATE SET time_started = excluded.time_started;
    IF run_id IS NOT NULL THEN
        UPDATE reyearn.runs AS r SET outcome = 'running', time_started = clock_timestamp()
         WHERE r.tenant_id = tenant_id AND r.run_id = run_id
        RETURNING r.* INTO run;
        RETURN run;
    END IF;
    -- As the live version was trained, if that was after the model last changed: parameters that were tried with
    -- reyearn_train() and won go on winning.
    INSERT INTO reyearn.runs AS r (tenant_id, model_id, outcome, is_requested, started_by, waiting, params)
    SELECT m.tenant_id, m.model_id, 'running', false, pg_get_userbyid(m.owner), waiting,
           coalesce((SELECT v.params - 'holdout'
                       FROM reyearn.model_versions AS v
                      WHERE v.tenant_id = m.tenant_id AND v.model_id = m.model_id AND v.is_live
                        AND v.data_digest IS NOT NULL AND v.time_created >= m.time_updated), '{}')
      FROM reyearn.models AS m
     WHERE m.tenant_id = tenant_id AND m.model_id = model_id
    RETURNING r.* INTO run;
    RETURN run;
END
$$;
COMMENT ON FUNCTION reyearn.begin_run(int, bigint, bigint, bigint) IS
    'records as running a run that was asked for or, for run_id NULL, a new one of a model that is due';

CREATE FUNCTION reyearn.may_begin_training() RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_may_begin_training'
    LANGUAGE C;
COMMENT ON FUNCTION reyearn.may_begin_training() IS
    'whether no session of this database restores a dump; none begins to until the transaction ends';

CREATE FUNCTION reyearn.has_training_place(tenant_id int) RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_has_training_place'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.has_training_place(int) IS
    'whether a tenant runs fewer trainings than it may: the place is taken until the transaction ends';

-- Tenants take turns: first comes the one whose last training is the longest ago. Within a tenant, what was asked for
-- comes first. Models that somebody else trains or changes just now are skipped: their turn comes a second later.
CREATE FUNCTION reyearn.next_training(OUT tenant_id int, OUT model_id bigint, OUT run_id bigint, OUT params jsonb,
                                      OUT due_at timestamptz)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    candidate record;
    later timestamptz;
BEGIN
    -- A dump is being restored: to train in the middle of that would collide with what is still to come.
    IF NOT reyearn.may_begin_training() THEN
        due_at := clock_timestamp() + interval '5 s';
        RETURN;
    END IF;

    -- A database has one worker at a time: what runs without it was left behind. What was asked for is tried once more.
    -- Nobody is waited for, or he would hold up the trainings of all.
    UPDATE reyearn.runs AS r
       SET outcome = CASE WHEN r.is_requested AND r.reason IS NULL THEN 'queued' ELSE 'failed' END,
           time_finished = CASE WHEN r.is_requested AND r.reason IS NULL THEN NULL ELSE clock_timestamp() END,
           reason = 'the server or the worker stopped in the middle of it'
      FROM (SELECT left_behind.tenant_id, left_behind.run_id
              FROM reyearn.runs AS left_behind
             WHERE left_behind.outcome = 'running'
               FOR UPDATE SKIP LOCKED) AS free
     WHERE r.tenant_id = free.tenant_id AND r.run_id = free.run_id;

    FOR candidate IN
        WITH waiting AS MATERIALIZED (
            SELECT r.tenant_id, r.model_id, r.run_id, NULL::bigint AS waiting, r.time_created AS due_at
              FROM reyearn.runs AS r
             WHERE r.outcome = 'queued'
            UNION ALL
            SELECT s.tenant_id, s.model_id, NULL, s.waiting, s.due_at
              FROM reyearn.training_schedule AS s
             WHERE s.due_at IS NOT NULL
        )
        SELECT w.tenant_id, w.model_id, w.run_id, w.waiting, w.due_at, w.due_at <= clock_timestamp() AS is_due
          FROM waiting AS w
          JOIN reyearn.tenants AS t ON t.tenant_id = w.tenant_id AND t.max_trainings IS DISTINCT FROM 0
          LEFT JOIN reyearn.turns AS turn ON turn.tenant_id = w.tenant_id
         ORDER BY is_due DESC, CASE WHEN w.due_at <= clock_timestamp() THEN turn.time_started END NULLS FIRST,
                  w.run_id NULLS LAST, w.due_at
    LOOP
        IF NOT candidate.is_due THEN    -- nor are those after it
            due_at := least(candidate.due_at, later);
            RETURN;
        END IF;
        IF NOT reyearn.has_training_place(candidate.tenant_id) THEN
            later := least(later, clock_timestamp() + interval '5 s');
        ELSIF NOT reyearn.is_model_free(candidate.tenant_id, candidate.model_id) THEN
            later := clock_timestamp() + interval '1 s';
        ELSE
            SELECT b.tenant_id, b.model_id, b.run_id, b.params INTO tenant_id, model_id, run_id, params
              FROM reyearn.begin_run(candidate.tenant_id, candidate.model_id, candidate.run_id, candidate.waiting) AS b;
            RETURN;
        END IF;
    END LOOP;
    due_at := later;
END
$$;
COMMENT ON FUNCTION reyearn.next_training() IS
    'records the training that is due as running and returns it: run_id NULL when none is, with the time of the next';

CREATE FUNCTION reyearn.postpone_run(run_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run reyearn.runs;
BEGIN
    SELECT r.* INTO run FROM reyearn.runs AS r WHERE r.run_id = $1 AND r.outcome = 'running' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NOT EXISTS (SELECT FROM reyearn.runs AS r WHERE r.run_id = $1 AND r.outcome = 'running');
    ELSIF run.is_requested THEN
        UPDATE reyearn.runs AS r SET outcome = 'queued', time_started = NULL
         WHERE r.tenant_id = run.tenant_id AND r.run_id = run.run_id;
    ELSE
        DELETE FROM reyearn.runs AS r WHERE r.tenant_id = run.tenant_id AND r.run_id = run.run_id;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION reyearn.postpone_run(bigint) IS
    'takes a run back that gave way to something else: one that was asked for is queued again, another is due again anyway. False: somebody holds its row';

CREATE FUNCTION reyearn.fail_run(run_id bigint, sqlstate text, reason text) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        UPDATE reyearn.runs AS r
           SET outcome = 'failed', reason = $3, is_too_early = $2 = '55000', time_finished = clock_timestamp(),
               seconds = extract(epoch FROM clock_timestamp() - r.time_started)
         WHERE r.run_id = $1 AND r.outcome = 'running';
    END;
COMMENT ON FUNCTION reyearn.fail_run(bigint, text, text) IS 'records why a run failed';

CREATE FUNCTION reyearn.background(OUT is_possible boolean, OUT launcher int, OUT workers int, OUT most_workers int,
                                   OUT lacked_worker timestamptz)
    AS 'MODULE_PATHNAME', 'reyearn_background'
    LANGUAGE C VOLATILE;
COMMENT ON FUNCTION reyearn.background() IS
    'processes that train in the background, of all databases: the launcher, NULL when there is none, and workers; not possible without room in shared memory';

CREATE FUNCTION reyearn.training_now(OUT worker int, OUT tenant_id int, OUT model_id bigint, OUT run_id bigint,
                                     OUT phase text, OUT done bigint, OUT total bigint, OUT time_started timestamptz)
    AS 'MODULE_PATHNAME', 'reyearn_training_now'
    LANGUAGE C VOLATILE;
COMMENT ON FUNCTION reyearn.training_now() IS
    'what the worker of this database is at, from shared memory; NULLs when it trains nothing';

CREATE VIEW reyearn.progress WITH (security_invoker, security_barrier) AS
SELECT t.run_id, m.name AS model, t.phase, t.done, t.total,
       CASE WHEN t.done > 0
            THEN extract(epoch FROM clock_timestamp() - t.time_started)::float8 * (t.total - t.done) / t.done
       END AS seconds_left,
       t.time_started, t.worker
  FROM reyearn.training_now() AS t
  JOIN reyearn.models AS m ON m.tenant_id = t.tenant_id AND m.model_id = t.model_id
 WHERE m.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.progress IS 'the training that a worker is at in this database';
COMMENT ON COLUMN reyearn.progress.run_id IS 'the run';
COMMENT ON COLUMN reyearn.progress.model IS 'name of the model';
COMMENT ON COLUMN reyearn.progress.phase IS 'reading: texts are read and counted; comparing: with the live version; learning: what will serve';
COMMENT ON COLUMN reyearn.progress.done IS 'number of texts read; 0 in other phases';
COMMENT ON COLUMN reyearn.progress.total IS 'number of texts to read; 0 in other phases';
COMMENT ON COLUMN reyearn.progress.seconds_left IS 'how long reading will take at this rate; NULL in other phases';
COMMENT ON COLUMN reyearn.progress.time_started IS 'when the training began';
COMMENT ON COLUMN reyearn.progress.worker IS 'process id of the worker';
