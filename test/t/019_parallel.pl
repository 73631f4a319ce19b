# Predictions wherever SQL may call them: parallel plans, prepared statements, triggers, views, generated columns,
# expressions of indexes, constraints.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "max_parallel_workers = 4\nautovacuum = off");
create_database($node, 'mail');
load_emails($node, 'mail');
my $session = session($node, 'mail');
ask($session, q{
	SELECT reyearn_create_model('mail', 'email', promotion => 'always');
	SELECT outcome FROM reyearn_train('mail');
	-- The second version has another opinion on everything.
	SELECT count(reyearn_correct(annotation_id, CASE label WHEN 'email.marketing' THEN 'email.services.orders' ELSE 'email.marketing' END))
	  FROM reyearn.annotation_overview WHERE status = 'confirmed';
	SELECT outcome FROM reyearn_train('mail');
	SELECT reyearn_promote('mail', 1);
	CREATE TABLE image AS SELECT reyearn_export_model('mail') AS bytes;
	CREATE TABLE texts AS
	SELECT row_number() OVER () AS id, CASE round % 50 WHEN 0 THEN NULL ELSE body || ' ' || round END AS body
	  FROM mails, generate_series(1, 60) AS round;
	ALTER TABLE texts SET (parallel_workers = 3);
	ANALYZE texts});
my $serial = q{SET max_parallel_workers_per_gather = 0; SET force_parallel_mode = off};
my $parallel = q{SET max_parallel_workers_per_gather = 3; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0};
my ($major) = $node->safe_psql('mail', 'SHOW server_version_num') / 10000;
my $debug = $major >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
$serial =~ s/force_parallel_mode/$debug/;

# The same answers from parallel plans.
my %queries = (
	'reyearn_predict' => q{SELECT md5(string_agg(id || ' ' || coalesce(label::text, '-'), ' ' ORDER BY id)) FROM
		(SELECT id, reyearn_predict(body, 'mail') AS label FROM texts OFFSET 0) AS p},
	'reyearn_predict in a condition' => q{SELECT count(*), sum(id) FROM texts WHERE reyearn_predict(body, 'mail') <@ 'email.business'},
	'reyearn_predict in an aggregate' => q{SELECT reyearn_predict(body, 'mail'), count(*) FROM texts GROUP BY 1 ORDER BY 1},
	'reyearn_predict, the default model' => q{SELECT min(reyearn_predict(body)::text), max(reyearn_predict(body)::text) FROM texts},
	'reyearn_predict_proba' => q{SELECT md5(string_agg(id || ' ' || p.label::text || ' ' || p.probability, ' ' ORDER BY id, p.label)) FROM
		(SELECT id, body FROM texts WHERE id % 20 = 0) AS t, reyearn_predict_proba(body, 'mail', top => 3) AS p},
	'reyearn_predict_proba, top and depth' => q{SELECT md5(string_agg(id || ' ' || p::text, ' ' ORDER BY id)) FROM
		(SELECT id, reyearn_predict_proba(body, 'mail', top => 1, depth => 2) AS p FROM texts) AS t},
	'reyearn.predict_row' => q{SELECT md5(string_agg(id || ' ' || coalesce(p::text, '-'), ' ' ORDER BY id)) FROM
		(SELECT id, reyearn.predict_row(body, 'mail') AS p FROM texts) AS t},
	'reyearn_predict_with' => q{SELECT reyearn_predict_with(bytes, body), count(*) FROM texts CROSS JOIN image GROUP BY 1 ORDER BY 1});
for my $what (sort keys %queries)
{
	my $expected = ask($session, "$serial; $queries{$what}");
	unlike($expected, qr/^\|*$/, "$what: an answer");
	like(ask($session, "$parallel; EXPLAIN (COSTS off) $queries{$what}"), qr/Gather/, "$what: a parallel plan");
	is(ask($session, $queries{$what}), $expected, "$what: the same answer");
	is(ask($session, "SET $debug = on; $queries{$what}"), $expected, "$what: the same answer with $debug");
	is(ask($session, "BEGIN ISOLATION LEVEL SERIALIZABLE; $queries{$what}; COMMIT"), $expected, "$what: and serializable");
	ask($session, "SET $debug = off");
}
# Workers that really work.
like(ask($session, q{EXPLAIN (ANALYZE, TIMING off, COSTS off, SUMMARY off) SELECT count(reyearn_predict(body, 'mail')) FROM texts}),
	qr/Workers Launched: [1-9]/, 'workers were launched');

