# A dump with something to learn in it is restored slowly, while workers look into all databases: none of them trains
# in the middle, where numbers are not restored yet, and what waits is learned afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('restore', "shared_preload_libraries = 'reyearn'\nreyearn.probe_interval = 1s");
my $directory = PostgreSQL::Test::Utils::tempdir();
create_database($node, 'mail');
load_emails($node, 'mail');
$node->safe_psql(
	'mail', q{
	SELECT reyearn_create_model('m', 'email', retrain_delay => '0', promotion => 'always');
	SELECT outcome FROM reyearn_train('m');
	SELECT reyearn_annotate_text('The choir meets on Monday', 'email.personal.friends')});
# And with rows of an attached table that wait to be labelled.
$node->safe_psql(
	'mail', q{
	CREATE TABLE letter (id int PRIMARY KEY, body text, label text);
	SELECT reyearn_attach('letter', 'body', 'label');
	INSERT INTO letter SELECT i, 'The train to Oslo leaves at ' || i FROM generate_series(1, 20) AS i;
	UPDATE letter SET body = body || ', tomorrow' WHERE id > 10;
	ALTER TABLE letter DISABLE TRIGGER USER;
	INSERT INTO letter SELECT i, 'The train to Oslo leaves at ' || i FROM generate_series(21, 30) AS i;
	ALTER TABLE letter ENABLE TRIGGER USER;
	SELECT reyearn.add_waiting(tenant_id, attachment_id, (SELECT array_agg(ARRAY[id::text]) FROM letter WHERE label IS NULL)) FROM reyearn.attached_tables});
my $waiting = 'SELECT waiting FROM reyearn.model_overview';
is($node->safe_psql('mail', $waiting), '1', 'one annotation waits');

# A pause after the rows of each table: long enough for a worker to train in.
my $dump = "$directory/dump.sql";
command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'mail' ], 'pg_dump');
my $slow = slurp_file($dump) =~ s/^\\\.$/\\.\nSELECT pg_catalog.pg_sleep(0.4);/mgr;
append_to_file("$directory/slow.sql", $slow);

# From now on there are workers. When the news has come, another session has them look for it.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->append_conf('postgresql.conf', 'reyearn.max_workers = 2');
$node->reload;
my $restore = IPC::Run::start(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-f', "$directory/slow.sql", 'copy' ],
	'>', \my $out, '2>', \my $error);
wait_for($node, 'copy', q{SELECT coalesce((xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM reyearn.news', false, true, '')))[1]::text::int, 0) > 0
	FROM pg_class WHERE oid = to_regclass('reyearn.news')});
$node->safe_psql('copy', 'INSERT INTO reyearn.news (news_id, model_id, n) OVERRIDING SYSTEM VALUE VALUES (1000, 1, 1)');
ok($restore->pumpable, 'the restore is in the middle');
ok($restore->finish, 'the restore ends without an error') or diag($error);
becomes($node, 'copy', $waiting, '0', 'what waited is learned afterwards');
is($node->safe_psql('copy', q{SELECT string_agg(run_id || ' ' || outcome || ' ' || examples, ', ' ORDER BY run_id) FROM reyearn.runs}),
	'1 promoted 201, 2 promoted 202', '... by a run of its own');
becomes($node, 'copy', 'SELECT rows_labelled, rows_learned, rows_waiting FROM reyearn.attachments', '30|0|0', 'and rows that waited are labelled');
ok(is_unharmed($node), 'no process crashed');
$node->stop;

done_testing();
