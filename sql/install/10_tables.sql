-- Tables. Keys of tenant data begin with tenant_id: unique and foreign keys bypass row security, and a key
-- without the tenant would tell one tenant what another stores.
--
-- Foreign keys run one way only (runs to versions to models to classes): a cycle among dumped tables would restore
-- empty. What is live is a flag on the version, never a reference from the model.

CREATE FUNCTION reyearn.content_hash(body text) RETURNS bytea
    AS 'MODULE_PATHNAME', 'reyearn_content_hash'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.content_hash(text) IS
    'SHA-256 of the text in UTF-8: what makes two observations of a tenant the same';

CREATE TABLE reyearn.classes (
    tenant_id     int         NOT NULL DEFAULT reyearn.current_tenant() REFERENCES reyearn.tenants,
    class_id      bigint      GENERATED ALWAYS AS IDENTITY,
    label         ltree       NOT NULL CHECK (label::text ~ '^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$'),
    title         text,
    description   text,
    time_created  timestamptz NOT NULL DEFAULT now(),
    time_updated  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, class_id),
    UNIQUE (tenant_id, label)
);
COMMENT ON TABLE  reyearn.classes IS 'taxonomy: one row a class; the first element of a label is its type';
COMMENT ON COLUMN reyearn.classes.tenant_id IS 'tenant that owns the class';
COMMENT ON COLUMN reyearn.classes.class_id IS 'what annotations and models refer to; renaming a class keeps it';
COMMENT ON COLUMN reyearn.classes.label IS 'place in the taxonomy, such as email.business.trips';
COMMENT ON COLUMN reyearn.classes.title IS 'name to show to people, when it differs from the label';
COMMENT ON COLUMN reyearn.classes.description IS 'what belongs into the class, for those who annotate';
COMMENT ON COLUMN reyearn.classes.time_created IS 'when the class was created';
COMMENT ON COLUMN reyearn.classes.time_updated IS 'when label, title or description last changed';

-- A merged class is gone, but versions trained before still predict it.
CREATE TABLE reyearn.merged_classes (
    tenant_id      int         NOT NULL DEFAULT reyearn.current_tenant(),
    class_id       bigint      NOT NULL,
    into_class_id  bigint      NOT NULL,
    time_created   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, class_id),
    FOREIGN KEY (tenant_id, into_class_id) REFERENCES reyearn.classes ON DELETE CASCADE
);
CREATE INDEX merged_classes_into ON reyearn.merged_classes (tenant_id, into_class_id);
COMMENT ON TABLE  reyearn.merged_classes IS 'classes merged into others: what a version trained before the merge predicts is read through this';
COMMENT ON COLUMN reyearn.merged_classes.tenant_id IS 'tenant that owns the class';
COMMENT ON COLUMN reyearn.merged_classes.class_id IS 'class that no longer exists';
COMMENT ON COLUMN reyearn.merged_classes.into_class_id IS 'class that took its annotations; never itself a merged one';
COMMENT ON COLUMN reyearn.merged_classes.time_created IS 'when they were merged';

-- No foreign key to tenants here and in what people write one row at a time: each of its checks locks the tenant's
-- row, which all writers share (measured: 8 sessions observe 6,800 texts a second with it, 9,400 without).
CREATE TABLE reyearn.observations (
    tenant_id       int         NOT NULL DEFAULT reyearn.current_tenant(),
    observation_id  bigint      GENERATED ALWAYS AS IDENTITY,
    body            text        NOT NULL,
    content_hash    bytea       NOT NULL GENERATED ALWAYS AS (reyearn.content_hash(body)) STORED,
    metadata        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    time_created    timestamptz NOT NULL DEFAULT now(),
    time_updated    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, observation_id),
    UNIQUE (tenant_id, content_hash)
);
COMMENT ON TABLE  reyearn.observations IS 'texts, each stored once a tenant';
COMMENT ON COLUMN reyearn.observations.tenant_id IS 'tenant that owns the text';
COMMENT ON COLUMN reyearn.observations.observation_id IS 'number of the observation';
COMMENT ON COLUMN reyearn.observations.body IS 'the text';
COMMENT ON COLUMN reyearn.observations.content_hash IS 'SHA-256 of the text in UTF-8; decides identity and which rows are held out';
COMMENT ON COLUMN reyearn.observations.metadata IS 'what the application wants to keep with the text, a JSON object';
COMMENT ON COLUMN reyearn.observations.time_created IS 'when the text was first observed';
COMMENT ON COLUMN reyearn.observations.time_updated IS 'when its metadata last changed';

