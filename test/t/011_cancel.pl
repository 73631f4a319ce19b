# A training with threads, stopped at many moments in each way there is: it ends at once, nothing of it is left, and the
# session and the server go on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

# What a stop may take. It takes some hundredths of a second on a machine that is not busy; see the diagnostics.
my $bound = 3;
my $rounds = 20;
srand(20);

my $node = start_server(
	'main', q{
	max_wal_size = 4GB
	work_mem = 32MB
	});
create_database($node, 'mail');

# Texts of words whose pairs and triples are mostly new: millions of features. Two more texts for a quick training.
$node->safe_psql(
	'mail', q{
	SELECT reyearn_create_class('big.' || c) FROM unnest('{a,b,c,d}'::text[]) AS c;
	SELECT reyearn_create_class('small.' || c) FROM unnest('{a,b}'::text[]) AS c;
	BEGIN;
	SET LOCAL session_replication_role = replica;
	INSERT INTO reyearn.observations (body)
	SELECT string_agg('w' || (hashint4(i * 16 + j) & 8191), ' ') || ' n' || i
	  FROM generate_series(1, 30000) AS i, generate_series(1, 12) AS j
	 GROUP BY i;
	WITH ids AS (SELECT array_agg(class_id ORDER BY label) AS id FROM reyearn.classes
	              WHERE label <@ 'big' AND label <> 'big')
	INSERT INTO reyearn.annotations (observation_id, class_id)
	SELECT observation_id, id[1 + observation_id % 4] FROM ids, reyearn.observations;
	COMMIT;
	ANALYZE reyearn.observations, reyearn.annotations;
	SELECT reyearn_annotate_text('so small a text', 'small.a'), reyearn_annotate_text('another text', 'small.b');
	SELECT reyearn_create_model('big', 'big', params => '{"ngram_range": [1, 3]}');
	SELECT reyearn_create_model('small', 'small', promotion => 'always');
	CREATE FUNCTION stop(pid int, delay float8, how text) RETURNS float8 LANGUAGE plpgsql AS $$
	DECLARE
	    asked timestamptz;
	BEGIN
	    PERFORM pg_sleep(delay);
	    asked := clock_timestamp();
	    PERFORM CASE how WHEN 'cancel' THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END;
	    LOOP
	        PERFORM pg_stat_clear_snapshot();
	        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = stop.pid AND a.state = 'active');
	        PERFORM pg_sleep(0.002);
	    END LOOP;
	    RETURN extract(epoch FROM clock_timestamp() - asked);
	END
	$$;
	});

my $observer = session($node, 'mail');
my $victim = session($node, 'mail');

sub pid_of
{
	my ($session) = @_;
	return ask($session, 'SELECT pg_backend_pid()');
}

my $pid = pid_of($victim);
my $threads = 3;
ask($victim, "SET reyearn.training_threads = $threads");
my $seconds = ask($victim, q{SELECT seconds FROM reyearn_train('big')});
cmp_ok($seconds, '>', 0.5, 'a training takes some time');
my $started = ask($observer, 'SELECT pg_postmaster_start_time()');
my $before = ask($observer, q{SELECT live_version, checksums FROM reyearn.model_overview,
	LATERAL (SELECT count(*) AS checksums FROM reyearn.model_versions) AS v WHERE name = 'big'});

