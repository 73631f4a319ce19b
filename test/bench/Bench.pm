# What the parts of the benchmark share: the server, the peers, the clock, and the lines that are printed.

package Bench;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw($server $directory start_bench_server sql install_stopwatch annotate_at_once news
  pgbench script is_installed has_fasttext run_fasttext python sklearn write_peers_file
  median seconds costs_in_turn say_line say_speeds say_speed_header);

sub news { return (train => [ 'ag_news_5k.train', 'ag_news_extra.train' ], test => ['ag_news.test']) }

sub is_installed { my ($program) = @_; return scalar grep { -x "$_/$program" } split /:/, $ENV{PATH} }
sub has_fasttext { return is_installed('fasttext') }
sub python { return $ENV{REYEARN_PYTHON} }

# PostgreSQL's test modules turn standard output into the log, and note there and here what sessions do: this is the way
# round them.
my $out = Test::More->builder->output;
sub say_line { print {$out} sprintf(shift @_, @_), "\n"; return }

# A server as it is after initdb but for the memory and the library; fsync as in earnest, unlike in tests. And a
# directory for what passes between it and its peers.
our ($server, $directory);
sub start_bench_server
{
	Test::More->builder->output('/dev/null');
	$directory = PostgreSQL::Test::Utils::tempdir();
	$server = start_server('bench', <<~'END');
		shared_preload_libraries = reyearn
		shared_buffers = 512MB
		fsync = on
		max_wal_size = 8GB
		max_connections = 150
		max_parallel_workers_per_gather = 0
		END
	return;
}

sub sql { my ($database, $query) = @_; return $server->safe_psql($database, $query) }

# A command, and a file of statements for it.
sub pgbench
{
	my ($database, @arguments) = @_;
	return ('pgbench', '-n', '-M', 'prepared', '-h', $server->host, '-p', $server->port, @arguments, $database);
}

sub script
{
	my ($name, $text) = @_;
	my $file = "$directory/$name.sql";
	open my $script, '>', $file or die $!;
	print {$script} $text;
	close $script;
	return $file;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

sub seconds
{
	my ($work) = @_;
	my $start = time;
	$work->();
	return time - $start;
}

# Documents a second of Reyearn, of fastText and of scikit-learn; a peer may be undefined.
sub say_speeds
{
	my ($what, $ours, $fasttext, $sklearn) = @_;
	my $speed = sub { defined $_[0] ? sprintf '%.0f', $_[0] : '-' };
	my $ratio = sub { defined $_[0] ? sprintf '%.2f', $ours / $_[0] : '-' };
	say_line '%-46s %9s %9s %9s %9s %9s', $what, map({ $speed->($_) } $ours, $fasttext, $sklearn),
	  map({ $ratio->($_) } $fasttext, $sklearn);
	return;
}

sub say_speed_header
{
	say_line '';
	say_line '%-46s %9s %9s %9s %9s %9s', @_, 'reyearn', 'fastText', 'sklearn', ':fastText', ':sklearn';
	return;
}

# A table with columns label and body as fastText reads it, one pass after another. Words stay words to all of them.
sub write_peers_file
{
	my ($database, $table, $passes) = @_;
	my $file = "$directory/$database.$table.$passes.txt";
	sql($database,
		qq{COPY (SELECT '__label__' || label::text || ' ' || regexp_replace(body, '[\\s\\\\]+', ' ', 'g')
		         FROM $table, generate_series(1, $passes) AS pass ORDER BY pass) TO '$file'});
	return $file;
}

sub sklearn
{
	return if !python();
	my ($speeds) = run_command([ python(), "$FindBin::Bin/peers.py", @_ ]);
	return split ' ', $speeds;
}

# Seconds that pass, and seconds of CPU.
sub run_fasttext
{
	my ($arguments) = @_;
	my $cpu = sub { my (undef, undef, $user, $system) = times; return $user + $system };
	my $before = $cpu->();
	my $seconds = seconds(sub { system_or_bail('sh', '-c', "fasttext $arguments >'$directory/out' 2>&1") });
	return ($seconds, $cpu->() - $before);
}

# CPU time of the backend, and what a query takes of it.
sub install_stopwatch
{
	my ($database) = @_;
	sql(
		$database, q{
		CREATE FUNCTION cpu_nanoseconds() RETURNS bigint LANGUAGE sql
			RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint;
		CREATE FUNCTION cpu_seconds(query text) RETURNS float8 LANGUAGE plpgsql AS $$
		DECLARE
			start CONSTANT bigint := cpu_nanoseconds();
		BEGIN
			EXECUTE query;
			RETURN (cpu_nanoseconds() - start) / 1e9;
		END
		$$});
	return;
}

# Medians of the server's CPU time for a transaction of either statement, in microseconds. They take turns, $block of them
# at a time; the second comes after what enters its blocks, and first of all a block begins as superuser.
sub costs_in_turn
{
	my ($set, $block, $first, $second, $enter) = @_;
	my $turns = 20;
	sql($set, 'CREATE TABLE IF NOT EXISTS clock (calls int, nanoseconds bigint); TRUNCATE clock');
	my $script = script('turns', <<~"END");
		\\if :calls % $block = 0
		RESET ROLE;
		INSERT INTO clock SELECT :calls, cpu_nanoseconds();
		\\if :calls / $block % 2 = 1
		$enter
		\\endif
		\\endif
		\\if :calls / $block % 2 = 1
		$second
		\\else
		$first
		\\endif
		\\set calls :calls + 1
		END
	run_command([ pgbench($set, '-t', $block * 2 * $turns + 1, '-D', 'calls=0', '-f', $script) ]);
	my @blocks = split /\n/, sql($set, 'SELECT lead(nanoseconds) OVER (ORDER BY calls) - nanoseconds FROM clock ORDER BY calls');
	my @microseconds = ([], []);
	push @{ $microseconds[ $_ % 2 ] }, $blocks[$_] / $block / 1000 for 0 .. 2 * $turns - 1;
	return map { median(@$_) } @microseconds;
}

# Past the inbox, which is measured elsewhere.
sub annotate_at_once
{
	my ($database, $table) = @_;
	sql(
		$database, qq{
		INSERT INTO reyearn.observations (body) SELECT body FROM $table;
		INSERT INTO reyearn.annotations (observation_id, class_id)
			SELECT o.observation_id, c.class_id FROM $table AS t
			JOIN reyearn.observations AS o USING (body) JOIN reyearn.classes AS c USING (label)
			WHERE o.tenant_id = reyearn.current_tenant() AND c.tenant_id = o.tenant_id;
		});
	sql($database, 'VACUUM ANALYZE');
	return;
}

1;