CREATE TABLE reyearn.annotations (
    tenant_id             int         NOT NULL DEFAULT reyearn.current_tenant(),
    annotation_id         bigint      GENERATED ALWAYS AS IDENTITY,
    observation_id        bigint      NOT NULL,
    class_id              bigint      NOT NULL,
    span                  int4range   CHECK (NOT isempty(span) AND NOT lower_inf(span) AND NOT upper_inf(span)
                                             AND lower(span) >= 0),
    status                text        NOT NULL DEFAULT 'confirmed'
                                      CHECK (status IN ('unknown', 'predicted', 'confirmed', 'rejected')),
    probability           real        CHECK (probability BETWEEN 0 AND 1),
    predicted_by_tenant   int,
    predicted_by_version  bigint,
    annotated_by          name        NOT NULL DEFAULT reyearn.acting_role(),
    time_created          timestamptz NOT NULL DEFAULT clock_timestamp(),
    time_updated          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, annotation_id),
    CONSTRAINT annotations_identity UNIQUE NULLS NOT DISTINCT (tenant_id, observation_id, class_id, span),
    FOREIGN KEY (tenant_id, observation_id) REFERENCES reyearn.observations ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, class_id) REFERENCES reyearn.classes ON DELETE CASCADE
);
-- Serves training (confirmed texts of a set of classes), the overview and the foreign key.
CREATE INDEX annotations_class ON reyearn.annotations (tenant_id, class_id, status, observation_id);
COMMENT ON TABLE  reyearn.annotations IS 'what is said of a text or a span of it: an observation, a class and a status';
COMMENT ON COLUMN reyearn.annotations.tenant_id IS 'tenant that owns the annotation';
COMMENT ON COLUMN reyearn.annotations.annotation_id IS 'number of the annotation';
COMMENT ON COLUMN reyearn.annotations.observation_id IS 'the text';
COMMENT ON COLUMN reyearn.annotations.class_id IS 'the class';
COMMENT ON COLUMN reyearn.annotations.span IS 'characters (code points from 0, half-open) the annotation is about; NULL for the whole text';
COMMENT ON COLUMN reyearn.annotations.status IS 'confirmed: a positive example; rejected: a negative one for this class; predicted, unknown: never train';
COMMENT ON COLUMN reyearn.annotations.probability IS 'probability given by the version that predicted it';
COMMENT ON COLUMN reyearn.annotations.predicted_by_tenant IS 'tenant of the model version that predicted it; history, no foreign key';
COMMENT ON COLUMN reyearn.annotations.predicted_by_version IS 'version_id of the model version that predicted it; history, no foreign key';
COMMENT ON COLUMN reyearn.annotations.annotated_by IS 'role that last set the status';
COMMENT ON COLUMN reyearn.annotations.time_created IS 'when the annotation was first made';
COMMENT ON COLUMN reyearn.annotations.time_updated IS 'when its status last changed; the newest confirmed class counts';

