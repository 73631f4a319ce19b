# What serving from shared memory costs: a call, a swap under load, the first use of a large model, and a session.

package Serving;

use strict;
use warnings;

use Bench;
use DataSets;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Reyearn;

our @EXPORT = qw(measure_call measure_swap measure_first measure_sessions);

# Calls between two readings of the CPU time, and how often they change between one query and the other.
use constant { CALLS => 2_000, ALTERNATIONS => 20 };

# Of the large model: texts, words of each that no other has, and classes.
use constant { TEXTS => 104_000, WORDS => 40, CLASSES => 130 };

use constant { SECONDS => 10, CLIENTS => 2, RESTARTS => 5, SESSIONS => 100, PRIVATE_SESSIONS => 3 };

# One prepared call, in CPU time of the backend: the backend reads its own clock between blocks of calls, which are in
# turn calls of the function and of a query that only returns the text.

sub calls_of
{
	my ($set, $body, $begin, $end) = @_;
	my $last = CALLS * 2 * ALTERNATIONS;
	my $script = script('call', <<~"END");
		\\if :calls = 0
		TRUNCATE clock;
		\\endif
		\\if :calls % :block = 0
		INSERT INTO clock SELECT :calls, cpu_nanoseconds();
		\\endif
		$begin
		\\if :calls / :block % 2 = 0
		SELECT :body::text;
		\\else
		SELECT reyearn_predict(:body);
		\\endif
		$end
		\\set calls :calls + 1
		END
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off';
	run_command([ pgbench($set, '-t', $last + 1, '-D', 'calls=0', '-D', 'block=' . CALLS, '-D', "body=$body", '-f', $script) ]);
	my @blocks = split /\n/, sql($set, 'SELECT lead(nanoseconds) OVER (ORDER BY calls) - nanoseconds FROM clock ORDER BY calls');
	my @microseconds = ([], []);
	push @{ $microseconds[ $_ % 2 ] }, $blocks[$_] / CALLS / 1000 for 0 .. 2 * ALTERNATIONS - 1;
	return map { median(@$_) } @microseconds;
}

sub measure_call
{
	my $set = 'call';
	load_set($server, $set, news());
	sql(
		$set, q{
		SELECT reyearn_create_model('m', algorithm => 'naive_bayes');
		SELECT outcome FROM reyearn_train();
		CREATE TABLE clock (calls int, nanoseconds bigint);
		CREATE TABLE other (n int);
		INSERT INTO other VALUES (0);
		});
	install_stopwatch($set);
	my $body = sql($set, q{SELECT translate(body, E'\n\\\\', '  ') FROM test WHERE length(body) = 235 ORDER BY body LIMIT 1});
	my $say = sub { my ($what, $text, $predict) = @_; say_line '%-46s %9.2f %9.2f %9.2f', $what, $predict, $text, $predict - $text };
	say_line '';
	say_line '%-46s %9s %9s %9s', 'prepared calls, microseconds of server CPU', 'predict', '$1::text', 'cost';
	$say->('quiet server', calls_of($set, $body, '', ''));
	my $write = script('write', "UPDATE other SET n = n + 1;\n");
	my $writer = IPC::Run::start([ pgbench($set, '-T', 3600, '-R', 1000, '-f', $write) ], '>', \my $out, '2>', \my $error);
	$say->('while another session commits', calls_of($set, $body, '', ''));
	$writer->signal('TERM');
	$writer->finish;
	$say->('with BEGIN, UPDATE before and COMMIT after it', calls_of($set, $body, "BEGIN;\nUPDATE other SET n = n + 1;", 'COMMIT;'));
	return;
}

# Two versions of a model that knows many words and classes.
sub large_set
{
	my $set = 'large';
	return $set if sql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$set'");
	create_set($server, $set);
	sql(
		$set, sprintf q{
		INSERT INTO train SELECT ('made.class' || i %% %2$d)::ltree,
			(SELECT string_agg('word' || i * %3$d + j, ' ') FROM generate_series(1, %3$d) AS j) FROM generate_series(1, %1$d) AS i;
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS one;
		SELECT reyearn_create_model('m', algorithm => 'naive_bayes', promotion => 'always');
		}, TEXTS, CLASSES, WORDS);
	annotate_at_once($set, 'train');
	sql($set, qq{SELECT outcome FROM reyearn_train('m', '{"alpha": $_}')}) for 1, 2;
	return $set;
}

sub megabytes { my ($set) = @_; return sql($set, 'SELECT round(avg(image_bytes) / 1e6) FROM reyearn.model_versions') }

# How long a client waits for an answer, while versions take turns and while they do not.

sub start_swapping
{
	my ($set, $milliseconds_between) = @_;
	my $swap = script('swap', join '', map { "SELECT reyearn_promote('m', $_);\n\\sleep $milliseconds_between ms\n" } 1, 2);
	my %swapping = (said => '');
	$swapping{process} = IPC::Run::start([ pgbench($set, '-T', SECONDS, '-f', $swap) ], '>', \$swapping{said}, '2>', \my $error);
	return \%swapping;
}

