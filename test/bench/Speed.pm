# How fast texts come in, are learned and predicted, and what memory a training takes.

package Speed;

use strict;
use warnings;

use Bench;
use DataSets;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(measure_predict measure_train measure_load measure_memory);

# Synthetic texts: a vocabulary, the length of a text, and the seed of what is left to chance.
use constant { VOCABULARY => 300_000, WORDS_PER_TEXT => 40, SEED => 1 };

# Predicting, in CPU time: all three use one core. fastText reads its model first, which is measured with a file of one
# line and taken off.

sub fasttext_predicts
{
	my ($train, $test, $one_line, $documents) = @_;
	return if !has_fasttext();
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
	load_set($server, $set, news());
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
	copy_files($server, $database, 'train', @{ { news() }->{train} });
	sql(
		$database, q{
		CREATE TABLE many AS
			SELECT label, body || ' copy' || i AS body FROM (SELECT DISTINCT label, body FROM train) AS one,
				generate_series(1, 9) AS i ORDER BY hashtext(body || i);
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS one;
		});
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
		my @fasttext = has_fasttext() ? run_fasttext("supervised -input '$file' -output '$directory/train' -thread $threads") : ();
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

1;
