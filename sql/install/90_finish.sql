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
        PERFORM reyearn.hold_off_training();
    END IF;
    IF reyearn.restoring() AND has_parameter_privilege('session_replication_role', 'SET') THEN
        PERFORM set_config('session_replication_role', 'replica', true);    -- until the transaction ends
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION reyearn.load_in_any_order() IS
    'while a dump is restored, leaves foreign keys unchecked until the transaction ends: pg_restore --jobs fills the tables in any order';

-- From here on nothing is named that could be found in a schema where others create objects.
DO $$
DECLARE
    object record;
    grantee text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

    FOR object IN
        SELECT d.classid, d.objid, c.relkind, d.objid::regclass IN ('reyearn.grants', 'reyearn.login_keys', 'reyearn.turns') AS is_common,
               EXISTS (SELECT FROM pg_constraint AS f WHERE f.conrelid = c.oid AND f.contype = 'f') AS has_foreign_key
          FROM pg_depend AS d
          JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
          LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
         WHERE x.extname = 'reyearn' AND d.deptype = 'e'
           AND (d.classid = 'pg_proc'::regclass OR c.relkind IN ('r', 'S', 'v'))
    LOOP
        -- Nobody but the owner reads, writes or calls anything until it is granted; default privileges do not count.
        FOR grantee IN
            SELECT 'PUBLIC'
            UNION
            SELECT quote_ident(r.rolname)
              FROM (SELECT p.proacl AS acl, p.proowner AS owner FROM pg_proc AS p
                     WHERE object.classid = 'pg_proc'::regclass AND p.oid = object.objid
                    UNION ALL
                    SELECT c.relacl, c.relowner FROM pg_class AS c
                     WHERE object.classid = 'pg_class'::regclass AND c.oid = object.objid) AS given
             CROSS JOIN LATERAL aclexplode(given.acl) AS a
              JOIN pg_roles AS r ON r.oid = a.grantee AND r.oid <> given.owner
        LOOP
            IF object.classid = 'pg_proc'::regclass THEN
                EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', object.objid::regprocedure, grantee);
            ELSE
                EXECUTE format('REVOKE ALL ON %s FROM %s', object.objid::regclass, grantee);
            END IF;
        END LOOP;
        -- Dumped with the database: every table and the sequence of its identity column. The rows that this script
        -- inserts are not: the restore's CREATE EXTENSION makes them.
        IF object.relkind IN ('r', 'S') THEN
            PERFORM pg_extension_config_dump(object.objid::regclass,
                CASE WHEN object.objid = 'reyearn.tenants'::regclass THEN 'WHERE tenant_id <> 0' ELSE '' END);
        END IF;
        -- Whatever the statement, everybody sees and writes only the rows of the tenants that he may use.
        IF object.relkind = 'r' THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', object.objid::regclass);
            EXECUTE format('CREATE POLICY own_rows ON %s USING (%s)', object.objid::regclass,
                           CASE WHEN object.is_common THEN 'reyearn.sees_all_tenants()'
                                ELSE 'tenant_id = ANY (reyearn.usable_tenants())' END);
            EXECUTE format('COMMENT ON POLICY own_rows ON %s IS %L', object.objid::regclass,
                           CASE WHEN object.is_common THEN 'for those who see all tenants'
                                ELSE 'rows of the tenants that one may use' END);
        END IF;
        IF object.has_foreign_key THEN
            EXECUTE format('CREATE TRIGGER load_in_any_order BEFORE INSERT ON %s'
                           ' FOR EACH STATEMENT EXECUTE FUNCTION reyearn.load_in_any_order()', object.objid::regclass);
            EXECUTE format('COMMENT ON TRIGGER load_in_any_order ON %s IS %L', object.objid::regclass,
                           'while a dump is restored, leaves foreign keys unchecked');
        END IF;
    END LOOP;

    -- What the bodies of functions and views, defaults, checks and policies call was looked up in the schemas that the
    -- extension and ltree are in, where others may have put objects of their own: nothing of that may be among it. Nor
    -- what the owner of ltree, who need not be a superuser, has added to it: its own objects belong to one.
    FOR object IN
        WITH member AS (
            SELECT d.classid, d.objid, x.extname = 'reyearn' AS is_ours
              FROM pg_depend AS d
              JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
              LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
              LEFT JOIN pg_operator AS o ON d.classid = 'pg_operator'::regclass AND o.oid = d.objid
              LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
              LEFT JOIN pg_opclass AS c ON d.classid = 'pg_opclass'::regclass AND c.oid = d.objid
              LEFT JOIN pg_roles AS owner ON owner.oid = coalesce(p.proowner, o.oprowner, t.typowner, c.opcowner)
             WHERE d.deptype = 'e' AND (x.extname = 'reyearn' OR x.extname = 'ltree' AND owner.rolsuper)
        ), relation AS (
            SELECT m.objid FROM member AS m WHERE m.classid = 'pg_class'::regclass AND m.is_ours
        ), part AS (
            SELECT m.classid, m.objid FROM member AS m WHERE m.is_ours
            UNION ALL
            SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite AS r WHERE r.ev_class IN (TABLE relation)
            UNION ALL
            SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef AS a WHERE a.adrelid IN (TABLE relation)
            UNION ALL
            SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint AS c WHERE c.conrelid IN (TABLE relation)
            UNION ALL
            SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p WHERE p.polrelid IN (TABLE relation)
            UNION ALL
            SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger AS t WHERE t.tgrelid IN (TABLE relation)
        )
        SELECT pg_describe_object(p.classid, p.objid, 0) AS ours, pg_describe_object(d.refclassid, d.refobjid, 0) AS other
          FROM part AS p
          JOIN pg_depend AS d ON d.classid = p.classid AND d.objid = p.objid
         WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_class'::regclass, 'pg_collation'::regclass,
                                'pg_opclass'::regclass, 'pg_type'::regclass)
           AND d.refobjid >= 16384    -- what initdb made is PostgreSQL's own
           AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = d.refclassid AND m.objid = d.refobjid)
           AND NOT EXISTS (SELECT FROM pg_index AS i    -- and indexes and row types of our tables are no members
                            WHERE d.refclassid = 'pg_class'::regclass AND i.indexrelid = d.refobjid
                              AND i.indrelid IN (TABLE relation))
           AND NOT EXISTS (SELECT FROM pg_type AS t
                            WHERE d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
                              AND (t.typrelid IN (TABLE relation)
                                   OR t.typelem IN (SELECT m.objid FROM member AS m WHERE m.classid = d.refclassid)))
    LOOP
        RAISE insufficient_privilege USING
            MESSAGE = 'cannot install reyearn in this schema',
            DETAIL = format('The %s would use the %s, which somebody else has made.', object.ours, object.other),
            HINT = 'Drop that, or install reyearn and ltree in schemas where only trusted roles create objects.';
    END LOOP;

    INSERT INTO reyearn.tenants (tenant_id, name) VALUES (0, 'default');
END
$$;
