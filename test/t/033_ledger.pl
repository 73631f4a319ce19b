# Clients annotate and predict while the server trains by itself, and processes are killed at random moments. What was
# committed is there, nothing else is, the live version answers, and what was annotated is learned. REYEARN_SOAK_ROUNDS
# says how often; seed and victims are in the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{REYEARN_SOAK_ROUNDS} || 3;
my $writers = 3;
my $most = 5000;    # statements of a client in a round; it is killed before
my $seed = $ENV{REYEARN_SOAK_SEED} || int(time);
srand($seed);
diag("$rounds rounds, seed $seed");

# No search but that of the launcher's start: what a crash leaves is found then, all else is announced.
my $node = start_server(
	'main', q{
	shared_preload_libraries = 'reyearn'
	reyearn.max_workers = 2
	reyearn.training_threads = 2
	reyearn.probe_interval = 1h
	restart_after_crash = on
	});
create_database($node, 'mail');
my @labels = qw(desk.hotel desk.flight desk.visa);
$node->safe_psql(
	'mail', qq{
	SELECT reyearn_create_class(l) FROM unnest('{@{[ join ',', @labels ]}}'::text[]) AS l;
	SELECT reyearn_create_model('m', 'desk', retrain_delay => '0', promotion => 'always', keep_versions => 3, params => '{"ngram_range": [1, 2]}');
	SELECT count(reyearn_annotate_text('begin ' || i || ' ' || l || ' ' || md5(i::text), l)) FROM generate_series(1, 200) AS i, unnest('{@{[ join ',', @labels ]}}'::text[]) AS l;
	});
my %begun = map { $_ => 1 } split /\n/, $node->safe_psql('mail', q{SELECT text || '|' || label::text FROM reyearn.annotation_overview});
wait_for($node, 'mail', 'SELECT waiting = 0 AND live_version IS NOT NULL FROM reyearn.model_overview');

# A psql that runs the statements one by one, each in a transaction of its own, and prints the word for each when it has
# been told that it was committed. It ends with its connection.
my $directory = PostgreSQL::Test::Utils::tempdir();

sub start_client
{
	my ($name, @statements) = @_;
	my $client = { name => $name, out => "$directory/out_$name", error => '', statements => \@statements };
	my $script = "$directory/script_$name";
	unlink $script;
	append_to_file($script, join '', map { "$_->{sql};\n\\echo acknowledged $_->{word}\n" } @statements);
	local $ENV{PGAPPNAME} = $name;
	$client->{run} = IPC::Run::start [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('mail'), '-f', $script ], '>', $client->{out}, '2>', \$client->{error};
	return $client;
}

# Numbers of statements that were acknowledged, and their other answers.
sub end_client
{
	my ($client) = @_;
	eval { $client->{run}->finish };
	my @lines = split /\n/, slurp_file($client->{out});
	$client->{acknowledged} = grep { /^acknowledged / } @lines;
	$client->{answers} = [ grep { !/^acknowledged / } @lines ];
	return;
}

sub start_writer
{
	my ($round, $number) = @_;
	return start_client("writer_$number", map {
		my $label = $labels[ rand @labels ];
		my $text = "text $round-$number-$_ $label word" . int(rand(500));
		{ word => "$text|$label", sql => "SELECT FROM reyearn_annotate_text('$text', '$label'), pg_sleep(0.005)" }
	} 1 .. $most);
}

