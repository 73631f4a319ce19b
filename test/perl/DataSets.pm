# Data sets for the tests of quality and for the benchmark, each in a database of its own:
#
#   need_data();
#   my $server = start_server('name');
#   load_set($server, 'trec', train => ['trec.train'], test => ['trec.test']);
#
# The database, named like the set, then has tables train and test (label ltree, body text) with the rows of the
# files, and the extension with the classes and the annotated training texts.

package DataSets;

use strict;
use warnings;

use Encode qw(decode encode FB_CROAK LEAVE_SRC);
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

our @EXPORT = qw(need_data data_file create_set copy_files annotate_training_texts load_set load_spamassassin);

# Skips the script where the data sets are not at hand.
sub need_data
{
	plan skip_all => 'REYEARN_DATA names no directory with the data sets'
	  unless $ENV{REYEARN_DATA} && -d $ENV{REYEARN_DATA};
	return;
}

sub data_file { return "$ENV{REYEARN_DATA}/$_[0]" }

# The database, the extension and two empty tables.
sub create_set
{
	my ($server, $set) = @_;
	create_database($server, $set, q{ENCODING 'UTF8'});
	$server->safe_psql(
		$set, q{
		CREATE TABLE train (label ltree NOT NULL, body text NOT NULL);
		CREATE TABLE test (LIKE train);
		});
	return;
}

sub copy_files
{
	my ($server, $set, $table, @files) = @_;
	for my $path (map { data_file("$_.tsv.gz") } @files)
	{
		$server->safe_psql($set, "COPY $table FROM PROGRAM 'gzip -dc ''$path'''");
	}
	return;
}

# In the order of the file: of a text that comes with several labels, the last one counts.
sub annotate_training_texts
{
	my ($server, $set) = @_;
	$server->safe_psql(
		$set, q{
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS one;
		INSERT INTO reyearn.inbox (body, label) SELECT body, label FROM train;
		ANALYZE;
		});
	return;
}

sub load_set
{
	my ($server, $set, %files) = @_;
	create_set($server, $set);
	copy_files($server, $set, $_, @{ $files{$_} }) for sort keys %files;
	annotate_training_texts($server, $set);
	return;
}

sub _to_utf8
{
	my ($bytes) = @_;
	my $characters = eval { decode('UTF-8', $bytes, FB_CROAK | LEAVE_SRC) } // decode('ISO-8859-1', $bytes);
	return encode('UTF-8', $characters);
}

# Raw messages, read as UTF-8 where they are that, else as Latin-1; a text in PostgreSQL cannot hold the byte 0.
sub load_spamassassin
{
	my ($server) = @_;
	my $set = 'spamassassin';
	create_set($server, $set);
	my $directory = PostgreSQL::Test::Utils::tempdir();
	system_or_bail('tar', '-xzf', data_file("$set.tar.gz"), '-C', $directory);
	my %rows = (train => [], test => []);
	open(my $split, '-|', 'gzip', '-dc', data_file("$set.split.tsv.gz")) or die $!;
	while (my $line = <$split>)
	{
		my ($path, $class, $part) = $line =~ /^((ham|spam)\/\S+)\t(train|test)$/ or die "bad line: $line";
		my $text = _to_utf8(slurp_file("$directory/$path"));
		$text =~ tr/\0//d;
		$text =~ s/([\\\n\r\t])/'\\' . $1 =~ tr{\n\r\t}{nrt}r/ge;
		push @{ $rows{$part} }, "mail.$class\t$text\n";
	}
	close $split;
	for my $table (sort keys %rows)
	{
		my $file = "$directory/$table.tsv";
		append_to_file($file, join '', @{ $rows{$table} });
		$server->safe_psql($set, "COPY $table FROM '$file'");
	}
	annotate_training_texts($server, $set);
	return;
}

1;
