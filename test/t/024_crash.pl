# Sessions that are cancelled, ended or killed while they load a model, wait for it or use it: nobody is left waiting,
# nothing is left behind, and after a crash the server serves as before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time usleep);

my $text = 'Please book a hotel for the trade fair';
my $predict = "SELECT reyearn_predict('$text', 'm')";
# Makes version 2 live anew, so that it has to be loaded; the other is only there for that.
my $retire = q{UPDATE reyearn.model_versions SET is_live = false WHERE is_live; UPDATE reyearn.model_versions SET is_live = true WHERE version = 1;
	UPDATE reyearn.model_versions SET is_live = false WHERE version = 1; ALTER TABLE reyearn.model_versions DISABLE TRIGGER ALL;
	UPDATE reyearn.model_versions SET is_live = true WHERE version = 2;
	ALTER TABLE reyearn.model_versions ENABLE TRIGGER ALL; ALTER TABLE reyearn.model_versions ENABLE ALWAYS TRIGGER version_changed};
my $loading = q{SELECT count(*) FROM reyearn.stat_models WHERE memory = 'loading'};

# A query in a session of its own; its pid is looked up by its name.
sub start_query
{
	my ($node, $name, @queries) = @_;
	my $query = { out => '', error => '', name => $name };
	local $ENV{PGAPPNAME} = $name;
	$query->{run} = IPC::Run::start [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('mail'), map { ('-c', $_) } @queries ],
	  '>', \$query->{out}, '2>', \$query->{error};
	return $query;
}

