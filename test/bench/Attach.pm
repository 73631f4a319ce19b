# What an attached table costs: rows written into it and into one that is not, and attaching one that has rows.

package Attach;

use strict;
use warnings;

use Bench;
use DataSets;
use Exporter 'import';
use Reyearn;

our @EXPORT = qw(measure_attach);

sub say_cost
{
	my ($what, $plain, $attached) = @_;
	say_line '%-46s %11.2f %11.2f %11.2f', $what, $plain, $attached, $attached - $plain;
	return;
}

# Medians of the CPU time of a statement on either table, in microseconds a row.
sub bulk_costs
{
	my ($set, $rows, $statement) = @_;
	my %cost = (plain => [], attached => []);
	for (1 .. 5)
	{
		for my $table (sort keys %cost)
		{
			my $sql = $statement =~ s/\{table\}/$table/gr;
			my $seconds = sql($set, "TRUNCATE $table; SELECT cpu_seconds(\$statement\$$sql\$statement\$)");
			push @{ $cost{$table} }, 1e6 * $seconds / $rows;
		}
	}
	return map { median(@{ $cost{$_} }) } qw(plain attached);
}

# A step of the worker is a transaction: rows are locked as long as it takes.
sub measure_steps
{
	my ($set) = @_;
	sql($set, q{
		SELECT reyearn_detach('plain');
		TRUNCATE plain, reyearn.attached_rows;
		INSERT INTO plain (body) TABLE texts;
		VACUUM ANALYZE plain;
		SELECT reyearn_create_model('later', algorithm => 'naive_bayes');
		SELECT reyearn_attach('plain', 'body', 'label', 'later');
		SELECT outcome FROM reyearn_train('later');
		CREATE TABLE steps (n bigint, seconds float8)});
	sql($set, q{
		DO $do$
		DECLARE
		    attachment bigint := (SELECT max(attachment_id) FROM reyearn.catch_ups);
		    started timestamptz;
		    n bigint;
		BEGIN
		    LOOP
		        started := clock_timestamp();
		        n := reyearn.catch_up_of(0, attachment, 1000);
		        COMMIT;
		        EXIT WHEN n = 0;
		        INSERT INTO steps VALUES (n, extract(epoch FROM clock_timestamp() - started));
		    END LOOP;
		END
		$do$});
	my ($rate, $median, $longest) = split /\|/, sql($set, 'SELECT sum(n) / sum(seconds), 1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 1000 * max(seconds) FROM steps');
	say_line '';
	say_line 'labelling in steps of 1,000 rows: %.0f rows a second; a step locks its rows for %.0f ms, the longest for %.0f ms', $rate, $median, $longest;
	return;
}

sub measure_attach
{
	my $set = 'attach';
	my $rows = 100_000;
	load_set($server, $set, news());
	install_stopwatch($set);
	sql(
		$set, qq{
		SELECT reyearn_create_model('news', algorithm => 'naive_bayes');
		SELECT outcome FROM reyearn_train('news');
		CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, label text);
		CREATE TABLE attached (LIKE plain INCLUDING ALL);
		SELECT reyearn_attach('attached', 'body', 'label');
		CREATE TABLE texts AS SELECT left(body, 228) || to_char(row_number() OVER (), 'FM000000') AS body
		  FROM test, generate_series(1, 500) WHERE octet_length(body) BETWEEN 225 AND 245 LIMIT $rows;
		COPY texts TO '$directory/texts'});
	say_line '';
	say_line '%-46s %11s %11s %11s', 'microseconds of server CPU a row', 'plain', 'attached', 'more';
	my $body = sql($set, q{SELECT translate(body, E'\n\\\\''', '   ') FROM test WHERE length(body) = 235 ORDER BY body LIMIT 1});
	my @inserts = map { "INSERT INTO $_ (body) VALUES ('$body');" } qw(plain attached);
	{
		local $ENV{PGOPTIONS} = '-c synchronous_commit=off';
		say_cost('INSERT of one row and its commit', costs_in_turn($set, 500, @inserts, ''));
	}
	say_cost('INSERT of one row, many in a transaction',
		bulk_costs($set, $rows, "DO \$do\$ BEGIN FOR i IN 1 .. $rows LOOP INSERT INTO {table} (body) VALUES ('$body'); END LOOP; END \$do\$"));
	say_cost('COPY', bulk_costs($set, $rows, "COPY {table} (body) FROM '$directory/texts'"));
	say_cost('INSERT ... SELECT', bulk_costs($set, $rows, 'INSERT INTO {table} (body) SELECT body FROM texts'));
	say_line '';
	say_line '%-46s %11s', "attaching a table of $rows rows", 'seconds';
	sql($set, q{TRUNCATE plain; INSERT INTO plain (body) TABLE texts; VACUUM ANALYZE plain});
	say_line '%-46s %11.1f', 'that have no label', seconds(sub { sql($set, q{SELECT reyearn_attach('plain', 'body', 'label')}) });
	sql($set, q{SELECT reyearn_detach('plain'); TRUNCATE reyearn.attached_rows});
	say_line '%-46s %11.1f', 'that people have labelled', seconds(sub { sql($set, q{SELECT reyearn_attach('plain', 'body', 'label')}) });
	measure_steps($set);
	return;
}

1;
