# With a million annotations no function reads all of them: neither the statistics of the table nor any plan shows a
# sequential scan, also once plans are cached.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $texts = 500_000;
my $node = start_server(
	'main', q{
	autovacuum = off
	maintenance_work_mem = 256MB
	work_mem = 16MB
	max_wal_size = 4GB
	wal_level = minimal
	max_wal_senders = 0
	log_min_duration_statement = -1
	});
create_database($node, 'mail');

# Each text has a class of "big" (1,000 of them) and one of "topic" (500); a thousand texts have one of "small" besides.
$node->safe_psql(
	'mail', qq{
	SELECT count(reyearn_create_class(format('%s.%s.%s', type, i % 10, i)))
	  FROM (VALUES ('big', 1000), ('topic', 500), ('small', 4)) AS t (type, n), generate_series(1, n) AS i;
	BEGIN;
	SET LOCAL session_replication_role = replica;
	INSERT INTO reyearn.observations (body)
	SELECT 'text number ' || i || ' about ' || (i % 4) FROM generate_series(1, $texts) AS i;
	CREATE TEMP TABLE kinds AS
	SELECT class_id, split_part(label::text, '.', 1) AS type, split_part(label::text, '.', 3)::int AS i
	  FROM reyearn.classes WHERE nlevel(label) = 3;
	INSERT INTO reyearn.annotations (observation_id, class_id, status)
	SELECT o.observation_id, k.class_id, (ARRAY['confirmed', 'confirmed', 'rejected', 'predicted'])[1 + o.observation_id % 4]
	  FROM reyearn.observations AS o
	  JOIN kinds AS k ON k.type = 'big' AND k.i = 1 + o.observation_id % 1000
	UNION ALL
	SELECT o.observation_id, k.class_id, 'confirmed'
	  FROM reyearn.observations AS o
	  JOIN kinds AS k ON k.type = 'topic' AND k.i = 1 + o.observation_id % 500
	UNION ALL
	SELECT o.observation_id, k.class_id, 'confirmed'
	  FROM reyearn.observations AS o
	  JOIN kinds AS k ON k.type = 'small' AND k.i = 1 + o.observation_id % 4
	 WHERE o.observation_id <= 1000;
	INSERT INTO reyearn.annotation_history (annotation_id, observation_id, class_id, to_status)
	SELECT annotation_id, observation_id, class_id, status FROM reyearn.annotations WHERE observation_id <= 100000;
	COMMIT;
	ANALYZE;
	SELECT reyearn_create_model('small', 'small'), reyearn_create_model('one', 'big.7'), reyearn_create_model('topic', 'topic');
	});
is($node->safe_psql('mail', 'SELECT count(*) > 1000000 FROM reyearn.annotations'), 't', 'a million annotations');