sub pid_of
{
	my ($node, $query) = @_;
	$node->poll_query_until('mail', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$query->{name}'");
	return $node->safe_psql('mail', "SELECT pid FROM pg_stat_activity WHERE application_name = '$query->{name}'");
}

sub result_of
{
	my ($query) = @_;
	$query->{run}->finish;
	chomp $query->{out};
	return $query->{error} . $query->{out};
}

for my $preload (1, 0)
{
	my $what = $preload ? 'preloaded' : 'not preloaded';
	my $node = start_server("crash_$preload",
		"dynamic_shared_memory_type = mmap\nrestart_after_crash = on\n" . ($preload ? q{shared_preload_libraries = 'reyearn'} : ''));
	create_database($node, 'mail');
	$node->safe_psql('mail', q{
		SELECT reyearn_create_class('email.rest');
		SELECT reyearn_annotate_text(string_agg(md5(i::text), ' '), 'email.rest') FROM generate_series(1, 100000) AS i});
	train_permuted($node, 'mail', 2);
	my $label = $node->safe_psql('mail', $predict);
	my $toast_index = $node->safe_psql('mail', q{SELECT indexrelid::regclass FROM pg_index JOIN pg_class AS c ON c.oid = 'reyearn.model_images'::regclass AND indrelid = c.reltoastrelid});

	# A session that holds a lock on which loading has to wait.
	my $blocker = session($node, 'mail');
	my $block = "BEGIN; REINDEX INDEX $toast_index";

	# The loader is cancelled, or ended, while others wait for it: one of them takes over.
	for my $how (qw(pg_cancel_backend pg_terminate_backend))
	{
		$node->safe_psql('mail', $retire);
		ask($blocker, $block);
		my $loader = start_query($node, 'loader', $predict);
		wait_for($node, 'mail', $loading, '1');
		my @waiters = map { start_query($node, "waiter $_", $predict) } 1 .. 3;
		wait_for($node, 'mail', q{SELECT count(*) = 3 FROM pg_stat_activity WHERE application_name ~ 'waiter' AND wait_event_type = 'Extension'});
		$node->safe_psql('mail', "SELECT $how(" . pid_of($node, $loader) . ')');
		like(result_of($loader), $how =~ /cancel/ ? qr/ERROR:  57014/ : qr/FATAL:  57P01/, "$what, $how: the loader goes");
		wait_for($node, 'mail', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name ~ 'waiter' AND wait_event_type = 'Extension'});
		is($node->safe_psql('mail', $loading), '1', "$what, $how: one of those who waited loads");
		# One who waits can be cancelled too.
		$node->safe_psql('mail', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'waiter' AND wait_event_type = 'Extension' ORDER BY pid LIMIT 1});
		ask($blocker, 'ROLLBACK');
		my @results = map { result_of($_) } @waiters;
		is(scalar(grep { $_ eq $label } @results), 2, "$what, $how: two answer");
		is(scalar(grep { /57014/ } @results), 1, "$what, $how: one was cancelled");
		becomes($node, 'mail', q{SELECT string_agg(memory || ' ' || sessions, ', ') FROM reyearn.stat_models WHERE memory <> 'absent'}, 'live 0',
			"$what, $how: nothing is left behind");
	}

	# The one whom the loader waits for wants to predict: a deadlock that nobody would detect.
	if ($preload)
	{
		$node->safe_psql('mail', $retire);
		ask($blocker, $block);
		my $loader = start_query($node, 'loader', $predict);
		wait_for($node, 'mail', $loading, '1');
		my $start = time;
		is(ask($blocker, $predict), $label, 'the session that holds the lock predicts');
		my $waited = time - $start;
		ok($waited > 8, "... after having waited for the loader: $waited s");
		like($blocker->{stderr}, qr/WARNING:  53000: .*\nDETAIL:  Another session has begun to load it and does not get on\./, '... with a warning');
		my $again = time;
		is(ask($blocker, $predict), $label, '... and predicts again');
		cmp_ok(time - $again, '<', 8, '... with what it has, without waiting');
		ask($blocker, 'ROLLBACK');
		is(result_of($loader), $label, '... and the loader comes to its end');
	}

	# A session is ended in the midst of its transaction: it gives back what it holds once, and another session keeps its own.
	{
		my $held = q{SELECT string_agg(version || ' ' || memory || ' ' || sessions, ', ') FROM reyearn.stat_models WHERE version = 2};
		my @sessions = map { session($node, 'mail') } 1 .. 2;
		ask($_, "BEGIN; $predict") for @sessions;
		$node->safe_psql('mail', q{SELECT reyearn_promote('m', 1)});
		is($node->safe_psql('mail', $held), '2 retired 2', "$what: a retired version held by two transactions");
		$node->safe_psql('mail', 'SELECT pg_terminate_backend(' . ask($sessions[0], 'SELECT pg_backend_pid()') . ')');
		becomes($node, 'mail', $held, '2 retired 1', "$what: ... one of which is ended");
		ask($sessions[1], 'COMMIT');
		becomes($node, 'mail', $held, '2 absent 0', "$what: ... and the other commits");
		$node->safe_psql('mail', q{SELECT reyearn_promote('m', 2)});
		is(ask($sessions[1], $predict), $label, "$what: ... and predicts when that version is live again");
		eval { $_->quit } for @sessions;
	}

	# Sessions are ended at random moments of a loading, of the use after it, and of the commit that brings it in.
	my ($ended, $answered) = (0, 0);
	my $killer = session($node, 'mail');
	for my $round (1 .. 40)
	{
		$node->safe_psql('mail', $retire) if $round % 2;
		ask($killer, 'SELECT pg_advisory_lock(1)');
		my $query = start_query($node, 'victim', 'SELECT pg_advisory_lock_shared(1)',
			$round % 2 ? ($predict) x 3 : (q{SELECT reyearn_promote('m', 1)}, q{SELECT reyearn_promote('m', 2)}, $predict));
		my $pid = pid_of($node, $query);
		ask($killer, "SELECT pg_advisory_unlock(1), pg_sleep(random() * 0.025), pg_terminate_backend($pid)");
		result_of($query) =~ /57P01/ ? $ended++ : $answered++;
	}
	$killer->quit;
	cmp_ok($ended, '>', 5, "$what: of forty sessions $ended were ended in the middle");
	$node->safe_psql('mail', q{SELECT reyearn_promote('m', 2)});
	is($node->safe_psql('mail', $predict), $label, "$what: after forty sessions were ended");
	becomes($node, 'mail', q{SELECT string_agg(version || ' ' || memory || ' ' || sessions, ', ') FROM reyearn.stat_models WHERE memory <> 'absent'}, '2 live 0',
		"$what: nothing is left of them");
	my $bytes = $node->safe_psql('mail', 'SELECT min(image_bytes) FROM reyearn.model_versions');
	is(scalar(grep { -s $_ >= $bytes } glob $node->data_dir . '/pg_dynshmem/mmap.*'), 1, "$what: no segment without an owner");
	ok(is_unharmed($node), "$what: no process crashed");

	# kill -9: of a loader, of one who waits, of one who uses it. The server restarts, and all begins anew.
	for my $victim ('loader', 'waiter', 'user')
	{
		$node->safe_psql('mail', $retire) if $victim ne 'user';
		my $holder = session($node, 'mail');
		ask($holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; $predict") if $victim eq 'user';
		my $pid = $victim eq 'user' ? ask($holder, 'SELECT pg_backend_pid()') : 0;
		my ($loader, $waiter);
		if (!$pid)
		{
			ask($blocker, $block);
			$loader = start_query($node, 'loader', $predict);
			wait_for($node, 'mail', $loading, '1');
			$waiter = start_query($node, 'waiter', $predict);
			wait_for($node, 'mail', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'waiter' AND wait_event_type = 'Extension'});
			$pid = pid_of($node, $victim eq 'loader' ? $loader : $waiter);
		}
		kill 'KILL', $pid;
		result_of($_) for grep { defined } $loader, $waiter;
		eval { $_->quit } for $blocker, $holder;
		wait_until_up($node);
		is($node->safe_psql('mail', $predict), $label, "$what: a $victim is killed, the server recovers");
		is($node->safe_psql('mail', q{SELECT string_agg(version || ' ' || memory || ' ' || sessions, ', ') FROM reyearn.stat_models}), '2 live 0', "$what: and begins anew");
		$blocker = session($node, 'mail');
	}
	$blocker->quit;

	# The whole server is killed.
	kill_server($node, 'mail');
	$node->start;
	is($node->safe_psql('mail', $predict), $label, "$what: the postmaster is killed, the server is started again");
	$node->stop;
	is(join(' ', glob $node->data_dir . '/pg_dynshmem/*'), '', "$what: no segment is left in the end");
}

done_testing();
