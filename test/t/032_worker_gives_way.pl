# A training in the background is in nobody's way: whoever wants its database, its tables or its model gets them within
# seconds, and the training is done afterwards by itself. It survives being ended, shutdowns and crashes, and it says what
# it lacks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time usleep);

srand(32);

# What is promised to those who want the database, and to those who want a lock; these bounds are what this test asserts.
my ($database_bound, $lock_bound) = (4, 3);

# Nothing happens by a search every minute here: what is learned is learned since something told the launcher.
my $settings = q{
	shared_preload_libraries = 'reyearn'
	reyearn.max_workers = 2
	reyearn.training_threads = 1
	reyearn.probe_interval = 1h
	maintenance_work_mem = 256MB
	max_wal_size = 4GB
	restart_after_crash = on
	};

# Model m of texts whose pairs, triples and so on are mostly new: a training of several seconds. Model quick is of two.
sub create_models
{
	my ($node, $database, $texts) = @_;
	create_database($node, $database);
	$node->safe_psql(
		$database, qq{
		SELECT reyearn_create_class('big.' || c) FROM unnest('{a,b}'::text[]) AS c;
		SELECT reyearn_create_class('small.' || c) FROM unnest('{a,b}'::text[]) AS c;
		BEGIN;
		SET LOCAL session_replication_role = replica;
		INSERT INTO reyearn.observations (body)
		SELECT string_agg('w' || (hashint4(i * 64 + j) & 8191), ' ') || ' n' || i
		  FROM generate_series(1, $texts) AS i, generate_series(1, 40) AS j
		 GROUP BY i;
		WITH ids AS (SELECT array_agg(class_id ORDER BY label) AS id FROM reyearn.classes
		              WHERE label <@ 'big' AND label <> 'big')
		INSERT INTO reyearn.annotations (observation_id, class_id)
		SELECT observation_id, id[1 + observation_id % 2] FROM ids, reyearn.observations;
		COMMIT;
		ANALYZE reyearn.observations, reyearn.annotations;
		SELECT reyearn_annotate_text('so small a text', 'small.a'), reyearn_annotate_text('another text', 'small.b');
		SELECT reyearn_create_model('quick', 'small', retrain_delay => '0', promotion => 'always');
		SELECT outcome FROM reyearn_train('quick');
		SELECT reyearn_create_model('m', 'big', retrain_delay => '0', promotion => 'always', keep_versions => 3);
		SELECT outcome FROM reyearn_train('m');
		SELECT reyearn_alter_model('m', params => '{"ngram_range": [1, 5]}');
		});
	return;
}

my $length = 4;    # of a training, in seconds; measured below