-- Append-only: kept by triggers, without foreign keys, because classes may be dropped later.
CREATE TABLE reyearn.annotation_history (
    tenant_id       int         NOT NULL DEFAULT reyearn.current_tenant(),
    history_id      bigint      GENERATED ALWAYS AS IDENTITY,
    annotation_id   bigint      NOT NULL,
    observation_id  bigint      NOT NULL,
    class_id        bigint      NOT NULL,
    span            int4range,
    from_status     text,
    to_status       text,
    changed_by      name        NOT NULL DEFAULT reyearn.acting_role(),
    time_created    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, history_id)
);
CREATE INDEX annotation_history_observation ON reyearn.annotation_history (tenant_id, observation_id);
COMMENT ON TABLE  reyearn.annotation_history IS 'every change of an annotation: who, when, from, to';
COMMENT ON COLUMN reyearn.annotation_history.tenant_id IS 'tenant that owns the annotation';
COMMENT ON COLUMN reyearn.annotation_history.history_id IS 'number of the change, in the order the changes were made';
COMMENT ON COLUMN reyearn.annotation_history.annotation_id IS 'annotation that changed';
COMMENT ON COLUMN reyearn.annotation_history.observation_id IS 'its text';
COMMENT ON COLUMN reyearn.annotation_history.class_id IS 'its class after the change (before it, for a deletion)';
COMMENT ON COLUMN reyearn.annotation_history.span IS 'its span; NULL for the whole text';
COMMENT ON COLUMN reyearn.annotation_history.from_status IS 'status before; NULL for a new annotation';
COMMENT ON COLUMN reyearn.annotation_history.to_status IS 'status after; NULL for a deleted annotation';
COMMENT ON COLUMN reyearn.annotation_history.changed_by IS 'role that made the change';
COMMENT ON COLUMN reyearn.annotation_history.time_created IS 'when the change was made';

CREATE TABLE reyearn.models (
    tenant_id      int         NOT NULL DEFAULT reyearn.current_tenant() REFERENCES reyearn.tenants,
    model_id       bigint      GENERATED ALWAYS AS IDENTITY,
    name           text        COLLATE "C" NOT NULL CHECK (name <> '' AND name !~ '/'),
    label_root_id  bigint,
    task           text        NOT NULL CHECK (task IN ('classification')),
    algorithm      text        NOT NULL,
    params         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    retrain_after  int         NOT NULL DEFAULT 1 CHECK (retrain_after >= 0),
    retrain_delay  interval    NOT NULL DEFAULT '5 s' CHECK (retrain_delay BETWEEN interval '0' AND interval '366 days'
                                     AND extract(year FROM retrain_delay) BETWEEN 0 AND 1
                                     AND extract(day FROM retrain_delay) BETWEEN 0 AND 366),
    promotion      text        NOT NULL DEFAULT 'if_better'
                               CHECK (promotion IN ('if_better', 'if_not_worse', 'always', 'never')),
    keep_versions  int         NOT NULL DEFAULT 5 CHECK (keep_versions >= 1),
    owner          regrole     NOT NULL DEFAULT quote_ident(current_user)::regrole,
    time_created   timestamptz NOT NULL DEFAULT now(),
    time_updated   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, model_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, label_root_id) REFERENCES reyearn.classes
);
CREATE INDEX models_label_root ON reyearn.models (tenant_id, label_root_id);
COMMENT ON TABLE  reyearn.models IS 'named predictors: what they learn, how, and when a new version goes live';
COMMENT ON COLUMN reyearn.models.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.models.model_id IS 'number of the model';
COMMENT ON COLUMN reyearn.models.name IS 'name of the model';
COMMENT ON COLUMN reyearn.models.label_root_id IS 'class under which it predicts; NULL: all classes, if they are of one type';
COMMENT ON COLUMN reyearn.models.task IS 'what it predicts: classification, one class a text';
COMMENT ON COLUMN reyearn.models.algorithm IS 'how it learns; auto chooses';
COMMENT ON COLUMN reyearn.models.params IS 'parameters that differ from their defaults; reyearn.parameters lists them';
COMMENT ON COLUMN reyearn.models.retrain_after IS 'number of new annotations after which it is due; 0: only on request';
COMMENT ON COLUMN reyearn.models.retrain_delay IS 'how long to wait for more annotations before training';
COMMENT ON COLUMN reyearn.models.promotion IS 'gate: when a new version replaces the live one';
COMMENT ON COLUMN reyearn.models.keep_versions IS 'number of newest versions that keep their images';
COMMENT ON COLUMN reyearn.models.owner IS 'role with whose rights it is trained in the background';
COMMENT ON COLUMN reyearn.models.time_created IS 'when the model was created';
COMMENT ON COLUMN reyearn.models.time_updated IS 'when its definition last changed';