# What is left of a training in a session that is idle now.
sub check_rest
{
	my ($what, $pid) = @_;
	is(ask($observer, qq{SELECT count(*) FROM pg_locks WHERE pid = $pid}), '0', "$what: all locks released");
	my @threads = glob("/proc/$pid/task/*");
	is(scalar(@threads), 1, "$what: all threads gone");
	my @open = grep { (readlink($_) // q{}) =~ /pgsql_tmp/ } glob("/proc/$pid/fd/*");
	is_deeply(\@open, [], "$what: all temporary files closed");
	return;
}

my (%took, %stopped, @memory);
for my $round (1 .. $rounds)
{
	my $how = (qw(cancel terminate timeout))[ $round % 3 ];
	my $delay = sprintf('%.3f', 0.02 + rand($seconds * 1.1));
	my $what = "$how after $delay s";
	# Little memory for every second one, so that there are temporary files.
	ask($victim, 'SET maintenance_work_mem = ' . ($round % 2 ? q{'1MB'} : q{'256MB'}));

	# The seed makes it a training of its own; the outcome of one that comes to its end is rolled back.
	my $train = qq{BEGIN;
		SET LOCAL statement_timeout = %d;
		SELECT 'finished' FROM reyearn_train('big', '{"seed": $round}');
		ROLLBACK};
	my ($took, $answer, $error);
	if ($how eq 'timeout')
	{
		my $start = ask($victim, 'SELECT extract(epoch FROM clock_timestamp())');
		($answer, $error) = $victim->query(sprintf($train, $delay * 1000));
		$error = $victim->{stderr};
		$victim->{stderr} = '';
		$took = ask($victim, "SELECT extract(epoch FROM clock_timestamp()) - $start - $delay");
		like($error, qr/57014: canceling statement due to statement timeout/, "$what: the error says why")
		  unless $answer =~ /finished/;
	}
	else
	{
		# The observer's query is on its way before the training is: it starts with its delay.
		$victim->{stdin} .= sprintf($train, 0) . ";\n\\echo 'the end'\n";
		$victim->{run}->pump_nb;
		$took = ask($observer, "SELECT stop($pid, $delay, '$how')");
		if ($how eq 'cancel')
		{
			$victim->{timeout}->start;
			$victim->{run}->pump until $victim->{stdout} =~ /the end/;
			($answer, $error) = ($victim->{stdout}, $victim->{stderr});
			$victim->{stdout} = $victim->{stderr} = '';
			like($error, qr/57014: canceling statement due to user request/, "$what: the error says why")
			  unless $answer =~ /finished/;
		}
		else
		{
			eval { $victim->{run}->finish };
			$answer = $victim->{stdout};
			like($victim->{stderr}, qr/57P01: terminating connection due to administrator command/,
				"$what: the error says why")
			  unless $answer =~ /finished/;
			$victim = session($node, 'mail');
			$pid = pid_of($victim);
			ask($victim, "SET reyearn.training_threads = $threads");
		}
	}
	$stopped{$how}++ unless $answer =~ /finished/;
	$took{$what} = $took;
	cmp_ok($took, '<', $bound, "$what: it ends at once");
	check_rest($what, $pid);

	is(ask($observer, q{SELECT live_version, checksums FROM reyearn.model_overview,
		LATERAL (SELECT count(*) AS checksums FROM reyearn.model_versions) AS v WHERE name = 'big'}),
		$before, "$what: the same version is live, and there is no other");
	ask($observer, q{BEGIN; SELECT FROM reyearn.models FOR UPDATE NOWAIT; ROLLBACK});
	ask($victim, "BEGIN");
	is(ask($victim, qq{SELECT outcome FROM reyearn_train('small', '{"seed": $round}')}), 'promoted',
		"$what: the session can train");
	is(ask($victim, q{SELECT reyearn_predict('so small', 'small')}), 'small.a', "$what: and predict");
	ask($victim, "ROLLBACK");
}
cmp_ok($stopped{$_} // 0, '>=', 3, "several trainings were stopped by $_") for qw(cancel timeout terminate);
diag(sprintf('of %.1f s; longest stop: %.3f s', $seconds, max(values %took)));
note("$_: $took{$_}") for sort keys %took;

like(ask($victim, q{SELECT outcome FROM reyearn_train('big', '{"seed": 99, "min_df": 2}')}), qr/^(promoted|kept)$/,
	'the big model can be trained in the end');
check_rest('in the end', $pid);
my @temporary = grep { !/^\./ } slurp_dir($node->data_dir . '/base/pgsql_tmp');
is_deeply(\@temporary, [], 'no temporary files');
is(ask($observer, 'SELECT pg_postmaster_start_time()'), $started, 'the server was not restarted');
$_->quit for $observer, $victim;
ok(is_unharmed($node), 'no process crashed');

done_testing();
