# Attached tables beyond one session and one role: who inserts needs no rights, the attachment acts for its owner and its
# tenant and for nobody else, what fails leaves the application alone, and dumps keep all of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "max_prepared_transactions = 2\n");
create_database($node, 'app');

# Texts, classes and a live model of whoever acts.
my $model = q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home}'::text[]) AS l;
	SELECT count(reyearn_annotate_text(b || i, l)) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.work'), ('dinner ', 'mail.home')) AS t (b, l);
	SELECT reyearn_create_model('mail', 'mail', promotion => 'always');
	SELECT outcome FROM reyearn_train('mail');
};
my @roles = qw(alice bob writer leaver);
$node->safe_psql('app', join ';', 'CREATE ROLE acme', 'CREATE ROLE beta', (map { "CREATE ROLE $_ LOGIN" } @roles), 'GRANT acme TO alice, leaver', 'GRANT beta TO bob',
	(map { "SELECT reyearn_create_tenant('$_', '$_'), reyearn_grant('$_', 'trainer')" } qw(acme beta)),
	'CREATE SCHEMA shop', 'GRANT USAGE, CREATE ON SCHEMA shop TO acme, beta', 'GRANT USAGE ON SCHEMA shop TO writer', 'ALTER SCHEMA shop OWNER TO acme');
as($node, 'app', 'alice', $model);
# Beta's words mean the contrary.
as($node, 'app', 'bob', $model =~ s/'mail.work'\), \('dinner ', 'mail.home'/'mail.home'), ('dinner ', 'mail.work'/r);

# What a role gets for a statement: its answer, and the warnings and errors with SQLSTATE.
sub told
{
	my ($role, $sql) = @_;
	$node->psql('app', $sql, stdout => \my $answer, stderr => \my $said, extra_params => [ '-v', 'VERBOSITY=verbose', '-U', $role ]);
	my @said = $said =~ /^psql.*?(?:WARNING|ERROR):  (.*)/mg;
	return join "\n", $answer, @said;
}

# What was said of a text: tenant, label, status and by whom.
sub said
{
	my ($body) = @_;
	return $node->safe_psql('app', qq{SELECT string_agg(concat_ws(' ', n.name, c.label, a.status, a.annotated_by), ', ' ORDER BY c.label)
		FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id) JOIN reyearn.classes AS c USING (tenant_id, class_id)
		JOIN reyearn.tenants AS n USING (tenant_id) WHERE o.body = '$body'});
}

# --- Rights.

as($node, 'app', 'alice', q{
	SET ROLE acme;
	CREATE TABLE shop.mails (id int PRIMARY KEY, body text, label text, writer name DEFAULT current_user);
	GRANT SELECT, INSERT, UPDATE ON shop.mails TO writer, bob;
	RESET ROLE;
	SELECT reyearn_attach('shop.mails', 'body', 'label')});