CREATE TABLE reyearn.model_versions (
    tenant_id         int         NOT NULL DEFAULT reyearn.current_tenant(),
    version_id        bigint      GENERATED ALWAYS AS IDENTITY,
    model_id          bigint      NOT NULL,
    version           int         NOT NULL CHECK (version >= 1),
    is_live           boolean     NOT NULL DEFAULT false,
    algorithm         text        NOT NULL,
    params            jsonb       NOT NULL,
    metric            text,
    score             float8,
    examples          bigint      NOT NULL,
    class_count       int         NOT NULL,
    feature_count     bigint      NOT NULL,
    image_bytes       bigint      NOT NULL,
    image_checksum    bigint      NOT NULL,
    judge_holdout     float8,
    data_digest       bytea,
    library_version   text        NOT NULL,
    icu_version       text        NOT NULL,
    replaced_version  int,
    time_created      timestamptz NOT NULL DEFAULT now(),
    time_promoted     timestamptz,
    time_pruned       timestamptz,
    PRIMARY KEY (tenant_id, version_id),
    UNIQUE (tenant_id, model_id, version),
    FOREIGN KEY (tenant_id, model_id) REFERENCES reyearn.models ON DELETE CASCADE,
    CHECK (NOT (is_live AND time_pruned IS NOT NULL))
);
CREATE UNIQUE INDEX model_versions_live ON reyearn.model_versions (tenant_id, model_id) WHERE is_live;
COMMENT ON TABLE  reyearn.model_versions IS 'trained versions of a model, each immutable; at most one is live';
COMMENT ON COLUMN reyearn.model_versions.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.model_versions.version_id IS 'number of the version among all models';
COMMENT ON COLUMN reyearn.model_versions.model_id IS 'model it is a version of';
COMMENT ON COLUMN reyearn.model_versions.version IS 'number of the version within its model, from 1';
COMMENT ON COLUMN reyearn.model_versions.is_live IS 'whether this version answers predictions';
COMMENT ON COLUMN reyearn.model_versions.algorithm IS 'algorithm that made it';
COMMENT ON COLUMN reyearn.model_versions.params IS 'all parameters it was trained with';
COMMENT ON COLUMN reyearn.model_versions.metric IS 'metric of the score';
COMMENT ON COLUMN reyearn.model_versions.score IS 'score on rows it had not seen; NULL for an imported version';
COMMENT ON COLUMN reyearn.model_versions.examples IS 'number of texts it learned from';
COMMENT ON COLUMN reyearn.model_versions.class_count IS 'number of classes it can predict';
COMMENT ON COLUMN reyearn.model_versions.feature_count IS 'number of features in its vocabulary';
COMMENT ON COLUMN reyearn.model_versions.image_bytes IS 'size of its serving image';
COMMENT ON COLUMN reyearn.model_versions.image_checksum IS 'XXH3 checksum of its serving image';
COMMENT ON COLUMN reyearn.model_versions.judge_holdout IS 'share of texts its judge image has not seen; NULL when it has none';
COMMENT ON COLUMN reyearn.model_versions.data_digest IS 'digest of the examples it was trained with; NULL for an imported version';
COMMENT ON COLUMN reyearn.model_versions.library_version IS 'version of the library that trained it';
COMMENT ON COLUMN reyearn.model_versions.icu_version IS 'version of ICU that it was trained with';
COMMENT ON COLUMN reyearn.model_versions.replaced_version IS 'version that was live before this one: where reyearn_rollback goes';
COMMENT ON COLUMN reyearn.model_versions.time_created IS 'when it was trained or imported';
COMMENT ON COLUMN reyearn.model_versions.time_promoted IS 'when it last went live';
COMMENT ON COLUMN reyearn.model_versions.time_pruned IS 'when its images were deleted; NULL while it has them';

