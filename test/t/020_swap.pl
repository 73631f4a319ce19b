# Sixteen clients predict while versions are swapped 500 times: no error, and every answer is wholly that of one version.
# Versions are trained on permuted labels, so that their answers differ in every class. With preloading, without, and
# where /dev/shm has no room for two versions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

use constant { CLIENTS => 16, SWAPS => 500, VERSIONS => 3 };

# What each version says of each text, recorded before; and a function that fails unless a statement's answers are one
# of these. Two calls, so that they have to agree.
my $record = q{
	CREATE TABLE text AS SELECT row_number() OVER (ORDER BY body) AS id, body FROM mails ORDER BY body LIMIT 20;
	CREATE TABLE answer (id bigint, version int, label ltree, vector text, PRIMARY KEY (id, version));
	DO $$
	BEGIN
	    FOR v IN 1 .. 3 LOOP
	        PERFORM reyearn_promote('m', v);
	        INSERT INTO answer SELECT id, v, reyearn_predict(body, 'm'),
	            (SELECT string_agg(p::text, ' ') FROM reyearn_predict_proba(body, 'm') AS p) FROM text;
	    END LOOP;
	END
	$$;
	CREATE FUNCTION check_answer(which bigint) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
	    seen record;
	BEGIN
	    SELECT reyearn_predict(body, 'm') AS label,
	           (SELECT string_agg(p::text, ' ') FROM reyearn_predict_proba(body, 'm') AS p) AS vector
	      INTO seen FROM text WHERE id = which;
	    IF NOT EXISTS (SELECT FROM answer AS a WHERE a.id = which AND a.vector = seen.vector AND a.label = seen.label) THEN
	        RAISE 'no version says %: %', seen.label, seen.vector;
	    END IF;
	END
	$$};

sub swap_while_all_predict
{
	my ($node, $what) = @_;
	my $directory = $node->basedir;
	append_to_file("$directory/predict.sql", "\\set which random(1, 20)\nSELECT check_answer(:which);\n");
	append_to_file("$directory/swap.sql",
		"\\set version :n % 3 + 1\n\\set n :n + 1\nSELECT reyearn_promote('m', :version);\n\\sleep 8 ms\n");
	my @pgbench = ('pgbench', '-n', '-h', $node->host, '-p', $node->port, 'mail');
	my $started = time;
	my ($predicted, $failed);
	my $predict = IPC::Run::start [ @pgbench, '-c', CLIENTS, '-j', 2, '-T', 14, '-f', "$directory/predict.sql" ],
	  '>', \$predicted, '2>', \$failed;
	my ($swapped) = run_command([ @pgbench, '-t', SWAPS, '-D', 'n=0', '-f', "$directory/swap.sql" ]);
	like($swapped, qr/processed: ${\SWAPS}\/${\SWAPS}/, "$what: swaps");
	ok($predict->pumpable, "$what: the clients were still at it");
	ok($predict->finish, "$what: no error") or diag($failed);
	my ($count) = $predicted =~ /actually processed: (\d+)/;
	cmp_ok($count, '>', SWAPS, "$what: $count answers");
	cmp_ok($node->safe_psql('mail', q{SELECT min(calls) FROM reyearn.stat_models WHERE model = 'm'}),
		'>', SWAPS / 10, "$what: every version has answered");
	becomes($node, 'mail', q{SELECT count(*) FROM reyearn.stat_models WHERE memory = 'retired'}, '0', "$what: retired versions go");
	is(status_of($node, 'mail', 'retired models'), '0 versions, 0 bytes, held by 0 sessions: ok', "$what: nothing is left behind");
	ok(is_unharmed($node), "$what: no process crashed");
	return;
}

for my $preload (1, 0)
{
	my $what = $preload ? 'preloaded' : 'not preloaded';
	my $node = start_server($preload ? 'preloaded' : 'plain', $preload ? q{shared_preload_libraries = 'reyearn'} : '');
	create_database($node, 'mail');
	train_permuted($node, 'mail', VERSIONS);
	$node->safe_psql('mail', $record);
	is($node->safe_psql('mail', 'SELECT count(DISTINCT vector) FROM answer'), 20 * VERSIONS, 'versions differ in all texts');
	is(status_of($node, 'mail', 'preloaded'), $preload ? 'yes: ok' : 'no: note', $what);
	swap_while_all_predict($node, $what);
	is(status_of($node, 'mail', 'private models'), '0 bytes in 0 sessions: ok', "$what: no private copies");
	is($node->safe_psql('mail', 'SELECT private_copies FROM reyearn.shared_memory()'), '0', "$what: and there were none");
	$node->stop;
}

SKIP:
{
	skip 'mounting a small /dev/shm takes user namespaces, which are not allowed here', 1 if !can_limit_shared_memory();
	my $node = start_server('narrow', q{shared_preload_libraries = 'reyearn'}, shared_memory => '5500k');
	create_database($node, 'mail');
	# Images of about 3 MB: the server's own segments take 1 MB.
	$node->safe_psql('mail', q{
		SELECT reyearn_create_class('email.rest');
		SELECT reyearn_annotate_text(string_agg(md5(i::text), ' '), 'email.rest') FROM generate_series(1, 40000) AS i});
	train_permuted($node, 'mail', VERSIONS);
	is($node->safe_psql('mail', 'SELECT bool_and(image_bytes BETWEEN 2500000 AND 3500000) FROM reyearn.model_versions'),
		't', 'two images do not fit');
	$node->safe_psql('mail', $record);
	$node->safe_psql('mail', q{ALTER DATABASE mail SET client_min_messages = error});
	swap_while_all_predict($node, 'narrow');
	cmp_ok($node->safe_psql('mail', 'SELECT private_copies FROM reyearn.shared_memory()'), '>', 0, 'narrow: there were private copies');
	is($node->safe_psql('mail', 'SELECT last_private_reason FROM reyearn.shared_memory()'), 'no_shared_memory', 'narrow: and why');
	# What a reader is told, and what becomes of it.
	my $holder = session($node, 'mail');
	ask($holder, q{SELECT reyearn_promote('m', 1); BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reyearn_predict('x', 'm')});
	$node->safe_psql('mail', q{SELECT reyearn_promote('m', 2)});
	$node->psql('mail', q{SET client_min_messages = warning; SELECT reyearn_predict('x', 'm'), reyearn_predict('y', 'm')}, stderr => \my $warning);
	like($warning, qr/^psql:<stdin>:1: WARNING:  model "m" is not shared: this session has read it into its own memory
DETAIL:  The system says: could not resize shared memory segment .* No space left on device\.
HINT:  Give the server more shared memory: enlarge \/dev\/shm, in Docker with --shm-size\.$/, 'narrow: one warning, which says why');
	ask($holder, 'COMMIT');
	$node->psql('mail', q{SET client_min_messages = warning; SELECT reyearn_predict('x', 'm')}, stderr => \$warning);
	is($warning, '', 'narrow: none once there is room');
	is($node->safe_psql('mail', q{SELECT memory FROM reyearn.stat_models WHERE is_live}), 'live', 'narrow: and it is shared');
	$holder->quit;
	$node->stop;
}

done_testing();
