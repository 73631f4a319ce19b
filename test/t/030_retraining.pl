# A commit that changes what a model learns from is enough: a worker wakes, trains and goes, whichever way the change
# came, with preloading and without. What is rolled back, or only predicted, wakes nobody. Listeners hear a model's
# number and nothing else. Trainings can be queued.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(sleep time);

# The probe is out of the way, unless a test sets it.
my $settings = "reyearn.max_workers = 2\nreyearn.probe_interval = 3600\nlog_min_messages = debug1\n";
my $preload = "shared_preload_libraries = 'reyearn'\n";
my $node;

# Model m of two classes, six texts each, trained by itself.
sub start_with_model
{
	my ($name, $more) = @_;
	$node = start_server($name, $settings . $more);
	create_database($node, 'mail');
	$node->safe_psql('mail', q{
		SELECT reyearn_create_class('topic.' || c) FROM unnest('{food,sport}'::text[]) AS c;
		SELECT reyearn_create_model('m', 'topic', retrain_delay => '0', promotion => 'always')});
	learns(q{
		SELECT reyearn_annotate_text('soup and bread ' || i, 'topic.food') FROM generate_series(1, 6) AS i;
		SELECT reyearn_annotate_text('ball and goal ' || i, 'topic.sport') FROM generate_series(1, 6) AS i},
		"$name: the first annotations");
	return;
}

# Statements, then in the end a run that nobody asked for, which has seen all, and no news left.
sub learns
{
	my ($sql, $what) = @_;
	my $before = last_run();
	$node->safe_psql('mail', $sql) if $sql ne '';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return becomes($node, 'mail', qq{
		SELECT count(*) > 0, bool_and(NOT is_requested AND outcome IN ('promoted', 'kept', 'unchanged')),
		       (array_agg(examples ORDER BY run_id DESC))[1] = (SELECT count(DISTINCT body) FROM reyearn.annotations JOIN reyearn.observations USING (tenant_id, observation_id)
		                                                         WHERE status = 'confirmed' AND body <> 'alone'),
		       (SELECT count(*) FROM reyearn.news WHERE model_id = 1)
		  FROM reyearn.runs
		 WHERE run_id > $before AND model_id = 1}, 't|t|t|0', $what);
}

sub last_run
{
	return $node->safe_psql('mail', 'SELECT coalesce(max(run_id), 0) FROM reyearn.runs');
}

# Workers that the server has started.
sub starts { return worker_starts($node) }

sub is_at_rest
{
	for (my $before = -1; $before != starts(); sleep 1.5) { $before = starts() }
	return;
}

sub set
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
	$node->reload;
	wait_for($node, 'mail', "SELECT current_setting('$name') = current_setting('$name') AND setting = '$value' FROM pg_settings WHERE name = '$name'")
	  or BAIL_OUT("$name is not set");
	return;
}

# What the listener has heard since it was last asked. Notices come in the order of commits: after one's own, none that
# is older is still to come.
my ($listener, $notices) = (undef, 0);
my @all_heard;

