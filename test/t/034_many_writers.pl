# Eight clients annotate for two models, in opposite order, while workers train: nobody waits for a lock or fails, and in
# the end both models have learned everything, in far fewer trainings than commits. A restored dump is at rest: its
# models say what they said, and are trained only when there is news.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(sleep time);

use constant { CLIENTS => 8, COMMITS => 1250 };    # of each client; a commit has an annotation for each model

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nreyearn.max_workers = 2\nreyearn.probe_interval = 1\n"
	  . "log_min_messages = debug1\nlog_statement = none\nlog_lock_waits = on\ndeadlock_timeout = '100ms'");
create_database($node, 'mail');

sub query { return $node->safe_psql('mail', $_[0]) }

sub starts { return worker_starts($node) }

query(q{
	SELECT reyearn_create_class(m || c) FROM unnest('{one,two}'::text[]) AS m, unnest('{.food,.sport}'::text[]) AS c;
	SELECT reyearn_create_model(m, m, retrain_delay => '0', promotion => 'always') FROM unnest('{one,two}'::text[]) AS m});
my $directory = $node->basedir;
for my $order ([ 'one', 'two' ], [ 'two', 'one' ])
{
	my @statements = map { "SELECT reyearn_annotate_text(:n || ' of $_ by ' || :client_id || ' in ' || :word, CASE :word % 2 WHEN 0 THEN '$_.food' ELSE '$_.sport' END);" } @$order;
	append_to_file("$directory/$order->[0].sql", join "\n", "\\set n :n + 1\n\\set word random(1, 50)\nBEGIN;", @statements, "COMMIT;\n");
}
my @pgbench = ('pgbench', '-n', '-h', $node->host, '-p', $node->port, '-j', 2, '-t', COMMITS, '-c', CLIENTS / 2);
my ($started, $before) = (time, starts());
my (@runs, @output);
for my $first (qw(one two))
{
	push @output, \my $output;
	# Their texts differ by n.
	push @runs, IPC::Run::start [ @pgbench, '-D', 'n=' . ($first eq 'one' ? 0 : 1_000_000), '-f', "$directory/$first.sql", 'mail' ], '>&', $output[-1];
}
for my $i (0, 1)
{
	ok($runs[$i]->finish, 'no client fails') or diag(${ $output[$i] });
	like(${ $output[$i] }, qr/number of failed transactions: 0 /, '... nor a transaction');
}
my $each = CLIENTS * COMMITS;
is(query('SELECT count(*) FROM reyearn.annotations'), 2 * $each, 'all is annotated');
cmp_ok(query(q{SELECT min(n) FROM (SELECT count(*) FROM reyearn.runs WHERE outcome = 'promoted' GROUP BY model_id) AS trained (n)}), '>', 1, 'both models were trained meanwhile');

# The last, when they are less than 1 % of the examples, wait an hour: it is moved on. One more annotation makes news of
# it also when there was nothing left.
query(q{
	UPDATE reyearn.news SET time_created = time_created - interval '1 hour';
	BEGIN;
	SELECT reyearn_annotate_text('last of ' || m, m || '.food') FROM unnest('{one,two}'::text[]) AS m;
	UPDATE reyearn.news SET time_created = time_created - interval '1 hour';
	COMMIT});
wait_for($node, 'mail', 'SELECT count(*) = 0 FROM reyearn.news');
is(query('SELECT count(*) FROM reyearn.news'), '0', 'in the end there is no news');
is(query(q{SELECT string_agg(DISTINCT (SELECT r.examples FROM reyearn.runs AS r WHERE r.model_id = m.model_id ORDER BY run_id DESC LIMIT 1)::text, ' ') FROM reyearn.models AS m}),
	$each + 1, 'the last run of each model has seen all');
is(query(q{SELECT count(*) FROM reyearn.runs WHERE outcome = 'failed' AND NOT is_too_early}), '0', 'no training failed');

# A training begins ten times as long after the one before as that took, so training takes a tenth of a core and model.
is(query(q{
	SELECT count(*) FROM (SELECT time_started - lag(time_finished) OVER runs AS pause, lag(seconds) OVER runs AS seconds
	                        FROM reyearn.runs WHERE outcome = 'promoted' WINDOW runs AS (PARTITION BY model_id ORDER BY run_id)) AS one
	 WHERE pause < 10 * seconds * interval '1 s'}), '0', 'no training began earlier than ten times the length of the one before');
cmp_ok(query('SELECT count(*) FROM reyearn.runs'), '<', $each / 10, 'far fewer trainings than commits: ' . query('SELECT count(*) FROM reyearn.runs'));
# A flag starts a worker at most five times a second, a time that has come one for each training.
my ($elapsed, $workers) = (time - $started, starts() - $before);
cmp_ok($workers, '<=', 5 * $elapsed + query('SELECT count(*) FROM reyearn.runs') + 2, "workers started: $workers");
cmp_ok($workers, '>', 0, '... some');
my $log = slurp_file($node->logfile);
unlike($log, qr/deadlock detected/, 'no deadlock');
# The lock that commits with NOTIFY take turns for is PostgreSQL's own, on no object of a database.
my @waits = grep { !/on object 0 of class 1262 of database 0/ } $log =~ /^(.* still waiting for .*)$/mg;
is_deeply(\@waits, [], 'nobody waited for a lock');
ok(is_unharmed($node), 'no process crashed');

# A dump, restored while the workers look for what is due.
my $says = q{SELECT md5(string_agg(reyearn_predict(body, 'one')::text || reyearn_predict(body, 'two')::text, ' ' ORDER BY body COLLATE "C")) FROM (SELECT body FROM reyearn.observations ORDER BY body COLLATE "C" LIMIT 500) AS o};
my ($said, $runs) = (query($says), query('SELECT count(*), max(run_id) FROM reyearn.runs'));
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', "$directory/dump.sql", 'mail' ], 'pg_dump');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-o', "$directory/restored", '-f', "$directory/dump.sql", 'copy' ], 'psql');
# The launcher looks into every database when it starts, and then each second.
$node->restart;
$before = starts();
for (1 .. 100) { last if starts() >= $before + 6; sleep 0.1 }
cmp_ok(starts(), '>=', $before + 6, 'workers look');
is($node->safe_psql('copy', 'SELECT count(*), max(run_id) FROM reyearn.runs'), $runs, 'restored: no new run');
is($node->safe_psql('copy', 'SELECT count(*) FROM reyearn.training_schedule WHERE waiting > 0 OR due_at IS NOT NULL'), '0', '... nothing due');
is($node->safe_psql('copy', $says), $said, '... the same predictions');
$node->safe_psql('copy', q{BEGIN; SELECT reyearn_annotate_text('news', 'one.sport'); UPDATE reyearn.news SET time_created = time_created - interval '1 hour'; COMMIT});
becomes($node, 'copy', q{SELECT count(*), min(outcome) FROM reyearn.runs WHERE run_id > } . (split /\|/, $runs)[1], '1|promoted', 'and it learns what is annotated there');
is(query('SELECT count(*), max(run_id) FROM reyearn.runs'), $runs, '... where the original does not');
ok(is_unharmed($node), 'no process crashed');
$node->stop;

done_testing();