# What is called, several times each: from the sixth call on a plan may be a generic one. \$i is a number of its own.
my @calls = (
	[ 'reyearn_observe, a new text', q{SELECT reyearn_observe('new text ' || $i, '{"a": 1}')} ],
	[ 'reyearn_observe, a known text', q{SELECT reyearn_observe('text number ' || $i || ' about ' || $i % 4, '{"a": 1}')} ],
	[ 'reyearn_annotate, a new one', q{SELECT reyearn_annotate($i + 1000, 'small.1.1')} ],
	[ 'reyearn_annotate, a known one', q{SELECT reyearn_annotate($i, 'big.1.1', 'rejected')} ],
	[ 'reyearn_annotate, a span', q{SELECT reyearn_annotate($i, 'topic.1.1', 'confirmed', int4range(0, 4))} ],
	[ 'reyearn_annotate, another class of the model', q{SELECT reyearn_annotate($i + 2000, format('topic.%s.%s', $i % 10, $i))} ],
	[ 'reyearn_annotate_text, a new text', q{SELECT reyearn_annotate_text('again a new text ' || $i, 'small.2.2')} ],
	[ 'reyearn_annotate_text, a known text', q{SELECT reyearn_annotate_text('text number ' || $i || ' about ' || $i % 4, 'small.2.2')} ],
	[ 'reyearn.inbox', q{INSERT INTO reyearn.inbox (body, label, status) VALUES ('in the box ' || $i, 'topic.1.1', 'confirmed')} ],
	[ 'reyearn_confirm', q{SELECT reyearn_confirm($i * 4 + 3)} ],
	[ 'reyearn_confirm, many', q{SELECT reyearn_confirm(array_agg($i * 100 + j)) FROM generate_series(400000, 400020) AS j} ],
	[ 'reyearn_reject', q{SELECT reyearn_reject($i * 4 + 2000)} ],
	[ 'reyearn_correct', q{SELECT reyearn_correct($i * 4 + 3000, 'big.2.2')} ],
	[ 'reyearn_forget', q{SELECT reyearn_forget($i * 7 + 40000)} ],
	[ 'an annotation of a class that does not exist', q{DO $$ BEGIN PERFORM reyearn_annotate($i, 'big.none'); EXCEPTION WHEN undefined_object THEN NULL; END $$} ],
	[ 'reyearn_create_class', q{SELECT reyearn_create_class('topic.new.n' || $i)} ],
	[ 'reyearn_move_class, renamed', q{SELECT reyearn_move_class('topic.new.n' || $i, 'topic.newer.n' || $i)} ],
	[ 'reyearn_move_class, merged', q{SELECT reyearn_move_class(format('big.%s.%s', $i % 10, $i), 'big.5.505')} ],
	[ 'reyearn_move_class, a dry run', q{SELECT reyearn_move_class('topic.' || $i % 10, 'big.' || $i % 10, true)} ],
	[ 'reyearn_drop_class', q{SELECT reyearn_drop_class(format('big.%s.%s', $i % 10, $i + 100))} ],
	[ 'reyearn_train, a small model', q{SELECT outcome FROM reyearn_train('small', '{"seed": $i}')} ],
	[ 'reyearn_train, a tenth of the classes', q{SELECT outcome FROM reyearn_train('one', '{"seed": $i}')}, 1 ],
	[ 'reyearn_classify, a new text', q{SELECT * FROM reyearn_classify('yet another text ' || $i, 'small')} ],
	[ 'reyearn_classify, a known text', q{SELECT * FROM reyearn_classify('text number ' || $i || ' about ' || $i % 4, 'small')} ],
	[ 'reyearn_predict', q{SELECT reyearn_predict('text ' || $i, 'small')} ],
	[ 'one annotation of the overview', q{SELECT * FROM reyearn.annotation_overview WHERE annotation_id = $i} ],
	[ 'the model overview', q{SELECT * FROM reyearn.model_overview} ],
	[ 'reyearn_drop_model', q{SELECT reyearn_drop_model('one') WHERE $i = 8} ],
);

my $session = session($node, 'mail');
ask($session, q{
	LOAD 'auto_explain';
	SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_timing = off});

my $large = 'annotations|observations|annotation_history';

# Sequential scans of the tables so far, all sessions' numbers being in.
sub scans
{
	my ($tables) = @_;
	ask($session, 'SELECT pg_stat_force_next_flush()');
	return $node->safe_psql('mail',
		qq{SELECT relname, seq_scan FROM pg_stat_user_tables
		    WHERE schemaname = 'reyearn' AND relname ~ '^($tables)\$' ORDER BY relname});
}

# The check itself works: a scan is counted, and shown in the log.
my $before = scans($large);
my $from = -s $node->logfile;
ask($session, 'SELECT count(*) FROM reyearn.annotations WHERE probability = 2');
isnt(scans($large), $before, 'a sequential scan is counted');
like(slurp_file($node->logfile, $from), qr/Seq Scan on annotations/, '... and logged');

for my $call (@calls)
{
	my ($what, $sql, $times) = @$call;
	# A training may well read all texts: that is the planner's to decide.
	my $tables = $what =~ /train/ ? 'annotations|annotation_history' : $large;
	$before = scans($tables);
	$from = -s $node->logfile;
	for my $i (1 .. $times // 8)
	{
		(my $one = $sql) =~ s/\$i\b/$i/g;
		ask($session, $one);
	}
	is(scans($tables), $before, "$what: no sequential scan");
	my $log = slurp_file($node->logfile, $from);
	my @plans = grep { /Seq Scan on ($tables)\b/ } split(/^(?=\d{4}-\d\d-\d\d )/m, $log);
	is_deeply(\@plans, [], "$what: no plan with one");
}

$session->quit;
ok(is_unharmed($node), 'no process crashed');

done_testing();
