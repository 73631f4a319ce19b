# Attached tables under load: eight clients insert, change texts and correct labels while versions are swapped and a worker
# labels and relabels. No error, no deadlock; each label is one version's answer, and what is learned is what people did.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nreyearn.max_workers = 2\nmax_connections = 30\nfsync = off\n");
create_database($node, 'app');

# Two versions that say the contrary of each other, and a class that neither can say: it is what people correct to.
$node->safe_psql('app', q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home,mail.person}'::text[]) AS l;
	SELECT count(reyearn_annotate_text(b || i, l)) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.work'), ('dinner ', 'mail.home')) AS t (b, l);
	SELECT reyearn_create_model('mail', 'mail', promotion => 'always', retrain_after => 0);
	SELECT outcome FROM reyearn_train('mail');
	SELECT count(reyearn_annotate_text(b || i, l)) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.home'), ('dinner ', 'mail.work')) AS t (b, l);
	SELECT outcome FROM reyearn_train('mail');
	CREATE TABLE trained AS SELECT observation_id FROM reyearn.observations;
	CREATE TABLE mails (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, label text, p real, v int);
	CREATE TABLE edits (id bigint, body text, label text);
	CREATE TABLE swaps (version int);
	CREATE SEQUENCE texts;
	CREATE FUNCTION new_text() RETURNS text LANGUAGE sql RETURN CASE WHEN random() < 0.5 THEN 'meeting ' ELSE 'dinner ' END || 'x' || nextval('texts');
	INSERT INTO mails (body) SELECT new_text() FROM generate_series(1, 20000);
	ANALYZE mails;
	SELECT reyearn_attach('mails', 'body', 'label', probability_column => 'p', version_column => 'v')});

# Each transaction has some rows at random; who corrects a label writes down what he has corrected.
my $directory = PostgreSQL::Test::Utils::tempdir();
my %scripts = (
	insert => [ 4, q{INSERT INTO mails (body) SELECT new_text() FROM generate_series(1, 10);} ],
	text => [ 3, q{\set low random(1, 90000)
		UPDATE mails SET body = new_text() WHERE id IN (SELECT id FROM mails WHERE id >= :low ORDER BY id LIMIT 10 FOR NO KEY UPDATE);} ],
	label => [ 2, q{\set low random(1, 90000)
		WITH one AS (SELECT id FROM mails WHERE id >= :low ORDER BY id LIMIT 3 FOR NO KEY UPDATE),
		edit AS (UPDATE mails AS m SET label = 'mail.person' FROM one WHERE m.id = one.id AND m.label IS DISTINCT FROM 'mail.person' RETURNING m.id, m.body, m.label)
		INSERT INTO edits TABLE edit;} ]);
for my $name (keys %scripts)
{
	append_to_file("$directory/$name", "$scripts{$name}[1]\n");
}

# Versions are swapped and rows relabelled all the while.
append_to_file("$directory/swaps", join ";\n", map { ("INSERT INTO swaps VALUES ($_)", "SELECT reyearn_promote('mail', $_)", q{SELECT reyearn_relabel('mails')}, 'SELECT pg_sleep(0.05)') } (1, 2) x 100);
my $swapping = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/swaps", $node->connstr('app') ], '>', \my $swapped, '2>', \my $swap_errors);
$node->command_checks_all([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 1500, (map { ('-f', "$directory/$_\@$scripts{$_}[0]") } sort keys %scripts), $node->connstr('app') ],
	0, [ qr/number of transactions actually processed: 12000/ ], [ qr/^(?!.*(?:ERROR|WARNING|FATAL))/s ], 'eight clients, no error');
$swapping->kill_kill;
unlike($swap_errors, qr/ERROR/, '... nor with who swaps versions');
cmp_ok($node->safe_psql('app', 'SELECT count(*) FROM swaps'), '>=', 4, '... who has swapped them several times');

ok(wait_for($node, 'app', q{SELECT rows_waiting = 0 AND progress = 1 FROM reyearn.attachments}), 'the worker catches up');
$node->safe_psql('app', 'ANALYZE');
my $log = slurp_file($node->logfile);
unlike($log, qr/deadlock|could not (?:catch up|label|learn)|ERROR/, 'no error in the log');
note $node->safe_psql('app', q{SELECT count(*) || ' rows, ' || (SELECT count(*) FROM edits) || ' edits, ' || count(*) FILTER (WHERE v = 1) || ' by version 1, ' || count(*) FILTER (WHERE v = 2) || ' by version 2' FROM mails});

is($node->safe_psql('app', 'SELECT count(*) FROM mails WHERE label IS NULL'), 0, 'every row has a label');
is($node->safe_psql('app', q{SELECT count(*) FROM mails AS m JOIN edits AS e USING (id) WHERE m.label <> 'mail.person'}), 0, 'no edit is lost');
is($node->safe_psql('app', q{SELECT count(*) FROM mails WHERE (label = 'mail.person') <> (id IN (SELECT id FROM edits))}), 0, '... nor invented');

# What a version says of a text, asked of its image.
is( $node->safe_psql('app', q{
	WITH image AS MATERIALIZED (SELECT version, reyearn_export_model('mail', version) AS image FROM reyearn.model_versions)
	SELECT count(*) FROM mails AS m
	  LEFT JOIN reyearn.attached_rows AS r ON r.key = ARRAY[m.id::text]
	  LEFT JOIN reyearn.model_versions AS v USING (tenant_id, version_id)
	  LEFT JOIN image AS i ON i.version = v.version
	 WHERE m.label <> 'mail.person'
	   AND (r.label IS DISTINCT FROM m.label OR r.probability IS DISTINCT FROM m.p OR v.version IS DISTINCT FROM m.v
	        OR reyearn_predict_with(i.image, m.body) IS DISTINCT FROM m.label::ltree)}), 0, 'every label is one version\'s answer for its text, and remembered as such');
is($node->safe_psql('app', q{SELECT count(*) FROM mails WHERE label = 'mail.person' AND num_nonnulls(p, v) > 0}), 0, 'no version answers for a person');

# Exactly the edits are confirmed.
my $said = q{SELECT o.body, c.label::text AS label FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id) JOIN reyearn.classes AS c USING (tenant_id, class_id)
	WHERE a.status = 'confirmed' AND o.observation_id NOT IN (TABLE trained)};
is($node->safe_psql('app', "SELECT count(*) FROM (SELECT body, label FROM edits) AS e FULL JOIN ($said) AS s USING (body, label) WHERE e IS NULL OR s IS NULL"), 0, 'what is confirmed is what people did');
is($node->safe_psql('app', q{SELECT count(*) FROM reyearn.annotations AS a JOIN reyearn.classes AS c USING (tenant_id, class_id)
	WHERE a.status = 'rejected' AND c.label = 'mail.person'}), 0, '... and nothing of that is rejected');
ok(is_unharmed($node), 'the server is unharmed');

done_testing();