is(told('writer', q{INSERT INTO shop.mails (id, body) VALUES (1, 'a meeting') RETURNING label}), 'mail.work', 'a role without any right on Reyearn gets labels');
is(told('writer', q{SELECT reyearn_predict('a meeting')}) =~ s/.*?\n//r, '42501: permission denied for function reyearn_predict', '... and has none');
is(told('writer', q{UPDATE shop.mails SET label = 'mail.home' WHERE id = 1}), '', '... corrects');
is(said('a meeting'), 'acme mail.home confirmed writer, acme mail.work rejected writer', '... and is who said so');
is(told('bob', q{INSERT INTO shop.mails (id, body) VALUES (2, 'a dinner') RETURNING label}), 'mail.home', 'the attachment acts for its own tenant, not for that of who inserts');
is(told('bob', q{SET reyearn.tenant = 'beta'; UPDATE shop.mails SET label = 'mail.work' WHERE id = 2}), '', '... whatever that has chosen');
is(said('a dinner'), 'acme mail.home rejected bob, acme mail.work confirmed bob', '... and learns for it');
is(told('writer', q{SET reyearn.tenant = 'nosuch'; INSERT INTO shop.mails (id, body) VALUES (3, 'a dinner') RETURNING label}), 'mail.home', '... also with a choice that is none');
like(told('writer', q{SELECT reyearn_detach('shop.mails')}), qr/42501: permission denied for function/, 'detaching takes rights');
like(told('bob', q{SELECT reyearn_attach('shop.mails', 'writer', 'label')}), qr/42501: must be owner of table mails/, 'attaching takes the table');
is(as($node, 'app', 'bob', 'SELECT count(*) FROM reyearn.attachments'), 0, 'other tenants see nothing of it');
is(as($node, 'app', 'alice', q{SELECT relation, owner, rows_labelled FROM reyearn.attachments}), 'shop.mails|alice|3', '... the own does');

# Nobody can lend himself what an attachment may do, nor make one for others.
as($node, 'app', 'bob', q{CREATE TABLE shop.theft (id int PRIMARY KEY, body text, label text)});
my $trigger = 'CREATE TRIGGER theft BEFORE INSERT OR UPDATE OF body, label ON shop.theft FOR EACH ROW EXECUTE FUNCTION reyearn.label_row(1)';
is( told('bob', "$trigger; INSERT INTO shop.mails (id, body) VALUES (4, 'a dinner'); INSERT INTO shop.theft VALUES (1, 'a dinner') RETURNING label IS NULL"),
	"t\n42704: could not label rows of table \"theft\": attachment 1 of the table does not exist", 'a trigger of another table borrows nothing');
like(told('alice', q{INSERT INTO reyearn.attached_tables (relation, label_column, model_tenant_id, model_id, owner) VALUES ('shop.mails', 'x', 0, 1, 'bob')}),
	qr/42501: permission denied/, 'nobody attaches as another role');
like(told('alice', q{UPDATE reyearn.attached_tables SET owner = 'bob'}), qr/42501: permission denied/, '... nor makes it so');
is(told('alice', q{INSERT INTO reyearn.attached_tables (relation, label_column, key_columns, model_tenant_id, model_id) VALUES ('shop.mails', 'x', '{id}', 0, 1) RETURNING owner}), 'alice', '... but as oneself');

# Row security of the application's table.
as($node, 'app', 'alice', q{
	SET ROLE acme;
	CREATE TABLE shop.own (id int PRIMARY KEY, body text, label text, writer name DEFAULT current_user);
	ALTER TABLE shop.own ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY own ON shop.own USING (writer = current_user);
	GRANT SELECT, INSERT, UPDATE ON shop.own TO writer, bob, alice;
	RESET ROLE;
	SELECT reyearn_attach('shop.own', 'body', 'label')});
is(told('writer', q{INSERT INTO shop.own (id, body) VALUES (1, 'his meeting') RETURNING label}), 'mail.work', 'rows under row security are labelled');
is(told('writer', q{UPDATE shop.own SET label = 'mail.home'}), '', '... and corrected');
is(said('his meeting'), 'acme mail.home confirmed writer, acme mail.work rejected writer', '... which teaches');
like(told('alice', q{SELECT reyearn_confirm_row('shop.own', '1')}), qr/P0002: table shop.own has no row with key \(1\)/, 'what one cannot see one cannot confirm');

# --- A shared model predicts and does not learn.

as($node, 'app', 'postgres', q{SET reyearn.tenant = 'acme'; SELECT reyearn_share_model('mail', 'beta')});
as($node, 'app', 'bob', q{CREATE TABLE shop.borrowed (id int PRIMARY KEY, body text, label text); SELECT reyearn_attach('shop.borrowed', 'body', 'label', 'acme/mail')});
is(told('bob', q{INSERT INTO shop.borrowed VALUES (1, 'some dinner') RETURNING label}), 'mail.home', 'a shared model labels');
is(told('bob', q{UPDATE shop.borrowed SET label = 'mail.work'}), '', '... is corrected');
is(said('some dinner'), '', '... and does not learn');
as($node, 'app', 'postgres', q{SET reyearn.tenant = 'acme'; SELECT reyearn_unshare_model('mail', 'beta')});
is(told('bob', q{INSERT INTO shop.borrowed VALUES (2, 'some dinner') RETURNING label IS NULL}),
	"t\n42704: could not label rows of table \"borrowed\": the model that the table is attached to does not exist", '... nor label, once it is shared no longer');

# One that has no live version yet: rows wait.
as($node, 'app', 'postgres', q{SET reyearn.tenant = 'acme'; SELECT reyearn_create_model('idle', 'mail', promotion => 'always'); SELECT reyearn_share_model('idle', 'beta')});
as($node, 'app', 'bob', q{CREATE TABLE shop.early (id int PRIMARY KEY, body text, label text); INSERT INTO shop.early VALUES (1, 'some dinner'); SELECT reyearn_attach('shop.early', 'body', 'label', 'acme/idle')});
is(as($node, 'app', 'bob', q{SELECT rows_waiting FROM reyearn.attachments WHERE relation = 'shop.early'::regclass}), 1, 'a shared model without a live version has rows wait');
as($node, 'app', 'postgres', q{SET reyearn.tenant = 'acme'; SELECT outcome FROM reyearn_train('idle')});
is(as($node, 'app', 'bob', q{SELECT reyearn_catch_up('shop.early'); SELECT label FROM shop.early}), "1\nmail.home", '... until it has one');
as($node, 'app', 'bob', q{DROP TABLE shop.early});
as($node, 'app', 'alice', q{SELECT reyearn_drop_model('idle')});

# --- What fails leaves the application alone.

my $leaver = q{
	CREATE TABLE shop.left (id int PRIMARY KEY, body text, label text);
	GRANT INSERT, SELECT ON shop.left TO writer;
	ALTER TABLE shop.left OWNER TO acme;
	SELECT reyearn_attach('shop.left', 'body', 'label')};
as($node, 'app', 'leaver', $leaver);
my $session = session($node, 'app', 'writer');
is(ask($session, q{INSERT INTO shop.left VALUES (1, 'a meeting') RETURNING label}), 'mail.work', 'all is well');
$node->safe_psql('app', 'REVOKE acme FROM leaver');
is(ask($session, q{INSERT INTO shop.left VALUES (2, 'a meeting'), (3, 'a dinner') RETURNING label IS NULL}), "t\nt", 'an owner who has lost the right: no label');
like($session->{stderr}, qr/WARNING:  42501: could not label rows of table "left": (?:permission denied for table models|role "leaver" may not use tenant "acme")/, '... a warning');
is(() = $session->{stderr} =~ /WARNING/g, 1, '... one a statement');
is(ask($session, q{INSERT INTO shop.left VALUES (4, 'a meeting', 'mail.home') RETURNING label}), 'mail.home', '... and nothing is learned');
$node->safe_psql('app', 'GRANT acme TO leaver');
is(ask($session, q{INSERT INTO shop.left VALUES (5, 'a meeting') RETURNING label}), 'mail.work', 'once it has the right again: labels');
$node->safe_psql('app', 'REVOKE acme FROM leaver; DROP ROLE leaver');
is(ask($session, q{INSERT INTO shop.left VALUES (6, 'a meeting') RETURNING label IS NULL}), 't', 'the owner is dropped: no label');
like($session->{stderr}, qr/WARNING:  /, '... a warning');
is($node->safe_psql('app', q{SELECT last_error IS NOT NULL FROM reyearn.attached_tables WHERE relation = 'shop.left'::regclass}), 't', '... that is kept');

# A damaged image, for a session that has not loaded it yet.
as($node, 'app', 'alice', q{SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.5}')});
as($node, 'app', 'postgres', q{UPDATE reyearn.model_images SET data = set_byte(data, 100, get_byte(data, 100) # 85)
	WHERE version_id = (SELECT version_id FROM reyearn.model_versions WHERE is_live AND tenant_id = (SELECT tenant_id FROM reyearn.tenants WHERE name = 'acme'))});
as($node, 'app', 'alice', q{SELECT reyearn_promote('mail', 1); SELECT reyearn_promote('mail', 2)});
like(told('writer', q{INSERT INTO shop.mails (id, body) VALUES (10, 'a meeting') RETURNING label IS NULL}), qr/^t\nXX001: could not label rows of table "mails": /, 'a damaged image: no label, a warning');
as($node, 'app', 'alice', q{SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.7}')});
is(told('writer', q{INSERT INTO shop.mails (id, body) VALUES (11, 'a meeting') RETURNING label}), 'mail.work', '... until there is a good one');

# Requests to cancel are not taken for failures.
like(told('writer', q{SET statement_timeout = '100ms'; INSERT INTO shop.mails (id, body) SELECT i, 'a meeting' FROM generate_series(1000, 3000000) AS i}),
	qr/57014: canceling statement due to statement timeout/, 'a timeout ends the statement');
is(told('writer', 'SELECT count(*) FROM shop.mails WHERE id >= 1000'), 0, '... and all of it');

# Transactions of all kinds.
for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	is(told('writer', qq{BEGIN ISOLATION LEVEL $level; INSERT INTO shop.mails (id, body) VALUES (20, 'lunch, meeting') RETURNING label; UPDATE shop.mails SET body = 'dinner, dinner' WHERE id = 20 RETURNING label;
		UPDATE shop.mails SET label = 'mail.work' WHERE id = 20; ROLLBACK}), "mail.work\nmail.home", $level);
}
told('writer', q{BEGIN; INSERT INTO shop.mails (id, body) VALUES (21, 'prepared'); UPDATE shop.mails SET label = 'mail.work' WHERE id = 21; PREPARE TRANSACTION 'p'});
$node->safe_psql('app', q{COMMIT PREPARED 'p'});
like(said('prepared'), qr/acme mail.work confirmed writer/, 'a prepared transaction teaches');
is($node->safe_psql('app', q{SET session_replication_role = replica; INSERT INTO shop.mails (id, body) VALUES (22, 'replicated') RETURNING label IS NULL}), 't', 'rows that are replicated are left alone');

# One row, two people: the second sees what the first has left.
$node->safe_psql('app', q{INSERT INTO shop.mails (id, body) VALUES (30, 'dinner for two')});
my ($one, $two) = map { session($node, 'app', $_) } qw(writer bob);
ask($one, q{BEGIN; UPDATE shop.mails SET label = 'mail.work' WHERE id = 30});
my $waits = begin_query($node, 'app', q{UPDATE shop.mails SET body = 'dinner for three' WHERE id = 30 RETURNING label}, 'bob');
wait_for($node, 'app', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'bob'});
ask($one, 'COMMIT');
is((end_query($waits))[0], 'mail.work', 'a text that changes after a person has labelled it keeps that label');

# --- Dump and restore, with a table that is detached and one that was dropped.

as($node, 'app', 'alice', q{SELECT reyearn_detach('shop.own')});
my $before = checksums($node, 'app');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('app') ], 'pg_dump');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, $node->connstr('copy') ], 'restore');
my $after = checksums($node, 'copy');
# An owner who was dropped is nobody in the copy.
my $without_tables = sub { return $_[0] =~ s/^reyearn\.attached_tables\|(\d+)\|.*$/$1/mr };
is($without_tables->($after), $without_tables->($before), '... has the same rows, and nothing was learned by it');
is($node->safe_psql('copy', q{SELECT count(*) FROM reyearn.attached_columns}), $node->safe_psql('app', q{SELECT count(*) FROM reyearn.attached_columns}), '... and the same triggers');
is($node->safe_psql('copy', q{SET ROLE writer; INSERT INTO shop.mails (id, body) VALUES (40, 'a meeting') RETURNING label}), 'mail.work', 'the copy labels');
$node->safe_psql('copy', q{SET ROLE writer; INSERT INTO shop.mails (id, body) VALUES (41, 'news of a meeting'); UPDATE shop.mails SET label = 'mail.home' WHERE id = 41});
is($node->safe_psql('copy', q{SELECT string_agg(a.status || ' ' || a.annotated_by, ', ' ORDER BY a.status) FROM reyearn.annotations AS a
	JOIN reyearn.observations AS o USING (tenant_id, observation_id) WHERE o.body = 'news of a meeting'}), 'confirmed writer, rejected writer', '... and learns');
