# What is in shared memory follows what is live: through rollbacks, savepoints and two-phase commit, replication's way of
# writing, TRUNCATE, dropped models, extensions and databases. What nobody needs goes; what somebody uses stays usable.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nmax_prepared_transactions = 5");
create_database($node, 'mail');
train_permuted($node, 'mail', 3);

my $text = 'Please book a hotel for the trade fair';
my %said;
for my $version (1 .. 3)
{
	$node->safe_psql('mail', "SELECT reyearn_promote('m', $version)");
	$said{$version} = $node->safe_psql('mail', "SELECT reyearn_predict('$text', 'm')");
}
is(keys %{ { reverse %said } }, 3, 'the versions differ');

# Versions in shared memory, each with its state and the number of sessions that have it mapped.
sub memory_is
{
	my ($expected, $what, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	becomes($node, $database // 'mail',
		q{SELECT string_agg(version || ' ' || memory || ' ' || sessions, ', ' ORDER BY version) FROM reyearn.stat_models WHERE memory <> 'absent'},
		$expected, $what);
	return;
}

sub says
{
	my ($session, $version, $what) = @_;
	is(ask($session, "SELECT reyearn_predict('$text', 'm')"), $said{$version}, $what);
	return;
}

my ($mine, $other) = map { session($node, 'mail') } 1, 2;
says($_, 3, 'version 3') for $mine, $other;
memory_is('3 live 2', 'one copy, two sessions');

# A promotion is brought in before it commits, so that nobody waits for it afterwards.
ask($mine, q{SELECT reyearn_promote('m', 1)});
memory_is('1 live 1', 'a promotion: the new version is there, what it replaced has left idle sessions');
my $loads = q{SELECT sum(loads) FROM reyearn.stat_models};
my $before = ask($mine, $loads);
says($other, 1, 'the other session sees it');
is(ask($mine, $loads), $before, '... without loading it');
memory_is('1 live 2', '... but mapping it');

# ROLLBACK, ROLLBACK TO SAVEPOINT.
ask($mine, q{BEGIN; SELECT reyearn_promote('m', 2)});
says($mine, 2, 'in its own transaction');
memory_is('1 live 2, 2 retired 1', '... from a segment that is nobody else\'s');
says($other, 1, 'not in another');
ask($mine, 'ROLLBACK');
memory_is('1 live 2', 'ROLLBACK: it is gone');
says($mine, 1, 'ROLLBACK: the old one answers');
ask($mine, q{BEGIN; SAVEPOINT a; SELECT reyearn_promote('m', 2)});
says($mine, 2, 'within a savepoint');
ask($mine, 'ROLLBACK TO a');
says($mine, 1, 'ROLLBACK TO SAVEPOINT');
ask($mine, 'COMMIT');
memory_is('1 live 2', 'and after COMMIT');
ask($mine, q{BEGIN; SELECT outcome FROM reyearn_train('m', '{"alpha": 0.5}')});
my $trained = ask($mine, "SELECT reyearn_predict('$text', 'm')");
memory_is('1 live 2', 'a training that is not committed is seen by no view');
becomes($node, 'mail', 'SELECT retired FROM reyearn.shared_memory()', '1', '... but takes memory');
ask($mine, 'ROLLBACK');
becomes($node, 'mail', 'SELECT retired FROM reyearn.shared_memory()', '0', '... until ROLLBACK');
ask($mine, q{BEGIN; SELECT outcome FROM reyearn_train('m', '{"alpha": 0.5}'); COMMIT});
memory_is('4 live 1', 'a training that is committed is live at once');
is(ask($other, "SELECT reyearn_predict('$text', 'm')"), $trained, '... for everybody');
ask($mine, q{SELECT reyearn_promote('m', 1)});

# An error in the transaction, also while it commits.
like(error_in($mine, q{BEGIN; SELECT reyearn_promote('m', 2); SELECT 1 / 0}), qr/^22012/, 'an error');
ask($mine, 'ROLLBACK');
ask($mine, q{CREATE TABLE refuse (i int); CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
	CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON refuse DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()});
ask($mine, q{BEGIN; SELECT reyearn_promote('m', 2); INSERT INTO refuse VALUES (1)});
like(error_in($mine, 'COMMIT'), qr/^P0001/, 'a COMMIT that fails');
says($_, 1, 'the version before') for $mine, $other;
memory_is('1 live 2', 'nothing is left of it');

# A flip and back in one transaction; two models; a flip in each savepoint.
ask($mine, q{BEGIN; SELECT reyearn_promote('m', 2), reyearn_promote('m', 1); COMMIT});
memory_is('1 live 2', 'there and back in one transaction');
says($_, 1, 'there and back') for $mine, $other;

# Two-phase commit: whoever predicts first brings the version in.
ask($mine, q{BEGIN; SELECT reyearn_promote('m', 2)});
says($mine, 2, 'before PREPARE TRANSACTION');
ask($mine, q{PREPARE TRANSACTION 'p'});
says($_, 1, 'after PREPARE TRANSACTION') for $mine, $other;
ask($other, q{COMMIT PREPARED 'p'});
says($_, 2, 'after COMMIT PREPARED') for $mine, $other;
memory_is('2 live 2', '... and the old version has gone');
ask($mine, q{BEGIN; SELECT reyearn_promote('m', 3); PREPARE TRANSACTION 'p'});
ask($other, q{ROLLBACK PREPARED 'p'});
says($_, 2, 'after ROLLBACK PREPARED') for $mine, $other;
memory_is('2 live 2', '... nothing changed');

# REPEATABLE READ keeps its version, which others may not need any more, and lets it go at its end.
ask($mine, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
says($mine, 2, 'REPEATABLE READ');
ask($other, q{SELECT reyearn_promote('m', 1)});
says($mine, 2, 'REPEATABLE READ keeps it');
memory_is('1 live 1, 2 retired 1', 'while the session holds it');
is(status_of($node, 'mail', 'retired models') =~ s/, \d+ kB//r, '1 versions, held by 1 sessions: note', 'the status says so');
is(ask($mine, "SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SELECT DISTINCT reyearn_predict('$text', 'm') FROM mails"), $said{2}, 'its parallel workers find it too');
ask($mine, 'COMMIT');
memory_is('1 live 1', 'and gone at its end');
says($mine, 1, 'after it');
# A snapshot of a version that nobody has mapped any more.
my $late = session($node, 'mail');
ask($late, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($other, q{SELECT reyearn_promote('m', 2)});
memory_is('2 live 1', 'the old version is gone');
says($late, 1, 'REPEATABLE READ finds it all the same');
memory_is('1 retired 1, 2 live 1', '... for itself');
ask($late, 'COMMIT');
memory_is('2 live 1', '... and no longer');
$late->quit;

# Rows as replication writes them, and as one who knows writes them.
ask($mine, q{SET session_replication_role = replica; SELECT reyearn_promote('m', 3)});
memory_is('3 live 1', 'session_replication_role = replica');
says($_, 3, 'session_replication_role = replica') for $mine, $other;
ask($mine, q{RESET session_replication_role;
	UPDATE reyearn.model_versions SET is_live = false; UPDATE reyearn.model_versions SET is_live = true WHERE version = 1});
says($_, 1, 'plain UPDATE') for $mine, $other;
ask($mine, q{ALTER TABLE reyearn.model_versions DISABLE TRIGGER ALL;
	UPDATE reyearn.model_versions SET is_live = false; UPDATE reyearn.model_versions SET is_live = true WHERE version = 2;
	ALTER TABLE reyearn.model_versions ENABLE TRIGGER ALL; ALTER TABLE reyearn.model_versions ENABLE ALWAYS TRIGGER version_changed});
says($_, 2, 'without any trigger') for $mine, $other;
memory_is('2 live 2', '... and the first to load has retired the other');

# Rows that move in their table: what is remembered of them is looked up again.
ask($mine, 'VACUUM FULL reyearn.model_versions; VACUUM FULL reyearn.models; VACUUM FULL reyearn.classes; CLUSTER reyearn.model_versions USING model_versions_pkey');
says($_, 2, 'after VACUUM FULL') for $mine, $other;
memory_is('2 live 2', '... with what is in memory');
ask($mine, 'ALTER TABLE reyearn.model_versions RENAME TO v; ALTER TABLE reyearn.v RENAME TO model_versions');
says($_, 2, 'after a table was renamed, there and back') for $mine, $other;

# A savepoint rolled back takes also what TRUNCATE did.
ask($mine, 'BEGIN; SAVEPOINT a; TRUNCATE reyearn.models CASCADE');
like(error_in($mine, "SELECT reyearn_predict('$text', 'm')"), qr/^42704: model "m" does not exist/, 'TRUNCATE');
ask($mine, 'ROLLBACK TO a');
says($mine, 2, 'TRUNCATE, rolled back to a savepoint');
ask($mine, 'COMMIT');
says($_, 2, 'TRUNCATE, rolled back') for $mine, $other;
ask($mine, 'CREATE TABLE saved AS SELECT * FROM reyearn.model_versions; CREATE TABLE saved_images AS SELECT * FROM reyearn.model_images');
ask($mine, 'TRUNCATE reyearn.model_versions CASCADE');
becomes($node, 'mail', 'SELECT live + retired FROM reyearn.shared_memory()', '0', 'TRUNCATE leaves nothing in memory');
like(error_in($other, "SELECT reyearn_predict('$text', 'm')"), qr/^55000: model "m" has no live version/, 'TRUNCATE');
ask($mine, 'INSERT INTO reyearn.model_versions OVERRIDING SYSTEM VALUE SELECT * FROM saved; INSERT INTO reyearn.model_images SELECT * FROM saved_images');
says($_, 2, 'the rows put back') for $mine, $other;

# A model dropped while a statement uses it, and in a transaction that rolls back.
ask($other, "BEGIN; DECLARE c CURSOR FOR SELECT reyearn_predict('$text', 'm') FROM generate_series(1, 10000)");
is(ask($other, 'FETCH c'), $said{2}, 'a cursor predicts');
ask($mine, q{BEGIN; SELECT reyearn_drop_model('m')});
like(error_in($mine, "SELECT reyearn_predict('$text', 'm')"), qr/^42704/, 'dropped');
ask($mine, 'ROLLBACK');
says($mine, 2, 'DROP rolled back');
ask($mine, q{SELECT reyearn_drop_model('m')});
is(ask($other, 'MOVE 9000 FROM c; FETCH c'), $said{2}, 'the cursor goes on');
like(error_in($other, "SELECT reyearn_predict('$text', 'm')"), qr/^42704/, 'the next statement does not');
ask($other, 'ROLLBACK');
becomes($node, 'mail', 'SELECT live + retired FROM reyearn.shared_memory()', '0', 'nothing of it is left');

# Another model under the same name.
ask($mine, q{SELECT reyearn_create_model('m', 'email', promotion => 'always'); SELECT outcome FROM reyearn_train('m')});
my $new = ask($mine, "SELECT reyearn_predict('$text', 'm')");
is(ask($other, "SELECT reyearn_predict('$text', 'm')"), $new, 'a new model of the same name');
memory_is('1 live 2', 'in memory');

# Two databases: numbers of versions coincide, models do not.
create_database($node, 'second');
$node->safe_psql(
	'second', q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{other.one,other.two}'::text[]) AS l;
	SELECT reyearn_annotate_text('hotel', 'other.one'), reyearn_annotate_text('fair', 'other.two');
	SELECT reyearn_create_model('m'); SELECT outcome FROM reyearn_train('m')});
like($node->safe_psql('second', q{SELECT reyearn_predict('hotel', 'm')}), qr/^other\.one$/, 'a second database');
is(ask($mine, "SELECT reyearn_predict('$text', 'm')"), $new, 'the first one');
memory_is('1 live 0', 'each sees its own', 'second');
becomes($node, 'mail', 'SELECT live FROM reyearn.shared_memory()', '2', 'both are in memory');
$node->safe_psql('postgres', 'DROP DATABASE second');
ask($mine, q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.7}'); SELECT reyearn_predict('x', 'm')});
becomes($node, 'mail', 'SELECT live FROM reyearn.shared_memory()', '1', 'what a dropped database had goes with the next load');

# The extension is dropped and created again under an open session; numbers begin anew.
ask($mine, 'DROP EXTENSION reyearn');
like(error_in($other, "SELECT reyearn_predict('$text', 'm')"), qr/^42883/, 'without the extension');
ask($mine, q{CREATE EXTENSION reyearn;
	SELECT count(reyearn_create_class(l)) FROM unnest('{fresh.one,fresh.two}'::text[]) AS l;
	SELECT reyearn_annotate_text('hotel', 'fresh.one'), reyearn_annotate_text('budget', 'fresh.two');
	SELECT reyearn_create_model('m'); SELECT outcome FROM reyearn_train('m')});
is(ask($_, q{SELECT reyearn_predict('hotel', 'm')}), 'fresh.one', 'with the new one') for $mine, $other;
memory_is('1 live 2', 'the new one is in memory');
becomes($node, 'mail', 'SELECT live + retired FROM reyearn.shared_memory()', '1', '... and the old one is not');
ask($mine, 'BEGIN; DROP EXTENSION reyearn; CREATE EXTENSION reyearn');
like(error_in($mine, q{SELECT reyearn_predict('hotel', 'm')}), qr/^42704/, 'created anew in a transaction');
ask($mine, 'ROLLBACK');
is(ask($_, q{SELECT reyearn_predict('hotel', 'm')}), 'fresh.one', '... which rolled back') for $mine, $other;

# The schema moves.
ask($mine, 'CREATE SCHEMA elsewhere; ALTER EXTENSION ltree SET SCHEMA elsewhere');
is(ask($_, q{SELECT reyearn_predict('hotel', 'm')}), 'fresh.one', 'ltree in another schema') for $mine, $other;

# Statistics add up: calls by transactions that have ended, in whatever way.
ask($mine, q{SELECT count(reyearn_predict('hotel', 'm')) FROM generate_series(1, 1000)});
error_in($mine, q{SELECT count(reyearn_predict('hotel', 'm')), sum(1 / (500 - i)) FROM generate_series(1, 1000) AS i});
my $calls = ask($mine, 'SELECT calls FROM reyearn.stat_models');
cmp_ok($calls, '>=', 1500, "calls are counted: $calls");
cmp_ok($calls, '<', 2100, '... once');
cmp_ok(ask($mine, 'SELECT microseconds / calls FROM reyearn.stat_models'), '>', 0, 'and timed');
ask($mine, q{SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	CREATE TABLE many AS SELECT i FROM generate_series(1, 100000) AS i; ANALYZE many;
	SELECT count(reyearn_predict('hotel', 'm')) FROM many});
is(ask($mine, 'SELECT calls FROM reyearn.stat_models'), $calls + 100000, 'those of parallel workers too');

$_->quit for $mine, $other;
memory_is('1 live 0', 'what is live stays without sessions');
ok(is_unharmed($node), 'no process crashed');
$node->stop('fast');
is(scalar(grep { /shared memory|leak/i } split /\n/, slurp_file($node->logfile) =~ s/^.*(?:statement|STATEMENT): .*(?:\n\t.*)*//mgr), 0, 'the server complained of nothing');
done_testing();
