# One statement sees one version, however long it runs and wherever in it predictions are made, while another session
# promotes one version after the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "max_parallel_workers = 4\nmax_parallel_workers_per_gather = 0");
create_database($node, 'mail');
$node->safe_psql(
	'mail', q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home}'::text[]) AS l;
	SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home');
	SELECT reyearn_create_model('m', promotion => 'always');
	SELECT outcome FROM reyearn_train('m');
	SELECT reyearn_annotate_text('meeting', 'mail.home'), reyearn_annotate_text('birthday', 'mail.work');
	SELECT outcome FROM reyearn_train('m');
	CREATE TABLE rows AS SELECT i AS id FROM generate_series(1, 1000000) AS i;
	ALTER TABLE rows SET (parallel_workers = 2);
	VACUUM ANALYZE rows;
	CREATE FUNCTION said_stable(text) RETURNS text STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$BEGIN RETURN reyearn_predict($1, 'm'); END$$;
	CREATE TABLE inbox (id int, body text, label text);
	CREATE FUNCTION fill_stable() RETURNS trigger STABLE LANGUAGE plpgsql AS $$BEGIN NEW.label := reyearn_predict(NEW.body, 'm'); RETURN NEW; END$$;
	CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.label := reyearn_predict(NEW.body, 'm'); RETURN NEW; END$$});
my $session = session($node, 'mail');

# Another session promotes without pause, until stop_flips().
my $flips;
my $script = $node->basedir . '/flip.sql';
append_to_file($script, "SELECT reyearn_promote('m', 1);\nSELECT reyearn_promote('m', 2);\n");

sub start_flips
{
	my ($log, $errors) = ('', '');
	$flips = IPC::Run::start [ 'pgbench', '-n', '-T', 600, '-f', $script, '-h', $node->host, '-p', $node->port, 'mail' ],
	  '>', \$log, '2>', \$errors;
	return;
}

sub stop_flips
{
	$flips->kill_kill;
	wait_for($node, 'mail', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});
	return;
}

# Each query gives what all its rows say: "label label", the lowest and the highest.
my %queries = (
	'a million rows' => q{SELECT min(l), max(l) FROM (SELECT reyearn_predict('meeting', 'm')::text AS l FROM rows) AS p},
	'two places, the second reached late' => q{SELECT min(l), max(l) FROM (SELECT CASE WHEN id < 990000
		THEN reyearn_predict('meeting', 'm')::text ELSE reyearn_predict('meeting' || '', 'm')::text END AS l FROM rows) AS p},
	'a third in a function, later still' => q{SELECT min(l), max(l) FROM (SELECT CASE WHEN id < 990000
		THEN reyearn_predict('meeting', 'm')::text WHEN id < 999000 THEN said_stable('meeting')
		ELSE (SELECT label::text FROM reyearn_predict_proba('meeting' || substr(id::text, 9), 'm', top => 1)) END AS l FROM rows) AS p},
	'a sublink and the rows' => q{SELECT min(l), max(l) FROM (SELECT reyearn_predict('meeting', 'm')::text AS l FROM rows
		UNION ALL SELECT (SELECT reyearn_predict('meeting', 'm')::text)) AS p},
	'two workers and the leader' => q{SELECT min(l), max(l) FROM (SELECT reyearn_predict('meeting', 'm')::text AS l FROM rows) AS p},
	'workers alone' => q{SELECT min(l), max(l) FROM (SELECT reyearn_predict('meeting', 'm')::text AS l FROM rows) AS p});
start_flips();
for my $what (sort keys %queries)
{
	my $workers = $what =~ /worker/ ? 2 : 0;
	my $leader = $what =~ /alone/ ? 'off' : 'on';
	ask($session, "SET max_parallel_workers_per_gather = $workers; SET parallel_leader_participation = $leader");
	like(ask($session, "EXPLAIN (COSTS off) $queries{$what}"), $workers ? qr/Gather/ : qr/Aggregate\n(?!.*Gather)/s, "$what: the plan");
	for my $round (1 .. 3)
	{
		like(ask($session, $queries{$what}), qr/^(mail\.\w+)\|\1$/, "$what: one version");
	}
}