like(told('writer', 'SELECT 1'), qr/^1$/, 'the server is there');
$node->psql('copy', q{INSERT INTO shop.left (id, body) VALUES (60, 'a meeting') RETURNING label IS NULL}, stdout => \my $unlabelled, stderr => \my $warned);
is($unlabelled, 't', 'a table that somebody attached who is nobody now: rows come without a label');
like($warned, qr/the role that attached the table was dropped/, '... and that is told');
$node->safe_psql('copy', 'DROP TABLE shop.mails; DROP TABLE shop.left');
$node->safe_psql('postgres', 'CREATE DATABASE copy2 TEMPLATE template0');
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('copy') ], 'pg_dump without tables that were attached');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, $node->connstr('copy2') ], 'restore');
is($node->safe_psql('copy2', q{SELECT count(*) FROM reyearn.attached_tables WHERE relation = 0}), 4, '... knows that they are gone');

# --- What ends a statement while it learns ends nothing else.

{
	my $holder = session($node, 'app');
	my $waiting = session($node, 'app', 'writer');
	$node->safe_psql('app', q{SET ROLE writer; INSERT INTO shop.mails (id, body) VALUES (70, 'held back')});
	as($node, 'app', 'alice', q{SELECT reyearn_observe('held back')});
	ask($holder, q{BEGIN; SELECT count(*) FROM (SELECT FROM reyearn.observations WHERE body = 'held back' FOR UPDATE) AS held});
	ask($waiting, q{SET lock_timeout = '200ms'});
	my $other = q{SELECT label FROM shop.mails WHERE id = 70};
	my $before = ask($waiting, $other);
	my $change = q{UPDATE shop.mails SET label = CASE label WHEN 'mail.home' THEN 'mail.work' ELSE 'mail.home' END WHERE id = 70};
	like(error_in($waiting, $change), qr/^55P03: /, 'a lock timeout while learning is an error of the statement');
	is(ask($waiting, q{SELECT 'goes on'}), 'goes on', '... and the session goes on, in no transaction');
	ask($waiting, qq{DO \$\$ BEGIN $change; EXCEPTION WHEN lock_not_available THEN RAISE NOTICE 'caught'; END \$\$});
	is(ask($waiting, $other), $before, '... a block that catches it takes back what it did');
	ask($holder, 'ROLLBACK');
	ask($waiting, $change);
	isnt(ask($waiting, $other), $before, '... and afterwards it works');
	$_->quit for $holder, $waiting;
}

# --- Without the extension.

$node->safe_psql('app', q{SET client_min_messages = error; SELECT reyearn_drop_tenant('acme')});
is(told('writer', q{INSERT INTO shop.mails (id, body) VALUES (50, 'a meeting') RETURNING label IS NULL}), "t\n42704: could not label rows of table \"mails\": attachment 1 of the table does not exist", 'a tenant that was dropped: no label');
$node->safe_psql('app', q{SET client_min_messages = error; DROP EXTENSION reyearn CASCADE});
is(told('writer', q{INSERT INTO shop.mails (id, body) VALUES (51, 'a meeting') RETURNING label IS NULL}), 't', 'without the extension the table is as it was');
ok(is_unharmed($node), 'no process has crashed');

$_->quit for $session, $one, $two;
$node->stop;
done_testing();
