# Measures Reyearn and its peers; test/bench/run calls it. Arguments: the parts to measure.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use DataSets;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time);

# Synthetic texts: a vocabulary, the length of a text, and the seed of what is left to chance.
use constant { VOCABULARY => 300_000, WORDS_PER_TEXT => 40, SEED => 1 };

# Calls between two readings of the CPU time, and how often they change between one query and the other.
use constant { CALLS => 2_000, ALTERNATIONS => 20 };

my @parts = qw(predict train load call memory);
for my $part (@ARGV)
{
	die "unknown part $part; the parts are @parts\n" if !grep { $_ eq $part } @parts;
}

my @news = (train => [ 'ag_news_5k.train', 'ag_news_extra.train' ], test => ['ag_news.test']);
my $directory = PostgreSQL::Test::Utils::tempdir();
my $python = $ENV{REYEARN_PYTHON};
sub is_installed { my ($program) = @_; return scalar grep { -x "$_/$program" } split /:/, $ENV{PATH} }
my $has_fasttext = is_installed('fasttext');

# PostgreSQL's test modules turn standard output into the log; this is the way round them.
my $out = Test::More->builder->output;
sub say_line { print {$out} sprintf(shift @_, @_), "\n"; return }

# A server as it is after initdb but for the memory; fsync as in earnest, unlike in tests.
my $server = start_server('bench', <<'END');
shared_buffers = 512MB
fsync = on
max_wal_size = 8GB
max_parallel_workers_per_gather = 0
END

sub sql { my ($database, $query) = @_; return $server->safe_psql($database, $query) }

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
	return if !$python;
	my ($speeds) = run_command([ $python, "$FindBin::Bin/peers.py", @_ ]);
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

# Predicting, in CPU time: all three use one core. fastText reads its model first, which is measured with a file of one
# line and taken off.

sub fasttext_predicts
{
	my ($train, $test, $one_line, $documents) = @_;
	return if !$has_fasttext;
	my $model = "$directory/predict";
	my $cpu = sub { return (run_fasttext(@_))[1] };
	$cpu->("supervised -input '$train' -output '$model' -thread 1");
	return $documents
	  / median(map { $cpu->("predict '$model.bin' '$test'") - $cpu->("predict '$model.bin' '$one_line'") } 1 .. 5);
}

sub measure_predict
{
	my $set = 'predict';
	my $passes = 20;
	load_set($server, $set, @news);
	install_stopwatch($set);
	sql(
		$set, qq{
		SELECT reyearn_create_model('m', algorithm => 'naive_bayes');
		SELECT outcome FROM reyearn_train();
		CREATE TABLE many AS SELECT body FROM test, generate_series(1, $passes) AS pass ORDER BY pass;
		CREATE TABLE one_line AS SELECT * FROM test LIMIT 1;
		VACUUM ANALYZE many;
		});
	my $documents = sql($set, 'SELECT count(*) FROM many');
	# In turn, in one session; the first round warms up.
	my %query = (
		scan => 'SELECT count(body) FROM many',
		length => 'SELECT count(length(body)) FROM many',
		predict => 'SELECT count(reyearn_predict(body)) FROM many');
	my %seconds;
	my @names = sort keys %query;
	my @rows = split /\n/,
	  sql($set, join ';', map { "SELECT '$_', cpu_seconds('$query{$_}')" } (@names) x 10);
	push @{ $seconds{$_->[0]} }, $_->[1] for map { [ split /\|/ ] } @rows[ @names .. $#rows ];
	my $train = write_peers_file($set, 'train', 1);
	my $fasttext = fasttext_predicts($train, write_peers_file($set, 'test', $passes),
		write_peers_file($set, 'one_line', 1), $documents);
	my ($sklearn) = sklearn('predict', $train, write_peers_file($set, 'test', 1));

	say_speed_header('predict, documents a second of CPU');
	say_speeds('SELECT count(reyearn_predict(body))', $documents / median(@{ $seconds{predict} }), $fasttext, $sklearn);
	say_line '%-46s %9.0f', 'SELECT count(length(body))', $documents / median(@{ $seconds{length} });
	say_line '%-46s %9.0f', 'SELECT count(body)', $documents / median(@{ $seconds{scan} });
	return;
}

# Training on 120,000 texts: those of the set with a word more.

sub load_many_texts
{
	my ($database) = @_;
	create_set($server, $database);
	copy_files($server, $database, 'train', @{ $news[1] });
	sql(
		$database, q{
		CREATE TABLE many AS
			SELECT label, body || ' copy' || i AS body FROM (SELECT DISTINCT label, body FROM train) AS one,
				generate_series(1, 9) AS i ORDER BY hashtext(body || i);
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS one;
		});
	return;
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
			JOIN reyearn.observations AS o USING (body) JOIN reyearn.classes AS c USING (label);
		});
	sql($database, 'VACUUM ANALYZE');
	return;
}