# Workers see what the leader's transaction has done, and no more than the leader's snapshot.
my $count = q{SELECT count(*) FILTER (WHERE reyearn_predict(body, 'mail') IN ('email.marketing', 'email.services.orders')) * 100 / count(body) > 70 FROM texts};
is(ask($session, "$parallel; $count"), 'f', 'version 1 in parallel');
ask($session, q{BEGIN; SELECT reyearn_promote('mail', 2)});
is(ask($session, $count), 't', 'a promotion that is not committed, in parallel');
is($node->safe_psql('mail', "$parallel; $count"), 'f', '... and in another session');
ask($session, q{SAVEPOINT a; SELECT reyearn_promote('mail', 1); ROLLBACK TO a});
is(ask($session, $count), 't', '... and after ROLLBACK TO SAVEPOINT');
ask($session, 'ROLLBACK');
is(ask($session, $count), 'f', '... and after ROLLBACK');
ask($session, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('mail', q{SELECT reyearn_promote('mail', 2)});
is(ask($session, $count), 'f', 'REPEATABLE READ in parallel keeps its version');
ask($session, 'COMMIT');
is(ask($session, $count), 't', '... until it ends');
$node->safe_psql('mail', q{SELECT reyearn_promote('mail', 1)});

# An error in a worker is an ordinary error.
like(error_in($session, q{SELECT count(reyearn_predict(body, CASE id % 1000 WHEN 7 THEN 'none' ELSE 'mail' END)) FROM texts}),
	qr/^42704: model "none" does not exist/, 'an error in a worker');
like(error_in($session, q{SELECT count(reyearn_predict_with(CASE id % 1000 WHEN 7 THEN 'x'::bytea ELSE reyearn_export_model('mail') END, body)) FROM texts}),
	qr/^XX001: model image is damaged/, 'a damaged image in a worker');
is(ask($session, $count), 'f', 'and the session goes on');
ask($session, $serial);

# Prepared statements, with plans of both kinds, across promotions.
for my $mode (qw(force_custom_plan force_generic_plan auto))
{
	ask($session, qq{SET plan_cache_mode = $mode;
		PREPARE p (text) AS SELECT version, reyearn_predict(\$1, 'mail') = label FROM reyearn.predict_row(\$1, 'mail')});
	for my $round (1 .. 8)
	{
		my $live = 1 + $round % 2;
		$node->safe_psql('mail', "SELECT reyearn_promote('mail', $live)");
		is(ask($session, "EXECUTE p('the invoice of your last order')"), "$live|t", "$mode, execution $round");
	}
	ask($session, 'DEALLOCATE p');
}
ask($session, q{RESET plan_cache_mode; SELECT reyearn_promote('mail', 1)});

# A constant argument is no reason to keep the first answer.
ask($session, q{PREPARE constant AS SELECT version FROM reyearn.predict_row('x', 'mail');
	CREATE VIEW opinion AS SELECT m.id, m.body, reyearn_predict(m.body, 'mail') AS label FROM mails AS m;
	CREATE FUNCTION version() RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT version FROM reyearn.predict_row('x', 'mail'); END});
for my $live (1, 2, 1)
{
	$node->safe_psql('mail', "SELECT reyearn_promote('mail', $live)");
	is(ask($session, 'EXECUTE constant; SELECT public.version()'), "$live\n$live", "constant arguments, version $live");
	is(ask($session, q{SELECT count(*) > 150 FROM opinion JOIN reyearn.annotation_overview AS a ON a.text = opinion.body AND a.label = opinion.label
		WHERE a.status = } . ($live == 1 ? q{'rejected'} : q{'confirmed'})), 't', "a view, version $live");
}

# Triggers, rows of one statement and of several.
ask($session, q{
	CREATE TABLE inbox (id int GENERATED ALWAYS AS IDENTITY, body text, label ltree, expected ltree);
	CREATE FUNCTION label() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	    NEW.label := reyearn_predict(NEW.body, 'mail');
	    RETURN NEW;
	END
	$$;
	CREATE TRIGGER label BEFORE INSERT OR UPDATE OF body ON inbox FOR EACH ROW EXECUTE FUNCTION label();
	INSERT INTO inbox (body, expected) SELECT body, label::ltree FROM mails});
is(ask($session, 'SELECT count(*), count(*) FILTER (WHERE label = expected) > 180 FROM inbox'), '201|t', 'a trigger');
ask($session, q{BEGIN; SELECT reyearn_promote('mail', 2); UPDATE inbox SET body = body || ''});
is(ask($session, 'SELECT count(*) FILTER (WHERE label = expected) < 40 FROM inbox'), 't', 'a trigger after a promotion in its transaction');
ask($session, 'ROLLBACK; UPDATE inbox SET body = body || $$$$');
is(ask($session, 'SELECT count(*) FILTER (WHERE label = expected) > 180 FROM inbox'), 't', '... and after its ROLLBACK');
$node->safe_psql('mail', qq{COPY (SELECT body FROM mails) TO '} . $node->basedir . q{/bodies'});
is(ask($session, q{COPY inbox (body) FROM '} . $node->basedir . q{/bodies'; SELECT count(label) FROM inbox}), '402', 'a trigger under COPY');

# What has to be IMMUTABLE uses an image: an index, a generated column, a partition key, a constraint.
my $image = ask($session, 'SELECT encode(bytes, $$hex$$) FROM image');
is( ask($session, qq{
		CREATE FUNCTION fixed(body text) RETURNS ltree IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
		    RETURN reyearn_predict_with('\\x$image'::bytea, body);
		SET maintenance_work_mem = '64MB'; SET max_parallel_maintenance_workers = 2; SET min_parallel_table_scan_size = 0;
		CREATE INDEX texts_label ON texts (fixed(body));
		ANALYZE texts;
		SET enable_seqscan = off;
		SELECT count(*) = (SELECT count(*) FROM mails, generate_series(1, 59) AS i WHERE fixed(mails.body) = 'email.marketing') OR count(*) > 1000
		  FROM texts WHERE fixed(body) = 'email.marketing'}),
	't', 'an index of predictions');
like(ask($session, q{EXPLAIN (COSTS off) SELECT id FROM texts WHERE fixed(body) = 'email.marketing'}), qr/texts_label/, '... is used');
my $indexed = ask($session, q{SELECT count(*), sum(id) FROM texts WHERE fixed(body) = 'email.services.orders'});
is(ask($session, q{SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off;
	SELECT count(*), sum(id) FROM texts WHERE fixed(body) = 'email.services.orders'}), $indexed, '... and right');
$node->safe_psql('mail', q{SELECT reyearn_promote('mail', 2)});
is(ask($session, q{INSERT INTO texts VALUES (0, 'the invoice of your last order'); REINDEX INDEX texts_label;
	RESET enable_indexscan; RESET enable_bitmapscan; SET enable_seqscan = off;
	SELECT count(*) FROM texts WHERE fixed(body) = fixed('the invoice of your last order') AND id = 0}), '1', '... and stays right');
ask($session, q{RESET ALL;
	CREATE TABLE sorted (body text, label ltree GENERATED ALWAYS AS (fixed(body)) STORED, CHECK (fixed(body) IS NOT NULL));
	INSERT INTO sorted (body) SELECT body FROM mails});
is(ask($session, q{SELECT count(*) FROM sorted JOIN mails USING (body) WHERE sorted.label <> fixed(mails.body)}), '0', 'a generated column');
like(error_in($session, q{CREATE INDEX ON texts (reyearn_predict(body, 'mail'))}), qr/^42P17: .*IMMUTABLE/,
	'an index of what depends on the live version is refused');

# Other places.
is(ask($session, q{SELECT label, count(*) > 5 FROM (SELECT reyearn_predict(body, 'mail') AS label FROM texts WHERE id % 40 = 0) AS p
	WHERE label = 'email.marketing' GROUP BY label}), 'email.marketing|t', 'a subquery');
is(ask($session, q{WITH RECURSIVE r (i, label) AS (SELECT 1, reyearn_predict('your order', 'mail') UNION ALL
	SELECT i + 1, reyearn_predict('your order ' || i, 'mail') FROM r WHERE i < 50) SELECT count(label) FROM r}), '50', 'a recursive query');
is(ask($session, q{SELECT count(*) FROM generate_series(1, 3) AS i, LATERAL (SELECT reyearn_predict('your order ' || i, 'mail') AS label,
	count(*) OVER (PARTITION BY reyearn_predict('your order', 'mail'))) AS l}), '3', 'LATERAL and a window');
is(ask($session, q{CREATE TABLE d (a text, b ltree DEFAULT reyearn_predict('your order', 'mail')); INSERT INTO d (a) VALUES ('x'), ('y');
	ALTER TABLE d ADD c ltree DEFAULT reyearn_predict('your order', 'mail'); SELECT count(b), count(c) FROM d}), '2|2', 'defaults');
is(ask($session, q{CREATE MATERIALIZED VIEW mv AS SELECT * FROM opinion; REFRESH MATERIALIZED VIEW mv; SELECT count(label) FROM mv}), '201',
	'a materialized view');
is(ask($session, q{DO $$ BEGIN FOR i IN 1 .. 3 LOOP PERFORM reyearn_predict('x', 'mail'); COMMIT; END LOOP; END $$;
	SELECT reyearn_predict('your order', 'mail') IS NOT NULL}), 't', 'a DO block that commits');
is(ask($session, q{CREATE DOMAIN opinionated AS text CHECK (reyearn_predict(VALUE, 'mail') IS NOT NULL);
	SELECT 'x'::opinionated, CAST('y' AS opinionated)}), 'x|y', 'a domain');
is(ask($session, q{SELECT count(*) FROM (SELECT reyearn_predict_proba(body, 'mail', 2) FROM mails) AS p}), '402',
	'a function that returns rows, in a select list');

$session->quit;
ok(is_unharmed($node), 'no process crashed');

done_testing();
