# What row security costs: the same calls as a superuser, whom it does not hold, and as a member of the tenant.

package Tenants;

use strict;
use warnings;

use Bench;
use DataSets;
use Exporter 'import';
use Reyearn;

our @EXPORT = qw(measure_tenants);

# As superuser and as member.
sub cost_of
{
	my ($set, $statement, $block) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off -c reyearn.tenant=acme';
	return costs_in_turn($set, $block, $statement, $statement, 'SET ROLE member;');
}

sub say_cost
{
	my ($what, $superuser, $member) = @_;
	say_line '%-46s %11.2f %11.2f %11.0f %9.1f %%', $what, $superuser, $member, 1000 * ($member - $superuser),
	  100 * ($member / $superuser - 1);
	return;
}

sub measure_tenants
{
	my $set = 'tenants';
	load_set($server, $set, news());
	install_stopwatch($set);
	sql(
		$set, q{
		CREATE ROLE acme;
		CREATE ROLE member IN ROLE acme;
		SELECT reyearn_create_tenant('acme', 'acme'), reyearn_grant('acme', 'trainer');
		GRANT SELECT ON test, train TO member;
		ALTER FUNCTION cpu_nanoseconds() SECURITY DEFINER;
		});
	local $ENV{PGOPTIONS} = '-c reyearn.tenant=acme';
	sql(
		$set, q{
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM train) AS one;
		SELECT reyearn_create_model('news', algorithm => 'naive_bayes');
		});
	annotate_at_once($set, 'train');
	sql($set, q{SELECT outcome FROM reyearn_train('news')});
	say_line '';
	say_line '%-46s %11s %11s %11s %11s', 'microseconds of server CPU', 'superuser', 'member', 'ns more', 'more';
	my $body = sql($set, q{SELECT translate(body, E'\n\\\\''', '   ') FROM test WHERE length(body) = 235 ORDER BY body LIMIT 1});
	say_cost('predict, one prepared call', cost_of($set, "SELECT reyearn_predict('$body');", 2000));
	say_cost('reyearn.content_hash, which knows no tenants', cost_of($set, "SELECT reyearn.content_hash('$body');", 2000));
	my @rows = cost_of($set, 'SELECT count(reyearn_predict(body)) FROM (SELECT body FROM test LIMIT 1000) AS t;', 2);
	say_cost('predict, each of 1,000 in a statement', map { $_ / 1000 } @rows);
	say_cost('observe and annotate a new text', cost_of($set, "SELECT reyearn_annotate_text('$body' || :calls, 'news.sports');", 200));
	say_cost('one text, annotated again', cost_of($set, "SELECT reyearn_annotate_text('$body', 'news.sports');", 500));
	say_cost('change of a status', cost_of($set, "SELECT reyearn_annotate_text('$body', 'news.sports', CASE :calls % 2 WHEN 0 THEN 'rejected' ELSE 'confirmed' END);", 200));
	return;
}

1;