# Seconds of a training, and seconds of CPU that the backend's threads take for it.
sub reyearn_trains
{
	my ($database, $threads, $params) = @_;
	my $answer = sql(
		$database, qq{
		SET reyearn.training_threads = $threads;
		DO \$\$BEGIN PERFORM reyearn_create_model('m', algorithm => 'naive_bayes', params => '$params'); END\$\$;
		CREATE TEMPORARY TABLE start AS SELECT cpu_ticks();
		SELECT seconds FROM reyearn_train('m');
		SELECT (cpu_ticks() - start.cpu_ticks) / 100.0 FROM start;
		DO \$\$BEGIN PERFORM reyearn_drop_model('m'); END\$\$;
		});
	return split /\n/, $answer;
}

sub measure_train
{
	my $set = 'train';
	load_many_texts($set);
	annotate_at_once($set, 'many');
	# Of all threads, unlike cpu_nanoseconds(), in hundredths of a second.
	sql(
		$set, q{
		CREATE FUNCTION cpu_ticks() RETURNS bigint LANGUAGE sql
			RETURN (SELECT f[12]::bigint + f[13]::bigint
			        FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') AS f);
		});
	my $documents = sql($set, 'SELECT count(*) FROM reyearn.annotations');
	my $file = write_peers_file($set, 'many', 1);
	my @sklearn = sklearn('train', $file);
	my @lines;
	for my $threads (1, 2)
	{
		my @fasttext = $has_fasttext ? run_fasttext("supervised -input '$file' -output '$directory/train' -thread $threads") : ();
		for my $variant ([ 'holdout 0.2, no refit', '{"refit": false}' ], [ 'holdout 0.2, refit (the default)', '{}' ])
		{
			my ($what, $params) = @$variant;
			my @ours = map { [ reyearn_trains($set, $threads, $params) ] } 1 .. 3;
			my $name = "$threads thread" . ($threads == 1 ? '' : 's') . ", $what";
			for my $of (0, 1)
			{
				push @{ $lines[$of] },
				  [ $name, $documents / median(map { $_->[$of] } @ours),
					defined $fasttext[$of] ? $documents / $fasttext[$of] : undef, $sklearn[$of] ];
			}
		}
	}
	say_speed_header("train on $documents texts, documents/s");
	say_speeds(@$_) for @{ $lines[0] };
	say_speed_header('the same, documents a second of CPU');
	say_speeds(@$_) for @{ $lines[1] };
	return;
}

# Bringing texts in, with a model that is waiting for them.

sub measure_load
{
	my $rows = 100_000;
	my $set = 'load';
	load_many_texts($set);
	sql($set, "SELECT reyearn_create_model('m')");
	my $file = "$directory/inbox.tsv";
	sql($set, "COPY (SELECT body, label FROM many LIMIT $rows) TO '$file'");
	my $bytes = sql($set, "SELECT round(avg(octet_length(body))) FROM (SELECT body FROM many LIMIT $rows) AS one");
	my %seconds;
	$seconds{'COPY reyearn.inbox'} = seconds(sub { sql($set, "COPY reyearn.inbox (body, label) FROM '$file'") });
	sql($set, 'TRUNCATE reyearn.observations, reyearn.annotations, reyearn.annotation_history, reyearn.news');
	$seconds{'SELECT reyearn_annotate_text(body, label)'} = seconds(
		sub {
			sql($set, "SELECT count(reyearn_annotate_text(body, label)) FROM (SELECT * FROM many LIMIT $rows) AS one");
		});
	say_line '';
	say_line '%-46s %9s', "texts of $bytes bytes in, rows/s", 'reyearn';
	say_line '%-46s %9.0f', $_, $rows / $seconds{$_} for sort keys %seconds;
	return;
}

# One prepared call, in CPU time of the backend: the backend reads its own clock between blocks of calls.

sub measure_call
{
	my $set = 'call';
	load_set($server, $set, @news);
	sql(
		$set, q{
		SELECT reyearn_create_model('m', algorithm => 'naive_bayes');
		SELECT outcome FROM reyearn_train();
		CREATE TABLE clock (calls int, nanoseconds bigint);
		});
	install_stopwatch($set);
	my $body = sql($set, q{SELECT translate(body, E'\n\\\\', '  ') FROM test WHERE length(body) = 235 ORDER BY body LIMIT 1});
	my $script = "$directory/call.sql";
	append_to_file($script, <<~'END');
		\if :calls % :block = 0
		INSERT INTO clock SELECT :calls, cpu_nanoseconds();
		\endif
		\if :calls / :block % 2 = 0
		SELECT :body::text;
		\else
		SELECT reyearn_predict(:body);
		\endif
		\set calls :calls + 1
		END
	my $calls = CALLS * 2 * ALTERNATIONS + 1;
	system_or_bail('pgbench', '-n', '-M', 'prepared', '-t', $calls, '-D', 'calls=0', '-D', 'block=' . CALLS,
		'-D', "body=$body", '-f', $script, '-h', $server->host, '-p', $server->port, $set);
	my @blocks = split /\n/, sql($set, 'SELECT lead(nanoseconds) OVER (ORDER BY calls) - nanoseconds FROM clock ORDER BY calls');
	my %microseconds;
	for my $i (0 .. 2 * ALTERNATIONS - 1)
	{
		push @{ $microseconds{ $i % 2 ? 'predict' : 'text' } }, $blocks[$i] / CALLS / 1000;
	}
	my %median = map { $_ => median(@{ $microseconds{$_} }) } keys %microseconds;
	say_line '';
	say_line '%-46s %9s', 'one prepared call, microseconds of server CPU', 'reyearn';
	say_line '%-46s %9.2f', 'SELECT reyearn_predict($1)', $median{predict};
	say_line '%-46s %9.2f', 'SELECT $1::text', $median{text};
	say_line '%-46s %9.2f', 'difference', $median{predict} - $median{text};
	return;
}

# Memory of a training, on texts that are made up: words by Zipf's law, some of them by class.

sub write_synthetic_texts
{
	my ($documents, $file) = @_;
	srand SEED;
	my @words = map { join '', map { chr(97 + int rand 26) } 0 .. 2 + int rand 6 } 1 .. VOCABULARY;
	open my $texts, '>', $file or die $!;
	for my $i (1 .. $documents)
	{
		my $class = 1 + $i % 4;
		print {$texts} "made.class$class\t",
		  join(' ', "class$class", map { $words[ VOCABULARY**rand() - 1 ] } 1 .. WORDS_PER_TEXT), "\n";
	}
	close $texts;
	return;
}

sub measure_memory
{
	say_line '';
	say_line '%-46s %9s %9s %9s %9s', 'memory of a training (made-up texts)', 'features', 'seconds', 'peak MB', 'of these shared';
	for my $documents (split ' ', $ENV{DOCUMENTS})
	{
		my $set = "memory_$documents";
		my $file = "$directory/synthetic.tsv";
		create_set($server, $set);
		write_synthetic_texts($documents, $file);
		sql(
			$set, qq{
			COPY train FROM '$file';
			SELECT count(reyearn_create_class('made.class' || i)) FROM generate_series(1, 4) AS i;
			SELECT reyearn_create_model('m', algorithm => 'naive_bayes');
			});
		unlink $file;
		annotate_at_once($set, 'train');
		my ($trained, %memory) = split /\n|:\s*/, sql(
			$set, q{
			SELECT seconds FROM reyearn_train();
			SELECT line FROM regexp_split_to_table(pg_read_file('/proc/self/status'), E'\n') AS line WHERE line ~ '^(VmHWM|RssShmem):';
			});
		my $features = sql($set, 'SELECT feature_count FROM reyearn.model_versions');
		my ($peak, $shared) = map { s/ kB//r / 1024 } @memory{ 'VmHWM', 'RssShmem' };
		say_line '%-46s %9d %9.2f %9.0f %9.0f', "$documents texts", $features, $trained, $peak, $shared;
		sql('postgres', "DROP DATABASE $set");
	}
	return;
}

my %measure = (
	predict => \&measure_predict,
	train => \&measure_train,
	load => \&measure_load,
	call => \&measure_call,
	memory => \&measure_memory);

sub load_average { return (split ' ', slurp_file('/proc/loadavg'))[0] }

say_line 'fastText is not installed: left out.' if !$has_fasttext;
say_line 'No Python with scikit-learn: left out.' if !$python;
if (!is_installed('pgbench'))
{
	say_line 'pgbench is not installed: call is left out.';
	@ARGV = grep { $_ ne 'call' } @ARGV;
}
say_line 'load average of the machine before: %s', load_average();
$measure{$_}->() for @ARGV;
say_line '';
say_line 'load average of the machine after: %s', load_average();
$server->stop;