sub heard
{
	my $mark = ++$notices;
	$node->safe_psql('mail', "NOTIFY mark, '$mark'");
	my @heard;
	for (my $is_there = 0; !$is_there;)
	{
		my $output = ask($listener, 'SELECT 1');
		while ($output =~ /^Asynchronous notification "(\w+)"(?: with payload "(.*)")? received from/mg)
		{
			if ($1 eq 'mark') { $is_there ||= $2 eq $mark }
			else { push @heard, "$1 " . ($2 // '') }
		}
	}
	push @all_heard, @heard;
	return join ', ', @heard;
}

# A procedure that annotates when a run has ended, a little later each time, and raises an error if that is never learned.
my $hurry = q{
	CREATE PROCEDURE until_true(condition text, round int) LANGUAGE plpgsql AS $$
	DECLARE
	    is_true boolean := false;
	    late CONSTANT timestamptz := clock_timestamp() + interval '10 s';
	BEGIN
	    WHILE NOT is_true LOOP
	        COMMIT;
	        PERFORM pg_sleep(0.0005);
	        EXECUTE 'SELECT ' || condition INTO is_true;
	        IF clock_timestamp() > late THEN RAISE 'round %: % does not become true', round, condition; END IF;
	    END LOOP;
	END
	$$;
	CREATE PROCEDURE hurry(rounds int) LANGUAGE plpgsql AS $$
	DECLARE
	    last bigint;
	BEGIN
	    FOR i IN 1 .. rounds LOOP
	        SELECT max(run_id) INTO last FROM reyearn.runs;
	        PERFORM reyearn_annotate_text('salad ' || i, 'topic.food');
	        CALL until_true(format('EXISTS (SELECT FROM reyearn.runs WHERE run_id > %s AND time_finished IS NOT NULL)', last), i);
	        PERFORM pg_sleep(0.0002 * (i % 40));
	        PERFORM reyearn_annotate_text('pitch ' || i, 'topic.sport');
	        CALL until_true('NOT EXISTS (SELECT FROM reyearn.news)', i);
	    END LOOP;
	END
	$$};

# Every way in. What a statement needs is prepared by another before, which wakes nobody.
my @ways = (
	[ 'reyearn_annotate_text', q{SELECT reyearn_annotate_text('stew', 'topic.food')} ],
	[ 'INSERT', q{INSERT INTO reyearn.annotations (observation_id, class_id, status)
		SELECT observed, class_id, 'confirmed' FROM reyearn_observe('racket') AS observed, reyearn.classes WHERE label = 'topic.sport'} ],
	[ 'UPDATE of a status', q{UPDATE reyearn.annotations SET status = 'rejected' WHERE annotation_id = 1} ],
	[ 'UPDATE of a class', q{UPDATE reyearn.annotations SET class_id = (SELECT class_id FROM reyearn.classes WHERE label = 'topic.sport')
		WHERE annotation_id = 2} ],
	[ 'DELETE', q{DELETE FROM reyearn.annotations WHERE annotation_id = 3} ],
	[ 'INSERT into the inbox', q{INSERT INTO reyearn.inbox (body, label) VALUES ('hockey', 'topic.sport'), ('cheese', 'topic.food')} ],
	[ 'COPY into the inbox', "COPY reyearn.inbox (body, label) FROM STDIN;\nrelay race\ttopic.sport\npancake\ttopic.food\n\\.\n" ],
	[ 'reyearn_confirm', q{SELECT reyearn_confirm(annotation_id) FROM reyearn.annotations WHERE status = 'predicted' LIMIT 1} ],
	[ 'reyearn_reject', q{SELECT reyearn_reject(annotation_id) FROM reyearn.annotations WHERE status = 'predicted' LIMIT 1} ],
	[ 'reyearn_correct', q{SELECT reyearn_correct(annotation_id, 'topic.sport') FROM reyearn.annotations WHERE status = 'predicted' LIMIT 1} ],
	[ 'a trigger of an application', q{INSERT INTO ticket VALUES ('noodles', 'topic.food')} ],
	[ 'reyearn_forget', q{SELECT reyearn_forget(observation_id) FROM reyearn.observations WHERE body = 'stew'} ],
	[ 'a function that annotates and catches its error', q{DO $$BEGIN PERFORM reyearn_annotate_text('rice', 'topic.food');
		BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END; END$$} ]);

sub try_all_ways
{
	my ($name) = @_;
	my $before = last_run();
	$node->safe_psql('mail', $hurry);
	$node->safe_psql('mail', q{
		CREATE TABLE ticket (body text, queue text);
		CREATE FUNCTION learn_ticket() RETURNS trigger LANGUAGE plpgsql AS
		    $$BEGIN PERFORM reyearn_annotate_text(NEW.body, NEW.queue); RETURN NULL; END$$;
		CREATE TRIGGER learn AFTER INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION learn_ticket();
		SELECT reyearn_classify('soup ' || i) FROM generate_series(11, 13) AS i});
	is(last_run(), $before, "$name: predictions are no news");
	learns($_->[1], "$name: $_->[0]") for @ways;
	# Annotations at any moment around the end of a worker: first when it has trained, and while it goes.
	is(error_of($node, 'mail', 'CALL hurry(100)'), '', "$name: no annotation is lost that comes while a worker goes");
	ok(is_unharmed($node), "$name: no process crashed");
	return;
}

start_with_model('plain', '');
is($node->safe_psql('mail', 'SELECT launcher IS NULL FROM reyearn.background()'), 't', 'plain: no launcher');
try_all_ways('plain');
$node->stop;

start_with_model('preloaded', "${preload}max_prepared_transactions = 5");
is($node->safe_psql('mail', 'SELECT launcher > 0 FROM reyearn.background()'), 't', 'preloaded: a launcher');
try_all_ways('preloaded');

# What wakes nobody. Two runs would be one: each statement waits for what it might have caused.
$listener = session($node, 'mail');
ask($listener, 'LISTEN reyearn_annotation; LISTEN reyearn_model; LISTEN mark');
my $annotate = q{SELECT reyearn_annotate_text('fencing', 'topic.sport')};

sub wakes_nobody
{
	my ($sql, $what) = @_;
	is_at_rest();
	my ($starts, $runs) = (starts(), last_run());
	$node->safe_psql('mail', $sql);
	is(heard(), '', "$what: nobody is told");
	sleep 1.5;
	is(starts() - $starts, 0, "$what: no worker starts");
	is(last_run(), $runs, "$what: no training");
	return;
}

wakes_nobody("BEGIN; $annotate; ROLLBACK", 'ROLLBACK');
wakes_nobody("BEGIN; SAVEPOINT a; $annotate; ROLLBACK TO a; COMMIT", 'ROLLBACK TO SAVEPOINT');
wakes_nobody("BEGIN; SAVEPOINT a; SAVEPOINT b; $annotate; RELEASE b; ROLLBACK TO a; COMMIT", 'RELEASE within a ROLLBACK TO SAVEPOINT');
wakes_nobody(q{SELECT reyearn_classify('soup for one')}, 'reyearn_classify');
wakes_nobody(q{SELECT reyearn_annotate_text('soup for two', 'topic.food', 'unknown')}, 'status unknown');
wakes_nobody("SELECT reyearn_annotate_text('hockey', 'topic.sport')", 'what is known already');
my $starts = starts();
learns("BEGIN; SAVEPOINT a; SAVEPOINT b; $annotate; RELEASE b; RELEASE a; COMMIT", 'RELEASE SAVEPOINT: trained');
is(heard(), 'reyearn_annotation 1, reyearn_model 1', 'RELEASE SAVEPOINT: told');
cmp_ok(starts(), '>', $starts, 'RELEASE SAVEPOINT: a worker starts');
learns("BEGIN; $annotate; SELECT reyearn_annotate_text('judo', 'topic.sport'); SAVEPOINT a; SELECT reyearn_annotate_text('rowing', 'topic.sport'); ROLLBACK TO a; COMMIT",
	'ROLLBACK TO SAVEPOINT keeps what was before: trained');
is(heard(), 'reyearn_annotation 1, reyearn_model 1', '... and told, once for a transaction');

# NOTIFY.
$node->safe_psql('mail', q{SELECT reyearn_create_model('secret of ours', retrain_delay => '0', promotion => 'always')});
my $runs_of_two = 'SELECT count(*) FROM reyearn.runs WHERE model_id = 2';
becomes($node, 'mail', "$runs_of_two AND outcome = 'promoted'", '1', 'a new model of texts that are there is trained');
is(heard(), 'reyearn_annotation 2, reyearn_model 2', '... and told, it alone');
learns(q{SELECT reyearn_annotate_text('waffle', 'topic.food')}, 'two models learn from an annotation: one');
becomes($node, 'mail', "$runs_of_two AND outcome = 'promoted'", '2', '... and the other');
my @told = split /, /, heard();
is_deeply([ sort @told ], [ map { ("$_ 1", "$_ 2") } qw(reyearn_annotation reyearn_model) ], 'each is told of news and of its training');
learns(q{SET reyearn.notify = off; SELECT reyearn_annotate_text('muffin', 'topic.food')}, 'without reyearn.notify: trained');
becomes($node, 'mail', "$runs_of_two AND outcome = 'promoted'", '3', '... both models');
is(join(', ', sort split /, /, heard()), 'reyearn_model 1, reyearn_model 2', '... and no news of annotations');
$node->safe_psql('mail', q{SELECT reyearn_drop_model('secret of ours')});
heard();
$node->safe_psql('mail', q{SELECT reyearn_rollback('m')});
is(heard(), 'reyearn_model 1', 'a version that goes live is told');
$node->safe_psql('mail', q{BEGIN; SELECT reyearn_promote('m', max(version)) FROM reyearn.model_versions WHERE time_pruned IS NULL AND model_id = 1; ROLLBACK});
is(heard(), '', '... unless it is rolled back');

# Trainings that are asked for.
sub queue
{
	my ($arguments) = @_;
	return $node->safe_psql('mail', "SELECT outcome, run_id FROM reyearn_train($arguments, wait => false)") =~ s/^queued\|//r;
}

sub ends_as
{
	my ($run, $expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	becomes($node, 'mail', "SELECT outcome, is_too_early, is_requested, started_by = current_user, time_finished >= time_started FROM reyearn.runs WHERE run_id = $run",
		"$expected|t|t|t", $what);
	return;
}

like(my $run = queue(q{'m'}), qr/^\d+$/, 'a queued training has a number');
ends_as($run, 'unchanged|f', 'the same data');
heard();
ends_as(queue(q{'m'}), 'unchanged|f', '... again');
is(heard(), 'reyearn_model 1', '... its end is told');
ends_as(queue(q{'m', '{"alpha": 0.5}'}), 'promoted|f', 'other parameters');
$node->safe_psql('mail', q{SELECT reyearn_alter_model('m', promotion => 'never')});
ends_as(queue(q{'m', '{"alpha": 0.25}'}), 'kept|f', 'not to be promoted');
$node->safe_psql('mail', q{SELECT reyearn_alter_model('m', promotion => 'always')});
is($node->safe_psql('mail', q{
	BEGIN;
	CREATE TEMPORARY TABLE asked ON COMMIT DROP AS
	    SELECT n, (reyearn_train('m', params, wait => false)).run_id
	      FROM (VALUES (1, '{"alpha": 0.3}'::jsonb), (2, '{"alpha": 0.3}'), (3, '{"alpha": 0.4}')) AS one (n, params);
	SELECT min(run_id) FILTER (WHERE n = 1) = min(run_id) FILTER (WHERE n = 2), count(DISTINCT run_id) FROM asked;
	COMMIT}), 't|2', 'the same twice is one run');
ends_as(last_run() - $_, 'promoted|f', "queued together: the last but $_") for 1, 0;
my $runs = last_run();
$node->safe_psql('mail', q{BEGIN; SELECT reyearn_train('m', '{"alpha": 0.6}', wait => false); ROLLBACK});
like(error_of($node, 'mail', q{SELECT reyearn_train('m', '{"nonsense": 1}', wait => false)}), qr/^42704: unknown parameter "nonsense"/, 'an unknown parameter is an error at once');
like(error_of($node, 'mail', q{SELECT reyearn_train('nobody', wait => false)}), qr/^42704: model "nobody" does not exist/, '... and an unknown model');
is(last_run(), $runs, '... and nothing is queued, nor by what is rolled back');
$node->safe_psql('mail', q{
	SELECT reyearn_create_class('lone.one'), reyearn_create_model('lone', 'lone', retrain_after => 0), reyearn_annotate_text('alone', 'lone.one')});
ends_as($run = queue(q{'lone'}), 'failed|t', 'one class: it fails, too early');
like($node->safe_psql('mail', "SELECT reason FROM reyearn.runs WHERE run_id = $run"), qr/^there is only one class to learn; /, '... and says why');
set('reyearn.max_workers', 0);
like(error_of($node, 'mail', q{SELECT reyearn_train('m', wait => false)}),
	qr/^55000: training in the background is switched off\nDETAIL:  reyearn\.max_workers is 0\.\nHINT:  Raise it, or call reyearn_train/,
	'without workers nothing can be queued');
set('reyearn.max_workers', 2);

# Two-phase commit: no notice and no flag, the probe finds what it left.
heard();
my $before = last_run();
$node->safe_psql('mail', q{BEGIN; SELECT reyearn_annotate_text('sushi', 'topic.food'); PREPARE TRANSACTION 'p'});
pass('PREPARE TRANSACTION after an annotation');
set('reyearn.probe_interval', 1);
$starts = starts();
for (1 .. 100) { last if starts() >= $starts + 3; sleep 0.2 }
cmp_ok(starts(), '>=', $starts + 3, 'the probe looks');
is(last_run(), $before, '... and does not train what is prepared only');
learns(q{COMMIT PREPARED 'p'}, 'COMMIT PREPARED: trained');
is(heard(), 'reyearn_model 1', '... only its training was told');
my $version = $node->safe_psql('mail', q{
	SELECT max(version) FROM reyearn.model_versions WHERE model_id = 1 AND NOT is_live AND time_pruned IS NULL});
$node->safe_psql('mail', qq{BEGIN; SELECT reyearn_promote('m', $version); PREPARE TRANSACTION 'p'});
isnt(live_version($node, 'mail', 'm'), $version, 'PREPARE TRANSACTION after reyearn_promote');
$node->safe_psql('mail', q{COMMIT PREPARED 'p'});
is(live_version($node, 'mail', 'm'), $version, '... and COMMIT PREPARED');
learns(q{SELECT reyearn_annotate_text('salmon', 'topic.food')}, '... and the model learns on');

heard();
is_deeply([ grep { !/^reyearn_(?:annotation|model) \d+$/ } @all_heard ], [], 'whatever was told was a number, of ' . @all_heard . ' notices');
cmp_ok(scalar @all_heard, '>', 20, '... which were some');
$listener->quit;
ok(is_unharmed($node), 'no process crashed');
$node->stop;

done_testing();