# Kills a process; the worker, which is seldom there, in the middle of a training.
sub kill_one
{
	my ($victim) = @_;
	if ($victim eq 'postmaster')
	{
		kill_server($node, 'mail');
		return 1;
	}
	my $session = session($node, 'mail');
	my $is_killed = 0;
	for my $try (1 .. 3000)
	{
		# With many texts a training waits for 1 % of new ones or an hour: the hour is over.
		ask($session, q{UPDATE reyearn.news SET time_created = time_created - interval '1 hour' WHERE time_created > now() - interval '30 min'})
		  if $victim eq 'worker' && $try % 300 == 100;
		my $pid = ask($session, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'reyearn $victim' AND datname IS NOT DISTINCT FROM " . ($victim eq 'worker' ? "'mail' AND EXISTS (SELECT FROM reyearn.progress)" : 'NULL'));
		usleep($pid ? rand(30_000) : 3_000);
		last if $is_killed = $pid && kill 'KILL', $pid;
	}
	eval { $session->quit };
	return $is_killed;
}

my (%ledger, %unsure);    # acknowledged; tried, without an answer
my $acknowledged = 0;
my @victims;
for my $round (1 .. $rounds)
{
	@victims = shuffle(qw(worker launcher postmaster)) if !@victims;
	my $victim = pop @victims;
	my $what = "round $round, $victim";
	my @writing = map { start_writer($round, $_) } 1 .. $writers;
	my $reading = start_client('reader', map { { word => $_, sql => "SELECT reyearn_predict('desk.visa', 'm')" } } 1 .. 20 * $most);
	wait_for($node, 'mail', q{SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^(writer|reader)' AND query ~ 'reyearn'}, $writers + 1);
	usleep(200_000 + rand(1_800_000));
	ok(kill_one($victim), "$what: is killed");
	end_client($_) for @writing, $reading;
	$node->start if $victim eq 'postmaster';
	wait_until_up($node);

	# Clients lost their connections, and saw no other error. In late rounds a worker comes so seldom that the reader may
	# have read all it had to.
	like($_->{error}, qr/connection|terminating/, "$what: $_->{name} was disconnected after $_->{acknowledged} statements")
	  for @writing, $reading->{acknowledged} < 20 * $most ? $reading : ();
	unlike($_->{error}, qr/ERROR/, "$what: ... and had no error before") for @writing, $reading;
	cmp_ok($reading->{acknowledged}, '>', 0, "$what: predictions were made");
	is_deeply([ grep { !/^desk\.\w+$/ } @{ $reading->{answers} } ], [], "$what: ... all of them labels");
	for my $client (@writing)
	{
		my @words = map { $_->{word} } @{ $client->{statements} };
		my $n = $client->{acknowledged};
		$ledger{$_} = 1 for @words[ 0 .. $n - 1 ];
		$unsure{ $words[$n] } = 1 if $n < @words;
		$acknowledged += $n;
	}

	# The ledger and the database.
	my %stored = map { $_ => 1 } split /\n/, $node->safe_psql('mail', q{SELECT text || '|' || label::text FROM reyearn.annotation_overview WHERE status = 'confirmed'});
	is_deeply([ grep { !$stored{$_} } keys %ledger, keys %begun ], [], "$what: no annotation is lost");
	is_deeply([ grep { !$ledger{$_} && !$unsure{$_} && !$begun{$_} } keys %stored ], [], "$what: none is invented");
	# What is there now was committed.
	$unsure{$_} && ($ledger{$_} = 1) for keys %stored;
	%unsure = ();
	is($node->safe_psql('mail', q{SELECT count(*) FROM reyearn.model_versions WHERE is_live}), '1', "$what: one version is live");
	like($node->safe_psql('mail', q{SELECT reyearn_predict('desk.visa', 'm')}), qr/^desk\.\w+$/, "$what: predictions go on");

	# The interrupted training counts as failed: the next would come later, and after three none. So that one crash a round
	# does not add up, a training has to succeed in each. Time is set back for it, also because a model that has just
	# learned learns again after a while only, and few new texts among many after an hour.
	my $last = "text $round-last desk.hotel";
	$node->safe_psql('mail', qq{
		BEGIN;
		SELECT reyearn_annotate_text('$last', 'desk.hotel');
		UPDATE reyearn.runs SET time_finished = time_finished - interval '2 h';
		UPDATE reyearn.news SET time_created = time_created - interval '2 h';
		COMMIT});
	$ledger{"$last|desk.hotel"} = 1;
	ok(wait_for($node, 'mail', 'SELECT waiting = 0 FROM reyearn.model_overview'), "$what: what waits is learned");
	is($node->safe_psql('mail', q{SELECT string_agg(DISTINCT reason, ', ') FROM reyearn.runs WHERE outcome = 'failed' AND reason <> 'the server or the worker stopped in the middle of it'}), '',
		"$what: no training failed for another reason");
	is(status_of($node, 'mail', 'parked models'), 'none: ok', "$what: the model is not parked");
}

is($node->safe_psql('mail', q{SELECT examples FROM reyearn.runs WHERE outcome IN ('promoted', 'kept') ORDER BY run_id DESC LIMIT 1}),
	keys(%begun) + keys(%ledger), 'the newest version has learned all texts');
is($node->safe_psql('mail', q{SELECT count(*) FROM reyearn.model_overview WHERE live_version IS NOT NULL AND waiting = 0 AND last_outcome = 'promoted'}), '1', 'and is live');
diag("$acknowledged annotations were acknowledged; trainings: "
	  . $node->safe_psql('mail', q{SELECT string_agg(n || ' ' || outcome, ', ') FROM (SELECT outcome, count(*) AS n FROM reyearn.runs GROUP BY 1) AS t}));
$node->stop;

done_testing();