# The number of a run that was asked for and has begun to read texts.
my $seed = 0;
sub start_training
{
	my ($node, $database, $params) = @_;
	$seed++;
	my $run = $node->safe_psql($database, "SELECT run_id FROM reyearn_train('m', jsonb_build_object('seed', $seed) || '{" . ($params // '') . "}', wait => false)");
	wait_for($node, $database, "SELECT EXISTS (SELECT FROM reyearn.progress WHERE run_id = $run AND done > 0)");
	return $run;
}

sub outcome_of
{
	my ($node, $database, $run) = @_;
	return $node->safe_psql($database, "SELECT outcome FROM reyearn.runs WHERE run_id = $run");
}

sub is_done
{
	my ($node, $database, $run, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for (1 .. 600)
	{
		last if outcome_of($node, $database, $run) !~ /queued|running/;
		usleep(100_000);
	}
	return like(outcome_of($node, $database, $run), qr/^(promoted|kept)$/, $what);
}

my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'reyearn worker'};
my $launcher = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'reyearn launcher'};

# A training that is due, of a new model: nobody asks for it.
sub schedule_training
{
	my ($node, $database, $model) = @_;
	$node->safe_psql($database, qq{
		SELECT reyearn_create_model('$model', 'big', retrain_delay => '0', params => '{"ngram_range": [1, 5]}');
		SELECT reyearn_annotate_text('news for $model', 'big.a')});
	trains($node, $database, $model, "$model: a training by itself");
	return;
}

sub trains
{
	my ($node, $database, $model, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return becomes($node, $database, "SELECT count(*) FROM reyearn.progress WHERE model = '$model'", '1', $what);
}

# All that the worker did for a model that was never asked for: its live version, and the outcomes of its runs.
sub history_of
{
	my ($node, $database, $model) = @_;
	return $node->safe_psql($database, qq{
		SELECT count(*) FILTER (WHERE v.is_live) || ' live, ' || (SELECT string_agg(r.outcome, ' ' ORDER BY r.run_id) FROM reyearn.runs AS r WHERE r.model_id = m.model_id)
		  FROM reyearn.models AS m LEFT JOIN reyearn.model_versions AS v USING (tenant_id, model_id) WHERE m.name = '$model' GROUP BY m.model_id});
}

# A statement of another session at a random moment of a training: it succeeds within the bound, and before the training
# has ended; which goes on.
sub gives_way
{
	my ($node, $database, $run, $from, $sql, $bound) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(trains_run($node, $database, $run), '1', "$sql: during a training");
	usleep(rand($length < 5 ? 0.3e6 * $length : 1.5e6));
	my $start = time;
	is(error_of($node, $from, $sql), '', '... it succeeds');
	my $took = time - $start;
	cmp_ok($took, '<', $bound, sprintf('... in %.2f s', $took));
	like(outcome_of($node, $database, $run), qr/^(queued|running)$/, '... before the training has ended');
	return $took;
}

sub trains_run
{
	my ($node, $database, $run) = @_;
	my $is_there = 0;
	for (1 .. 300)
	{
		$is_there = $node->safe_psql($database, "SELECT count(*) FROM reyearn.progress WHERE run_id = $run");
		last if $is_there;
		usleep(20_000);
	}
	return $is_there;
}

# Of those in database mail since this was asked last.
my $asked = 0;
sub none_failed
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $from = $asked;
	$asked = $_[0]->safe_psql('mail', 'SELECT max(run_id) FROM reyearn.runs');
	return is($_[0]->safe_psql('mail', "SELECT string_agg(reason, ', ') FROM reyearn.runs WHERE outcome = 'failed' AND run_id > $from"), '', 'no run has failed');
}

my $node = start_server('main', $settings);
my $texts = 15000;
create_models($node, 'mail', $texts);

# What one sees of a training.
{
	my $start = time;
	my $run = start_training($node, 'mail');
	my (%phases, @done);
	while (outcome_of($node, 'mail', $run) eq 'running')
	{
		my ($phase, $done, $total, $model) = split /\|/, $node->safe_psql('mail', "SELECT phase, done, total, model FROM reyearn.progress WHERE run_id = $run");
		next if !defined $phase;
		$phases{$phase}++;
		is($model, 'm', 'progress names the model') if $phases{$phase} == 1;
		push @done, $done if $phase eq 'reading' && $total == $texts;
	}
	is_deeply([ sort { $a <=> $b } @done ], \@done, 'progress grows');
	cmp_ok($done[-1], '>', $done[0], '... from the first look to the last');
	cmp_ok($done[-1], '<=', $texts, '... to the number of texts at the most');
	is_done($node, 'mail', $run, 'a training in the background');
	$length = time - $start;
	diag(sprintf('a training takes %.1f s; phases %s', $length, join ' ', %phases));
	cmp_ok($length, '>', 2, '... takes some time');
}

# Who wants the database.
{
	my $run = start_training($node, 'mail');
	gives_way($node, 'mail', $run, 'postgres', 'CREATE DATABASE copy TEMPLATE mail', $database_bound);
	gives_way($node, 'mail', $run, 'postgres', $_, $database_bound)
	  for 'CREATE DATABASE second TEMPLATE mail STRATEGY file_copy', 'ALTER DATABASE mail RENAME TO post; ALTER DATABASE post RENAME TO mail';
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);

	# Just after one, when its worker goes.
	for my $sql ('ALTER DATABASE mail RENAME TO post; ALTER DATABASE post RENAME TO mail', 'CREATE DATABASE third TEMPLATE mail', 'DROP DATABASE third')
	{
		my $quick = $node->safe_psql('mail', qq{SELECT run_id FROM reyearn_train('quick', '{"seed": @{[ ++$seed ]}}', wait => false)});
		is_done($node, 'mail', $quick, 'a quick training');
		my $start = time;
		is(error_of($node, 'postgres', $sql), '', "just after it: $sql");
		cmp_ok(time - $start, '<', $database_bound, sprintf('... in %.2f s', time - $start));
	}

	# The copies were made while the run was queued again.
	$node->safe_psql('postgres', q{ALTER SYSTEM SET reyearn.probe_interval = '1s'});
	$node->reload;
	becomes($node, 'copy', "SELECT outcome <> 'queued' FROM reyearn.runs WHERE run_id = $run", 't', 'a copy finds the run that waits in it');
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET reyearn.probe_interval');
	$node->reload;
	my $of_copy = start_training($node, 'copy');
	my $start = time;
	is(error_of($node, 'postgres', 'DROP DATABASE copy'), '', 'DROP DATABASE during a training');
	cmp_ok(time - $start, '<', $database_bound, sprintf('... in %.2f s', time - $start));
	becomes($node, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'reyearn worker'", '0', '... leaves no worker');
}

# Who wants a lock on a table.
{
	my $run = start_training($node, 'mail');
	gives_way($node, 'mail', $run, 'mail', $_, $lock_bound)
	  for 'BEGIN; DROP EXTENSION reyearn; ROLLBACK', 'ALTER TABLE reyearn.observations ADD COLUMN more int', 'ALTER TABLE reyearn.observations DROP COLUMN more',
	  'VACUUM FULL reyearn.annotations', 'BEGIN; LOCK TABLE reyearn.models; COMMIT', 'BEGIN; LOCK TABLE reyearn.model_versions; COMMIT', 'CREATE INDEX CONCURRENTLY one ON reyearn.observations (time_created)';
	# The worker does not wait for long itself; that it gave up is no failure.
	gives_way($node, 'mail', $run, 'mail', 'BEGIN; LOCK TABLE reyearn.observations; SELECT pg_sleep(3); COMMIT', 3 + $lock_bound);
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);

	# It cannot even write down that it gave up.
	$run = start_training($node, 'mail');
	gives_way($node, 'mail', $run, 'mail', 'BEGIN; LOCK TABLE reyearn.runs; SELECT pg_sleep(3); COMMIT', 3 + $lock_bound);
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);
	$run = start_training($node, 'mail');
	gives_way($node, 'mail', $run, 'mail', 'BEGIN; DROP EXTENSION reyearn; SELECT pg_sleep(3); ROLLBACK', 3 + $lock_bound);
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);
}