CREATE TABLE reyearn.model_images (
    tenant_id   int     NOT NULL DEFAULT reyearn.current_tenant(),
    version_id  bigint  NOT NULL,
    kind        text    COLLATE "C" NOT NULL CHECK (kind IN ('serving', 'judge')),
    chunk_no    int     NOT NULL CHECK (chunk_no >= 0),
    data        bytea   NOT NULL,
    PRIMARY KEY (tenant_id, version_id, kind, chunk_no),
    FOREIGN KEY (tenant_id, version_id) REFERENCES reyearn.model_versions ON DELETE CASCADE
);
ALTER TABLE reyearn.model_images ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE  reyearn.model_images IS 'bytes of the versions in chunks of 1 MB';
COMMENT ON COLUMN reyearn.model_images.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.model_images.version_id IS 'version the bytes belong to';
COMMENT ON COLUMN reyearn.model_images.kind IS 'serving: answers predictions; judge: the same trained without the held-out texts, for comparisons';
COMMENT ON COLUMN reyearn.model_images.chunk_no IS 'place of the chunk, from 0';
COMMENT ON COLUMN reyearn.model_images.data IS 'the bytes';

CREATE TABLE reyearn.experiments (
    tenant_id      int         NOT NULL DEFAULT reyearn.current_tenant(),
    experiment_id  bigint      GENERATED ALWAYS AS IDENTITY,
    model_id       bigint      NOT NULL,
    holdout        float8      NOT NULL,
    seed           bigint      NOT NULL,
    metric         text        NOT NULL,
    time_created   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, experiment_id),
    UNIQUE (tenant_id, model_id, holdout, seed, metric),
    FOREIGN KEY (tenant_id, model_id) REFERENCES reyearn.models ON DELETE CASCADE
);
COMMENT ON TABLE  reyearn.experiments IS 'series of runs of a model that were judged alike, so that their scores may be compared';
COMMENT ON COLUMN reyearn.experiments.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.experiments.experiment_id IS 'number of the experiment';
COMMENT ON COLUMN reyearn.experiments.model_id IS 'model whose runs these are';
COMMENT ON COLUMN reyearn.experiments.holdout IS 'share of texts held out';
COMMENT ON COLUMN reyearn.experiments.seed IS 'seed of the choice of held-out texts and folds';
COMMENT ON COLUMN reyearn.experiments.metric IS 'metric that the runs are compared by';
COMMENT ON COLUMN reyearn.experiments.time_created IS 'when the first of its runs was made';

CREATE TABLE reyearn.runs (
    tenant_id         int         NOT NULL DEFAULT reyearn.current_tenant(),
    run_id            bigint      GENERATED ALWAYS AS IDENTITY,
    model_id          bigint      NOT NULL,
    experiment_id     bigint,
    version_id        bigint,
    live_version      int,
    outcome           text        NOT NULL CHECK (outcome IN ('queued', 'running', 'promoted', 'kept', 'unchanged',
                                                              'failed')),
    is_requested      boolean     NOT NULL DEFAULT true,
    is_too_early      boolean     NOT NULL DEFAULT false,
    waiting           bigint,
    algorithm         text,
    params            jsonb       NOT NULL DEFAULT '{}',
    compared_by       text        CHECK (compared_by IN ('holdout', 'cross_validation')),
    compared_on       bigint,
    metric            text,
    score             float8,
    live_score        float8,
    p_value           float8,
    metrics           jsonb,
    live_metrics      jsonb,
    examples          bigint,
    seconds           float8,
    reason            text,
    data_digest       bytea,
    started_by        name        NOT NULL DEFAULT reyearn.acting_role(),
    time_created      timestamptz NOT NULL DEFAULT now(),
    time_started      timestamptz DEFAULT clock_timestamp(),
    time_finished     timestamptz,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, model_id) REFERENCES reyearn.models ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, experiment_id) REFERENCES reyearn.experiments ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, version_id) REFERENCES reyearn.model_versions ON DELETE CASCADE,
    CHECK (outcome NOT IN ('promoted', 'kept')
           OR num_nulls(experiment_id, version_id, algorithm, compared_by, compared_on, metric, score, metrics, examples,
                        seconds, reason, data_digest) = 0)
);
CREATE INDEX runs_model ON reyearn.runs (tenant_id, model_id, run_id);
CREATE INDEX runs_finished ON reyearn.runs (tenant_id, model_id, time_finished);
CREATE INDEX runs_open ON reyearn.runs (tenant_id, run_id) WHERE outcome IN ('queued', 'running');
COMMENT ON TABLE  reyearn.runs IS 'trainings: parameters, data, metrics and the verdict of the gate';
COMMENT ON COLUMN reyearn.runs.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.runs.run_id IS 'number of the run';
COMMENT ON COLUMN reyearn.runs.model_id IS 'model that was trained';
COMMENT ON COLUMN reyearn.runs.experiment_id IS 'runs of one experiment have comparable scores';
COMMENT ON COLUMN reyearn.runs.version_id IS 'version it made; NULL when it made none';
COMMENT ON COLUMN reyearn.runs.live_version IS 'version it was compared with; NULL for the first';
COMMENT ON COLUMN reyearn.runs.outcome IS
    'queued; running; promoted: the new version went live; kept: the live one stayed; unchanged: nothing new to learn; failed';