sub swaps_made
{
	my ($swapping) = @_;
	$swapping->{process}->finish;
	my ($rounds) = $swapping->{said} =~ /transactions actually processed: (\d+)/;
	return 2 * $rounds;
}

sub say_latencies
{
	my ($set, $what, $milliseconds_between_swaps) = @_;
	my $predict = script('predict', "SELECT reyearn_predict('word4711 in other news word815');\n");
	my $swapping = $milliseconds_between_swaps && start_swapping($set, $milliseconds_between_swaps);
	run_command([ pgbench($set, '-T', SECONDS, '-c', CLIENTS, '-l', "--log-prefix=$directory/latency", '-f', $predict) ]);
	my $swaps = $swapping ? swaps_made($swapping) : 0;
	my ($log) = glob "$directory/latency*";
	my @latencies = sort { $a <=> $b } map { (split)[2] } split /\n/, slurp_file($log);
	unlink $log;
	say_line '%-46s %9d %9d %9d %9d %9d', $what, $swaps, scalar @latencies, map { $latencies[ $_ * $#latencies ] } 0.5, 0.99, 0.999;
	return;
}

sub measure_swap
{
	my $set = 'swap';
	load_set($server, $set, news());
	sql($set, q{SELECT reyearn_create_model('m', algorithm => 'naive_bayes', promotion => 'always')});
	sql($set, qq{SELECT outcome FROM reyearn_train('m', '{"alpha": $_}')}) for 1, 2;
	my $large = large_set();
	say_line '';
	say_line '%-46s %9s %9s %9s %9s %9s', CLIENTS . ' clients for ' . SECONDS . ' s, microseconds until the answer', 'swaps', 'answers',
	  'p50', 'p99', 'p99.9';
	for ($set, $large)
	{
		my $size = megabytes($_) . ' MB';
		say_latencies($_, "$size, quiet");
		say_latencies($_, "$size, swapped", 20);
	}
	return;
}

# What a session waits for when it uses the large model first: in the server, in the session. fastText reads its model
# in every process; with ten dimensions it is about as large.

sub first_use
{
	my ($set) = @_;
	my $text = 'word4711 word815';
	my ($milliseconds) = sql($set, "\\timing on\nSELECT reyearn_predict('$text')") =~ /Time: ([\d.]+) ms/;
	return $milliseconds;
}

sub fasttext_first_use
{
	my ($set) = @_;
	my $train = write_peers_file($set, 'train', 1);
	run_fasttext("supervised -input '$train' -output '$directory/large' -dim 10 -epoch 1");
	my $one_line = script('one_line', "word4711 word815\n");
	my @seconds = map { (run_fasttext("predict '$directory/large.bin' '$one_line'"))[0] } 1 .. RESTARTS;
	return (-s "$directory/large.bin", 1000 * median(@seconds));
}

sub measure_first
{
	my $set = large_set();
	my @milliseconds = ([], []);
	for (1 .. RESTARTS)
	{
		$server->restart;
		push @$_, first_use($set) for @milliseconds;
	}
	say_line '';
	say_line '%-46s %9s', 'first prediction of a session, milliseconds', 'reyearn';
	say_line '%-46s %9.1f', megabytes($set) . ' MB, first session of the server', median(@{ $milliseconds[0] });
	say_line '%-46s %9.1f', 'second session', median(@{ $milliseconds[1] });
	return if !has_fasttext();
	my ($bytes, $milliseconds) = fasttext_first_use($set);
	say_line '%-46s %9.1f', sprintf('fastText, %.0f MB, each process', $bytes / 1e6), $milliseconds;
	return;
}

# Memory that is a session's own, before and after it has used the large model.

sub private_megabytes
{
	my ($set, $sessions) = @_;
	my @sessions = map { session($server, $set) } 1 .. $sessions;
	my @growth;
	for my $session (@sessions)
	{
		my $pid = ask($session, 'SELECT pg_backend_pid()');
		ask($session, 'SELECT count(*) FROM train WHERE body IS NULL');
		my $before = memory_of($pid);
		ask($session, q{SELECT reyearn_predict('word4711 word815')});
		push @growth, (memory_of($pid) - $before) / 1024;
	}
	$_->quit for @sessions;
	return median(@growth);
}

sub measure_sessions
{
	my $set = large_set();
	say_line '';
	say_line '%-46s %9s', 'private memory of a session for a model, MB', 'reyearn';
	say_line '%-46s %9.2f', megabytes($set) . ' MB, shared by ' . SESSIONS . ' sessions', private_megabytes($set, SESSIONS);
	sql('postgres', q{ALTER SYSTEM SET reyearn.shared_memory_limit = '1MB'});
	$server->restart;
	say_line '%-46s %9.2f', 'the same without room in shared memory', private_megabytes($set, PRIVATE_SESSIONS);
	sql('postgres', 'ALTER SYSTEM RESET reyearn.shared_memory_limit');
	$server->restart;
	return;
}

1;
