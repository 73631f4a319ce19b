-- What is in shared memory. It knows no row security: these functions tell each caller what is of the tenants that he may
-- use. What people look at are reyearn.stat_models and reyearn_status().

CREATE FUNCTION reyearn.shared_images(OUT tenant_id int, OUT version_id bigint, OUT state text, OUT bytes bigint,
                                      OUT sessions int, OUT calls bigint, OUT microseconds float8, OUT loads bigint,
                                      OUT attaches bigint) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'reyearn_shared_images'
    LANGUAGE C VOLATILE;
COMMENT ON FUNCTION reyearn.shared_images() IS
    'versions of this database that the table in shared memory knows: state is live, retired, loading or absent';

CREATE FUNCTION reyearn.shared_memory(OUT is_preloaded boolean, OUT places int, OUT limit_bytes bigint,
                                      OUT live int, OUT live_bytes bigint, OUT retired int, OUT retired_bytes bigint,
                                      OUT sessions_with_retired int, OUT sessions_with_private int,
                                      OUT private_bytes bigint, OUT private_copies bigint,
                                      OUT last_private_reason text, OUT last_private_time timestamptz)
    AS 'MODULE_PATHNAME', 'reyearn_shared_memory'
    LANGUAGE C VOLATILE;
COMMENT ON FUNCTION reyearn.shared_memory() IS 'what model images of all databases take in shared memory, and why some are private';

CREATE VIEW reyearn.stat_models WITH (security_invoker, security_barrier) AS
SELECT m.name AS model, v.version, v.is_live, s.state AS memory, s.bytes, s.sessions, s.calls, s.microseconds, s.loads,
       s.attaches
  FROM reyearn.shared_images() AS s
  JOIN reyearn.model_versions AS v ON v.tenant_id = s.tenant_id AND v.version_id = s.version_id
  JOIN reyearn.models AS m ON m.tenant_id = v.tenant_id AND m.model_id = v.model_id
 WHERE v.tenant_id = reyearn.current_tenant();
COMMENT ON VIEW reyearn.stat_models IS
    'how often and how long versions have predicted since the server started, on this server: a standby counts for itself';
COMMENT ON COLUMN reyearn.stat_models.model IS 'name of the model';
COMMENT ON COLUMN reyearn.stat_models.version IS 'number of the version';
COMMENT ON COLUMN reyearn.stat_models.is_live IS 'whether this version answers predictions';
COMMENT ON COLUMN reyearn.stat_models.memory IS
    'live: in shared memory; retired: until the sessions that hold it let go; loading; absent: not in shared memory';
COMMENT ON COLUMN reyearn.stat_models.bytes IS 'shared memory that it takes';
COMMENT ON COLUMN reyearn.stat_models.sessions IS 'number of sessions that have it mapped';
COMMENT ON COLUMN reyearn.stat_models.calls IS 'number of texts predicted, by transactions that have ended';
COMMENT ON COLUMN reyearn.stat_models.microseconds IS 'time that took: one call in eight is timed, and stands for the others';
COMMENT ON COLUMN reyearn.stat_models.loads IS 'how often its image was read from its table';
COMMENT ON COLUMN reyearn.stat_models.attaches IS 'how often a session found it in shared memory';