COMMENT ON COLUMN reyearn.runs.is_requested IS 'whether reyearn_train asked for it; else the model was due';
COMMENT ON COLUMN reyearn.runs.is_too_early IS 'whether it failed for want of data: it is tried again once there is more';
COMMENT ON COLUMN reyearn.runs.waiting IS 'number of changed annotations that made it due; NULL when it was asked for';
COMMENT ON COLUMN reyearn.runs.algorithm IS 'algorithm that was used';
COMMENT ON COLUMN reyearn.runs.params IS 'all parameters, defaults included; before it has made a version, those that were asked for';
COMMENT ON COLUMN reyearn.runs.compared_by IS 'holdout: on texts neither had learned from; cross_validation: on the same folds';
COMMENT ON COLUMN reyearn.runs.compared_on IS 'number of texts both were scored on';
COMMENT ON COLUMN reyearn.runs.metric IS 'metric the gate used';
COMMENT ON COLUMN reyearn.runs.score IS 'score of the new version';
COMMENT ON COLUMN reyearn.runs.live_score IS 'score of the live version on the same texts';
COMMENT ON COLUMN reyearn.runs.p_value IS 'McNemar test, two-sided and exact: how likely a difference this large is by chance';
COMMENT ON COLUMN reyearn.runs.metrics IS 'accuracy, macro and micro F1, log loss of the new version';
COMMENT ON COLUMN reyearn.runs.live_metrics IS 'the same of the live version';
COMMENT ON COLUMN reyearn.runs.examples IS 'number of annotated texts seen';
COMMENT ON COLUMN reyearn.runs.seconds IS 'how long it took';
COMMENT ON COLUMN reyearn.runs.reason IS 'why the outcome';
COMMENT ON COLUMN reyearn.runs.data_digest IS 'digest of the examples';
COMMENT ON COLUMN reyearn.runs.started_by IS 'role that asked for it, or owns the model that was due';
COMMENT ON COLUMN reyearn.runs.time_created IS 'when it was asked for or became due';
COMMENT ON COLUMN reyearn.runs.time_started IS 'when it began; NULL while it is queued';
COMMENT ON COLUMN reyearn.runs.time_finished IS 'when it ended; NULL before';