# WHERE and SELECT: under one version all rows pass and are of work, under the other none passes.
ask($session, 'SET max_parallel_workers_per_gather = 0');
for my $round (1 .. 3)
{
	like(
		ask($session, q{SELECT count(*), count(*) FILTER (WHERE l = 'mail.home') FROM (SELECT reyearn_predict('meeting', 'm') AS l
			FROM rows WHERE reyearn_predict('meeting', 'm') <> 'mail.home' OFFSET 0) AS p}),
		qr/^(1000000|0)\|0$/, 'WHERE and SELECT agree');
}

# A cursor, read in pieces; at its end a place that was not reached before.
for my $round (1 .. 5)
{
	ask($session, q{BEGIN; DECLARE c CURSOR FOR SELECT CASE WHEN id < 90 THEN reyearn_predict('meeting', 'm') ELSE reyearn_predict('meeting' || '', 'm') END FROM rows WHERE id <= 100});
	my %seen;
	for my $piece (1 .. 20)
	{
		$seen{$_}++ for split /\n/, ask($session, 'FETCH 5 FROM c');
		ask($session, q{SELECT reyearn_predict('meeting', 'm')});
	}
	ask($session, 'COMMIT');
	is(join(' ', values %seen), '100', 'a cursor: one version');
}

# Triggers: one whose function is STABLE goes by the statement's snapshot; a VOLATILE one takes a new one for each row.
for my $function (qw(fill_stable fill))
{
	ask($session, qq{TRUNCATE inbox; CREATE TRIGGER fill BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION $function()});
	ask($session, q{INSERT INTO inbox SELECT i, 'meeting' FROM generate_series(1, 100000) AS i});
	my $labels = ask($session, 'SELECT count(DISTINCT label) FROM inbox');
	is($labels, '1', "a trigger, $function: one version") if $function eq 'fill_stable';
	is($labels, '2', "a trigger, $function: the newest version for each row, and each of them came")
	  if $function eq 'fill';
	is(ask($session, q{SELECT count(*) FROM inbox WHERE label IN ('mail.work', 'mail.home'); DROP TRIGGER fill ON inbox}), '100000',
		"a trigger, $function: all rows have a label");
}
stop_flips();

# The flip between the leader's prediction and the start of the workers. What the leader says is found before they are
# started, and waits for a lock on its way.
$node->safe_psql(
	'mail', q{
	SELECT reyearn_promote('m', 1);
	CREATE FUNCTION said_by_leader() RETURNS text STABLE PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
	DECLARE
	    said CONSTANT text := reyearn_predict('meeting', 'm');
	BEGIN
	    PERFORM pg_advisory_lock(1);
	    PERFORM pg_advisory_unlock(1);
	    RETURN said;
	END
	$$});
my $query = q{WITH leader AS MATERIALIZED (SELECT said_by_leader() AS said)
	SELECT (SELECT said FROM leader), min(reyearn_predict('meeting', 'm')::text), max(reyearn_predict('meeting', 'm')::text), count(*)
	  FROM rows WHERE id > (SELECT 0 * length(said) FROM leader)};
my $settings = q{SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off; SET parallel_setup_cost = 0};
like($node->safe_psql('mail', "$settings; EXPLAIN (ANALYZE, COSTS off, TIMING off) $query"), qr/Workers Launched: 2/, 'two workers');
my $flipper = session($node, 'mail');
for my $live (2, 1)
{
	my $expected = $live == 2 ? 'mail.work' : 'mail.home';
	ask($flipper, 'SELECT pg_advisory_lock(1)');
	my ($out, $error) = ('', '');
	my $reader = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('mail'), '-c', $settings, '-c', $query ],
	  '>', \$out, '2>', \$error;
	wait_for($node, 'mail', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
	ask($flipper, "SELECT reyearn_promote('m', $live), pg_advisory_unlock(1)");
	$reader->finish;
	is($error . $out, "$expected|$expected|$expected|1000000\n", 'workers that start after the flip agree with their leader');
	is($node->safe_psql('mail', q{SELECT reyearn_predict('meeting', 'm')}), $live == 1 ? 'mail.work' : 'mail.home', 'the next statement sees the flip');
}

