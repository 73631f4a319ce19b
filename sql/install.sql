-- What is in the way of an installation is not overwritten.
CREATE SCHEMA reyearn;
CREATE EXTENSION reyearn CASCADE;
SELECT count(*) FROM pg_extension WHERE extname IN ('ltree', 'reyearn');
DROP SCHEMA reyearn;
CREATE FUNCTION reyearn_status() RETURNS TABLE (name text, value text, state text, advice text)
    LANGUAGE sql AS 'SELECT NULL, NULL, NULL, NULL';
CREATE EXTENSION reyearn CASCADE;
DROP FUNCTION reyearn_status();

-- ltree may live anywhere.
CREATE SCHEMA "Odd Schema";
CREATE EXTENSION ltree SCHEMA "Odd Schema";
CREATE SCHEMA functions;
CREATE EXTENSION reyearn SCHEMA functions;
SET search_path = '';
SELECT functions.reyearn_create_class('email.business');
SELECT functions.reyearn_annotate_text('hello', 'email.business');
SELECT functions.reyearn_create_model('post', 'email');
SELECT * FROM functions.reyearn_move_class('email', 'post');
SELECT what, rows FROM functions.reyearn_drop_class('post.business', dry_run => true);
INSERT INTO reyearn.inbox (body, label) VALUES ('hello again', 'post.business');
SELECT body, label, status FROM reyearn.inbox ORDER BY body;
SELECT label, confirmed FROM reyearn.class_overview ORDER BY label::text;
RESET search_path;
DROP EXTENSION reyearn;
DROP EXTENSION ltree;
DROP SCHEMA "Odd Schema", functions;

CREATE EXTENSION reyearn CASCADE;

-- Everything is documented.
SELECT pg_describe_object(d.classid, d.objid, 0) AS undocumented
  FROM pg_depend AS d
  JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
  LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
 WHERE x.extname = 'reyearn' AND d.deptype = 'e' AND c.relkind IS DISTINCT FROM 'S'
   AND obj_description(d.objid, d.classid::regclass::name) IS NULL
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, a.attrelid, a.attnum)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind IN ('r', 'v', 'c') AND a.attnum > 0
   AND col_description(a.attrelid, a.attnum) IS NULL
UNION ALL
SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0)
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'reyearn'::regnamespace AND NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL;

-- Nothing is granted to everybody.
SELECT oid::regprocedure AS granted FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
 WHERE a.grantee = 0 AND (p.pronamespace = 'reyearn'::regnamespace OR starts_with(p.proname, 'reyearn_'));
SELECT oid::regclass AS granted FROM pg_class AS c, aclexplode(c.relacl) AS a
 WHERE a.grantee = 0 AND c.relnamespace = 'reyearn'::regnamespace;

-- No function depends on the caller's search_path, and no view shows more than its reader may see.
SELECT oid::regprocedure AS unsafe FROM pg_proc AS p
 WHERE (p.pronamespace = 'reyearn'::regnamespace OR starts_with(p.proname, 'reyearn_'))
   AND CASE (SELECT lanname FROM pg_language AS l WHERE l.oid = p.prolang)
            WHEN 'sql' THEN p.prosqlbody IS NULL
            WHEN 'plpgsql' THEN NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) END;
SELECT oid::regclass AS unsafe FROM pg_class AS c
 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind = 'v'
   AND NOT coalesce(c.reloptions @> '{security_invoker=true,security_barrier=true}', false);

-- Every parameter is named; a label can be given as text and as ltree.
SELECT oid::regprocedure AS unnamed FROM pg_proc AS p
 WHERE starts_with(p.proname, 'reyearn_') AND p.pronargs > 0 AND (p.proargnames IS NULL OR '' = ANY (p.proargnames));
SELECT proname, count(*) AS forms FROM pg_proc
 WHERE starts_with(proname, 'reyearn_') GROUP BY proname HAVING count(*) > 1 ORDER BY proname;

-- Every table and sequence is dumped.
SELECT c.oid::regclass AS "not dumped" FROM pg_class AS c
 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind IN ('r', 'S')
   AND c.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'reyearn');