# Who wants the model.
{
	my $run = start_training($node, 'mail');
	gives_way($node, 'mail', $run, 'mail', q{SELECT reyearn_promote('m', max(version)) FROM reyearn.model_versions JOIN reyearn.models USING (model_id) WHERE name = 'm' AND NOT is_live AND time_pruned IS NULL}, $lock_bound);
	my $took = gives_way($node, 'mail', $run, 'mail', q{SELECT * FROM reyearn_train('m', '{"ngram_range": [1, 1], "seed": 55}')}, $lock_bound + 5);
	my $seconds = $node->safe_psql('mail', q{SELECT seconds FROM reyearn.runs WHERE outcome <> 'queued' AND outcome <> 'running' ORDER BY time_finished DESC LIMIT 1});
	cmp_ok($took - $seconds, '<', $lock_bound, sprintf('... of which %.2f s by itself', $seconds));
	gives_way($node, 'mail', $run, 'mail', q{SELECT reyearn_alter_model('m', retrain_after => 2)}, $lock_bound);
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);

	# Its images are some hundred megabytes, and deleting them takes seconds by itself: most go before.
	$node->safe_psql('second', q{SELECT reyearn_alter_model('m', keep_versions => 1)});
	$run = start_training($node, 'second');
	my $start = time;
	is(error_of($node, 'second', q{SELECT reyearn_drop_model('m')}), '', 'the model is dropped during a training');
	cmp_ok(time - $start, '<', $lock_bound, sprintf('... in %.2f s', time - $start));
	is(outcome_of($node, 'second', $run), '', '... and with it the run');
	is_done($node, 'second', $node->safe_psql('second', q{SELECT run_id FROM reyearn_train('quick', '{"seed": 99}', wait => false)}), '... another is trained');
	$node->safe_psql('second', q{SELECT reyearn_create_model('m', 'big', params => '{"ngram_range": [1, 5]}')});
}

