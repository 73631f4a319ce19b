-- What must hold for every object of the extension, so that nothing added above is forgotten.

DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT d.classid, d.objid, c.relkind
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
    END LOOP;
END
$$;