# A snapshot that is handed on shows its version in the other session too, whatever that one has seen before.
ask($session, q{BEGIN ISOLATION LEVEL REPEATABLE READ});
my $snapshot = ask($session, 'SELECT pg_export_snapshot()');
ask($flipper, q{SELECT reyearn_promote('m', 2)});
is(ask($flipper, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.home', 'the newest version');
is(ask($flipper, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'; SELECT reyearn_predict('meeting', 'm')"),
	'mail.work', 'an imported snapshot shows what it was taken of');
is(ask($session, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.work', '... as for the session it is from');
ask($flipper, 'COMMIT');
is(ask($flipper, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.home', 'and the newest after it');
ask($session, 'COMMIT');
is(ask($session, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.home', 'for both');

# Labels belong to the snapshot as well: a class that is renamed while a cursor is open.
ask($session, q{BEGIN; DECLARE c CURSOR FOR SELECT reyearn_predict('meeting', 'm') FROM generate_series(1, 3)});
is(ask($session, 'FETCH c'), 'mail.home', 'a cursor before a class is renamed');
ask($flipper, q{SELECT count(*) > 0 FROM reyearn_move_class('mail.home', 'mail.private')});
is(ask($session, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.private', 'another statement after it');
is(ask($session, 'FETCH ALL FROM c'), "mail.home\nmail.home", 'the cursor goes on with the old name');
ask($session, 'COMMIT');

# Rows of classes are found again where they lay, unless the table was rewritten: then others may lie there, written by
# the same transaction. Blocks come to lie in the buffers of those before them, if not in every round.
ask($flipper, q{INSERT INTO reyearn.classes (label) SELECT ('aside.n' || i)::ltree FROM generate_series(1, 40) AS i});
for my $round (1 .. 10)
{
	ask($flipper, q{BEGIN; CREATE TEMPORARY TABLE class ON COMMIT DROP AS SELECT * FROM reyearn.classes ORDER BY label <@ 'aside' DESC, label ~ 'mail.private|n*' DESC;
		SET LOCAL session_replication_role = replica; DELETE FROM reyearn.classes;
		INSERT INTO reyearn.classes OVERRIDING SYSTEM VALUE SELECT * FROM class; COMMIT; VACUUM FULL reyearn.classes});
	ask($session, q{SELECT reyearn_predict('meeting', 'm')});
	ask($flipper, "DELETE FROM reyearn.classes WHERE label = 'aside.n$round'");
	for (1 .. 2)
	{
		ask($flipper, 'VACUUM FULL reyearn.classes');
		ask($session, 'SELECT count(*) FROM reyearn.classes');
	}
	ask($flipper, "UPDATE reyearn.classes SET label = 'mail.n$round' WHERE label ~ 'mail.private|n*'");
	is(ask($session, q{SELECT reyearn_predict('meeting', 'm')}), "mail.n$round", 'a class renamed after its table was rewritten');
}

# A class that is merged into another while a cursor is open.
ask($session, q{BEGIN; DECLARE c CURSOR FOR SELECT reyearn_predict('meeting', 'm') FROM generate_series(1, 3)});
is(ask($session, 'FETCH c'), 'mail.n10', 'a cursor before a class is merged');
ask($flipper, q{SELECT count(*) > 0 FROM reyearn_move_class('mail.n10', 'mail.work')});
is(ask($session, q{SELECT reyearn_predict('meeting', 'm')}), 'mail.work', 'another statement after it');
is(ask($session, 'FETCH ALL FROM c'), "mail.n10\nmail.n10", 'the cursor goes on with the class that was merged');
ask($session, 'COMMIT');

# What a serializable transaction predicts depends on what is live: one that promotes cannot have come both before it and
# after it.
ask($flipper, $_) for 'CREATE TABLE log (entry text)', q{SELECT reyearn_promote('m', 2)};
ask($session, q{SELECT reyearn_predict('meeting', 'm')});
ask($_, 'BEGIN ISOLATION LEVEL SERIALIZABLE') for $session, $flipper;
ask($session, q{SELECT reyearn_predict('meeting', 'm')});
ask($flipper, 'SELECT count(*) FROM log');
ask($flipper, q{SELECT reyearn_promote('m', 1)});
my @errors = (error_in($session, q{INSERT INTO log VALUES ('by version 2')}), error_in($flipper, 'COMMIT'), error_in($session, 'COMMIT'));
like(join("\n", @errors), qr/^40001: /m, 'serializable: a prediction counts as a read of what is live');

$_->quit for $session, $flipper;
ok(is_unharmed($node), 'no process crashed');
done_testing();