CREATE TABLE reyearn.run_labels (
    tenant_id    int     NOT NULL DEFAULT reyearn.current_tenant(),
    run_id       bigint  NOT NULL,
    label        ltree   NOT NULL,
    class_id     bigint  NOT NULL,
    "precision"  float8  NOT NULL,
    recall       float8  NOT NULL,
    f1           float8  NOT NULL,
    support      bigint  NOT NULL,
    confusion    jsonb   NOT NULL,
    PRIMARY KEY (tenant_id, run_id, class_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES reyearn.runs ON DELETE CASCADE
);
COMMENT ON TABLE  reyearn.run_labels IS 'quality of a run, class by class, with the labels of its time';
COMMENT ON COLUMN reyearn.run_labels.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.run_labels.run_id IS 'the run';
COMMENT ON COLUMN reyearn.run_labels.label IS 'label of the class when the run was made';
COMMENT ON COLUMN reyearn.run_labels.class_id IS 'the class; it may be gone by now';
COMMENT ON COLUMN reyearn.run_labels."precision" IS 'share of those predicted as the class that are of it; 0 when none was predicted';
COMMENT ON COLUMN reyearn.run_labels.recall IS 'share of those of the class that were predicted as it; 0 when there were none';
COMMENT ON COLUMN reyearn.run_labels.f1 IS 'harmonic mean of precision and recall';
COMMENT ON COLUMN reyearn.run_labels.support IS 'number of texts of the class that it was scored on';
COMMENT ON COLUMN reyearn.run_labels.confusion IS 'for texts of this class: number of texts by predicted label';

-- Insert-only, without foreign key, so that those who annotate never wait for each other or for a training.
CREATE TABLE reyearn.news (
    tenant_id     int         NOT NULL DEFAULT reyearn.current_tenant(),
    news_id       bigint      GENERATED ALWAYS AS IDENTITY,
    model_id      bigint      NOT NULL,
    n             bigint      NOT NULL CHECK (n BETWEEN 1 AND 1000000000000),
    time_created  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, news_id)
);
CREATE INDEX news_model ON reyearn.news (tenant_id, model_id);
COMMENT ON TABLE  reyearn.news IS 'changes of annotations that a model has not been trained on yet: one row a statement and model';
COMMENT ON COLUMN reyearn.news.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.news.news_id IS 'number of the row';
COMMENT ON COLUMN reyearn.news.model_id IS 'model that the change concerns';
COMMENT ON COLUMN reyearn.news.n IS 'number of annotations that changed';
COMMENT ON COLUMN reyearn.news.time_created IS 'when they changed';

-- Kept when a run is taken back or its model dropped: who gives way has had his turn.
CREATE TABLE reyearn.turns (
    tenant_id     int          PRIMARY KEY DEFAULT reyearn.current_tenant(),
    time_started  timestamptz  NOT NULL
);
COMMENT ON TABLE  reyearn.turns IS 'when a training in the background last began for each tenant: the one for whom that is longest ago comes next';
COMMENT ON COLUMN reyearn.turns.tenant_id IS 'the tenant';
COMMENT ON COLUMN reyearn.turns.time_started IS 'when a training of its last began';

CREATE TYPE reyearn.training_result AS (
    run_id      bigint,
    model       text,
    version     int,
    outcome     text,
    metric      text,
    score       float8,
    live_score  float8,
    examples    bigint,
    seconds     float8,
    reason      text
);
COMMENT ON TYPE reyearn.training_result IS
    'what reyearn_train did; outcome is promoted, kept, unchanged or queued, and reason says why';
COMMENT ON COLUMN reyearn.training_result.run_id IS 'run that made the version';
COMMENT ON COLUMN reyearn.training_result.model IS 'name of the model';
COMMENT ON COLUMN reyearn.training_result.version IS 'version that was made; for unchanged, the one that was made of the same data before';
COMMENT ON COLUMN reyearn.training_result.outcome IS 'promoted, kept, unchanged or queued';
COMMENT ON COLUMN reyearn.training_result.metric IS 'metric of the scores';
COMMENT ON COLUMN reyearn.training_result.score IS 'score of the new version';
COMMENT ON COLUMN reyearn.training_result.live_score IS 'score of the live version on the same texts';
COMMENT ON COLUMN reyearn.training_result.examples IS 'number of texts it learned from';
COMMENT ON COLUMN reyearn.training_result.seconds IS 'how long it took';
COMMENT ON COLUMN reyearn.training_result.reason IS 'why the outcome';