# Two databases at a time.
{
	my %runs = map { $_ => start_training($node, $_) } qw(mail second);
	becomes($node, 'postgres', q{SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity WHERE backend_type = 'reyearn worker'}, 'mail second', 'two databases train at once');
	is(status_of($node, 'mail', 'training workers'), '2 of 2: ok', '... as the status says');
	is_done($node, $_, $runs{$_}, "... $_") for qw(mail second);
}

# The extension goes during a training.
{
	start_training($node, 'second');
	my $start = time;
	is(error_of($node, 'second', 'DROP EXTENSION reyearn'), '', 'DROP EXTENSION during a training');
	cmp_ok(time - $start, '<', $lock_bound, sprintf('... in %.2f s', time - $start));
	becomes($node, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'reyearn worker'", '0', '... leaves no worker');
	$node->safe_psql('postgres', 'DROP DATABASE second');
}

# The worker is cancelled: somebody does not want this training.
{
	my $run = start_training($node, 'mail');
	$node->safe_psql('mail', "SELECT pg_cancel_backend(pid) FROM ($worker) AS w");
	becomes($node, 'mail', "SELECT outcome || ': ' || reason FROM reyearn.runs WHERE run_id = $run", 'failed: canceling statement due to user request', 'the worker is cancelled');
	$node->safe_psql('mail', "DELETE FROM reyearn.runs WHERE run_id = $run");
}

# The worker is ended.
{
	my $run = start_training($node, 'mail');
	$node->safe_psql('mail', "SELECT pg_terminate_backend(pid, 5000) FROM ($worker) AS w");
	is(trains_run($node, 'mail', $run), '1', 'the worker of a training that was asked for is ended: it begins anew');
	is_done($node, 'mail', $run, '... and is done');
	schedule_training($node, 'mail', 'ended');
	$node->safe_psql('mail', "SELECT pg_terminate_backend(pid, 5000) FROM ($worker) AS w");
	trains($node, 'mail', 'ended', '... is ended and begins anew');
	ok(wait_for($node, 'mail', q{SELECT count(*) FROM reyearn.progress}, '0'), '... and ends');
	is(history_of($node, 'mail', 'ended'), '1 live, promoted', '... as if nothing had been');
	none_failed($node);
}

# Whoever stops the server.
for my $how (qw(fast smart))
{
	schedule_training($node, 'mail', $how);
	my $start = time;
	$node->stop($how);
	cmp_ok(time - $start, '<', 30, sprintf('%s shutdown during a training: in %.2f s', $how, time - $start));
	$node->start;
	trains($node, 'mail', $how, '... after the start it begins anew');
	ok(wait_for($node, 'mail', q{SELECT count(*) FROM reyearn.progress}, '0'), '... and ends');
	is(history_of($node, 'mail', $how), '1 live, promoted', '... as if nothing had been');
	my $run = start_training($node, 'mail');
	$node->stop($how);
	$node->start;
	is_done($node, 'mail', $run, "$how shutdown: a training that was asked for is done");
	none_failed($node);
}

# The worker is ended at random moments, while threads run for it.
{
	my $rounds = $ENV{REYEARN_SOAK_ROUNDS} // 30;
	$node->safe_psql('postgres', 'ALTER SYSTEM SET reyearn.training_threads = 4');
	$node->reload;
	my ($run, $interrupted) = (0, 0);
	for my $round (1 .. $rounds)
	{
		if (!$run || outcome_of($node, 'mail', $run) !~ /queued|running/)
		{
			$seed++;
			$run = $node->safe_psql('mail', qq{SELECT run_id FROM reyearn_train('m', '{"ngram_range": [1, 3], "seed": $seed}', wait => false)});
		}
		trains_run($node, 'mail', $run) or last;
		usleep(rand(2e6));
		$node->safe_psql('mail', "SELECT pg_terminate_backend(pid, 5000) FROM ($worker) AS w");
		$interrupted++ if outcome_of($node, 'mail', $run) eq 'queued';
	}
	cmp_ok($interrupted, '>', $rounds / 3, "$rounds times the worker was ended, $interrupted times in the middle");
	is_done($node, 'mail', $run, 'the training is done in the end');
	none_failed($node);
	ok(is_unharmed($node), 'no process has crashed until here');
}

# The worker is killed, and the launcher.
{
	schedule_training($node, 'mail', 'killed');
	my $pid = $node->safe_psql('mail', $worker);
	kill 'KILL', $pid;
	sleep 1;
	wait_until_up($node);
	becomes($node, 'mail', q{SELECT outcome || ': ' || reason FROM reyearn.runs AS r JOIN reyearn.models AS m USING (tenant_id, model_id) WHERE m.name = 'killed'},
		'failed: the server or the worker stopped in the middle of it', 'the worker is killed: the run has failed');
	wait_for($node, 'mail', q{SELECT live_version IS NOT NULL FROM reyearn.model_overview WHERE name = 'killed'});
	is(history_of($node, 'mail', 'killed'), '1 live, failed promoted', '... and the next try succeeds');

	my $before = $node->safe_psql('mail', $launcher);
	kill 'KILL', $before;
	sleep 1;
	wait_until_up($node);
	becomes($node, 'mail', "SELECT count(*) FROM ($launcher) AS l WHERE pid <> $before", '1', 'the launcher is killed: there is a new one');
	my $run = start_training($node, 'mail');
	is_done($node, 'mail', $run, '... which has models trained');
	$before = $node->safe_psql('mail', $launcher);
	$node->safe_psql('mail', "SELECT pg_terminate_backend($before)");
	becomes($node, 'mail', "SELECT count(*) FROM ($launcher) AS l WHERE pid <> $before", '1', 'the launcher is ended: there is a new one');
	is_done($node, 'mail', $node->safe_psql('mail', q{SELECT run_id FROM reyearn_train('quick', '{"seed": 77}', wait => false)}), '... which has models trained');
	$node->stop;
}

# PostgreSQL has no process to give: one is the launcher, one PostgreSQL's own for logical replication.
{
	my $few = start_server('few', $settings . "max_worker_processes = 2\n");
	create_models($few, 'mail', 100);
	$few->safe_psql('mail', q{SELECT reyearn_annotate_text('a third text', 'small.a')});
	becomes($few, 'mail', q{SELECT state || ': ' || advice FROM reyearn_status() WHERE name = 'training workers'},
		'warning: PostgreSQL had no process to give: raise max_worker_processes and restart.', 'no process for a worker');
	is($few->safe_psql('mail', q{SELECT waiting, reyearn_predict('a third text', 'quick') FROM reyearn.model_overview WHERE name = 'quick'}), '1|small.b', '... what is to be learned waits, sessions go on');
	$few->append_conf('postgresql.conf', 'max_worker_processes = 4');
	$few->restart;
	becomes($few, 'mail', q{SELECT waiting FROM reyearn.model_overview WHERE name = 'quick'}, '0', '... with two more it is learned');
	is(status_of($few, 'mail', 'training workers') =~ s/^\d/N/r, 'N of 2: ok', '... and the status is well');
	ok(is_unharmed($few), '... no process has crashed');
	$few->stop;
}

# A standby learns nothing before it is promoted.
{
	my $primary = start_server('primary', $settings . "reyearn.max_workers = 0\n", allows_streaming => 1);
	create_models($primary, 'mail', 100);
	$primary->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'reyearn.max_workers = 2');
	$standby->start;
	$primary->safe_psql('mail', q{SELECT reyearn_annotate_text('a third text', 'small.a')});
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is($standby->safe_psql('mail', "SELECT count(*) FROM ($launcher) AS l"), '0', 'a standby has no launcher');
	is(status_of($standby, 'mail', 'training'), 'waits for the launcher: note', '... says so');
	is($standby->safe_psql('mail', q{SELECT waiting FROM reyearn.model_overview WHERE name = 'quick'}), '1', '... and learns nothing');
	$primary->stop;
	$standby->promote;
	becomes($standby, 'mail', q{SELECT waiting FROM reyearn.model_overview WHERE name = 'quick'}, '0', '... promoted, it learns what was annotated before');
	is(status_of($standby, 'mail', 'training'), 'in the background: ok', '... in the background');
	$standby->safe_psql('mail', q{UPDATE reyearn.runs SET seconds = 0; SELECT reyearn_annotate_text('a fourth text', 'small.b')});
	becomes($standby, 'mail', q{SELECT waiting FROM reyearn.model_overview WHERE name = 'quick'}, '0', '... and an annotation');
	ok(is_unharmed($standby), '... no process has crashed');
	$standby->stop;
}

done_testing();
