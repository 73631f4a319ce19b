# Data sets for the tests of quality and for the benchmark: a database for each, on a private server.
#
#   my $server = start_server('name');
#   load_set($server, 'trec', train => ['trec.train'], test => ['trec.test']);
#
# The database, named like the set, then has tables train and test (label ltree, body text) with the rows of the
# files, and the extension with the classes and the annotated training texts.
package DataSets;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(need_data data_file start_server load_set create_set annotate_training_texts);

# Skips the script where the data sets are not at hand.
sub need_data
{
	plan skip_all => 'REYEARN_DATA names no directory with the data sets'
	  unless $ENV{REYEARN_DATA} && -d $ENV{REYEARN_DATA};
}

sub data_file { return "$ENV{REYEARN_DATA}/$_[0]" }

# An option such as 'shared_buffers = 1GB' is a line for postgresql.conf.
sub start_server
{
	my ($name, @options) = @_;
	my $server = PostgreSQL::Test::Cluster->new($name);
	$server->init;
	$server->append_conf('postgresql.conf', "$_\n") for @options;
	$server->start;
	return $server;
}

# An empty set: its database, the extension and the two tables.
sub create_set
{
	my ($server, $set) = @_;
	$server->safe_psql('postgres', "CREATE DATABASE $set TEMPLATE template0 ENCODING 'UTF8'");
	$server->safe_psql(
		$set, q{
		CREATE EXTENSION reyearn CASCADE;
		CREATE TABLE train (label ltree NOT NULL, body text NOT NULL);
		CREATE TABLE test (LIKE train);
	});
}

sub load_set
{
	my ($server, $set, %files) = @_;
	create_set($server, $set);
	for my $table (sort keys %files)
	{
		for my $file (@{ $files{$table} })
		{
			my $path = data_file("$file.tsv.gz");
			$server->safe_psql($set, "COPY $table FROM PROGRAM 'gzip -dc ''$path'''");
		}
	}
	annotate_training_texts($server, $set);
}

# In the order of the file: of a text that comes with several labels, the last one counts.
sub annotate_training_texts
{
	my ($server, $set) = @_;
	$server->safe_psql(
		$set, q{
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS l;
		INSERT INTO reyearn.inbox (body, label) SELECT body, label FROM train;
		ANALYZE;
	});
}

1;
