-- What must hold for every object of the extension, so that nothing added above is forgotten.

-- The tables of an extension have their foreign keys before they are filled, and pg_dump's archives do not say which of
-- them to fill first: pg_restore --jobs loads them in any order. A dump is consistent, so while one is being restored
-- foreign keys are not checked, as under pg_restore --disable-triggers. A role that may not switch them off, which
-- takes more rights than most have, restores in one job.
CREATE FUNCTION reyearn.load_in_any_order() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF reyearn.restoring() THEN
        PERFORM pg_try_advisory_lock_shared(reyearn.restore_lock(), 0);    -- no worker trains until the session ends
    END IF;
    IF reyearn.restoring() AND has_parameter_privilege('session_replication_role', 'SET') THEN
        PERFORM set_config('session_replication_role', 'replica', true);    -- until the transaction ends
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.load_in_any_order() IS
    'while a dump is restored, leaves foreign keys unchecked until the transaction ends: pg_restore --jobs fills the tables in any order';

DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT d.classid, d.objid, c.relkind,
               EXISTS (SELECT FROM pg_constraint AS f WHERE f.conrelid = c.oid AND f.contype = 'f') AS has_foreign_key
          FROM pg_depend AS d
          JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
          LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
         WHERE x.extname = 'reyearn' AND d.deptype = 'e'
           AND (d.classid = 'pg_proc'::regclass OR c.relkind IN ('r', 'S', 'v'))
    LOOP
        -- Nobody but the owner reads, writes or calls anything until it is granted.
        IF object.classid = 'pg_proc'::regclass THEN
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', object.objid::regprocedure);
        ELSE
            EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', object.objid::regclass);
        END IF;
        -- Dumped with the database: every table and the sequence of its identity column. The rows that this script
        -- inserts are not: the restore's CREATE EXTENSION makes them.
        IF object.relkind IN ('r', 'S') THEN
            PERFORM pg_extension_config_dump(object.objid::regclass,
                CASE WHEN object.objid = 'reyearn.tenants'::regclass THEN 'WHERE tenant_id <> 0' ELSE '' END);
        END IF;
        IF object.has_foreign_key THEN
            EXECUTE format('CREATE TRIGGER load_in_any_order BEFORE INSERT ON %s'
                           ' FOR EACH STATEMENT EXECUTE FUNCTION reyearn.load_in_any_order()', object.objid::regclass);
            EXECUTE format('COMMENT ON TRIGGER load_in_any_order ON %s IS %L', object.objid::regclass,
                           'while a dump is restored, leaves foreign keys unchecked');
        END IF;
    END LOOP;
END
$$;
