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

use Exporter 'import';
use Reyearn;
use Test::More;

our @EXPORT = qw(need_data data_file create_set copy_files annotate_training_texts load_set);

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

1;
