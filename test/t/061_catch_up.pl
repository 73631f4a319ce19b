# What attachments do in the background: rows that were there and rows that wait are labelled by a worker, in steps that are
# in nobody's way, through crashes, locks, errors and rights that come and go. And logical replication.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nreyearn.max_workers = 2\nmax_worker_processes = 16\nmax_prepared_transactions = 2\n", allows_streaming => 'logical');
create_database($node, 'app');

# A model that is trained only on request, and rows for it.
my $model = q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home}'::text[]) AS l;
	SELECT count(reyearn_annotate_text(b || i, l)) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.work'), ('dinner ', 'mail.home')) AS t (b, l);
	SELECT reyearn_create_model('mail', 'mail', promotion => 'always', retrain_after => 0);
};
my $text = q{CASE WHEN i % 2 = 0 THEN 'a meeting ' ELSE 'the dinner ' END || i};

sub attachment
{
	my ($table, $columns, $database) = @_;
	return $node->safe_psql($database // 'app', "SELECT $columns FROM reyearn.attachments WHERE relation = '$table'::regclass");
}

# --- Rows wait for the first version, however they came, and for the worker.

$node->safe_psql('app', "$model
	CREATE TABLE first (id int PRIMARY KEY, body text, label text);
	INSERT INTO first SELECT i, $text, (ARRAY['mail.home', 'mail.work'])[i % 10] FROM generate_series(1, 5000) AS i;
	SET client_min_messages = error;
	SELECT reyearn_attach('first', 'body', 'label');
	INSERT INTO first (id, body) SELECT i, $text FROM generate_series(5001, 6000) AS i");
becomes($node, 'app', q{SELECT progress, rows_seen, rows_learned, rows_waiting FROM reyearn.attachments}, '1|6000|1000|5000', 'a worker looks at all rows');
is($node->safe_psql('app', q{SELECT string_agg(DISTINCT annotated_by, ' ') FROM reyearn.annotations}), 'postgres', '... as whoever attached the table');
$node->safe_psql('app', q{SELECT outcome FROM reyearn_train('mail')});
becomes($node, 'app', q{SELECT rows_seen, rows_labelled, rows_learned, rows_waiting FROM reyearn.attachments}, '6000|5000|1000|0', 'once there is a version it labels them');
is($node->safe_psql('app', q{SELECT count(*) FROM first WHERE label IS NULL OR (label = 'mail.home' AND id % 2 = 0 )}), 0, '... all of them');

# --- Rows that others have locked are left to them, and labelled once they are free. Nobody waits.

$node->safe_psql('app', "CREATE TABLE locked (id int PRIMARY KEY, body text, label text, note int);
	INSERT INTO locked SELECT i, $text FROM generate_series(1, 3000) AS i");
my $holder = session($node, 'app');
$node->safe_psql('app', q{SELECT reyearn_attach('locked', 'body', 'label')});
becomes($node, 'app', q{SELECT rows_waiting FROM reyearn.attachments WHERE relation = 'locked'::regclass}, 0, 'no row is locked');
$node->safe_psql('app', q{SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.5}')});
ask($holder, q{BEGIN; UPDATE locked SET note = 1 WHERE id % 3 = 0; UPDATE locked SET label = 'mail.work' WHERE id = 1});
$node->safe_psql('app', q{SELECT reyearn_relabel('locked')});
becomes($node, 'app', q{SELECT rows_waiting FROM reyearn.attachments WHERE relation = 'locked'::regclass}, 1001, 'those that are wait');
ask($holder, 'COMMIT');
becomes($node, 'app', q{SELECT rows_waiting FROM reyearn.attachments WHERE relation = 'locked'::regclass}, 0, '... until they are free');
is($node->safe_psql('app', q{SELECT count(*) FROM reyearn.attached_rows AS r JOIN reyearn.model_versions AS v USING (tenant_id, version_id)
	WHERE attachment_id = (SELECT attachment_id FROM reyearn.attached_tables WHERE relation = 'locked'::regclass) AND v.is_live}), 2999, '... and are labelled by the new version');
is($node->safe_psql('app', q{SELECT label FROM locked WHERE id = 1}), 'mail.work', "... but for a person's");

# An exclusive lock on the table is not waited for long, nor is the table locked against others.
ask($holder, q{BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE});
$node->safe_psql('app', q{SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.6}')});
$node->safe_psql('app', q{INSERT INTO reyearn.waiting_rows (tenant_id, attachment_id, key) SELECT tenant_id, attachment_id, key FROM reyearn.attached_rows WHERE key = '{2}'; SELECT reyearn.announce_work()});
wait_for($node, 'app', q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'locked'::regclass AND NOT granted});
ask($holder, 'COMMIT');
becomes($node, 'app', q{SELECT sum(rows_waiting) FROM reyearn.attachments}, 0, 'a worker that cannot have the table tries again');

# A prepared transaction that holds a row, and a session that holds an attachment, are in nobody else's way.
$node->safe_psql('app', "CREATE TABLE held (id int PRIMARY KEY, body text, label text, note int);
	INSERT INTO held SELECT i, $text FROM generate_series(1, 10) AS i;
	SELECT reyearn_attach('held', 'body', 'label');
	BEGIN; UPDATE held SET note = 1 WHERE id = 1; PREPARE TRANSACTION 'holds'");
$node->safe_psql('app', q{SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.7}'); SELECT reyearn_relabel('held')});
ask($holder, q{BEGIN; SELECT FROM reyearn.catch_ups WHERE attachment_id = (SELECT attachment_id FROM reyearn.attached_tables WHERE relation = 'locked'::regclass) FOR UPDATE});
$node->safe_psql('app', "CREATE TABLE others (id int PRIMARY KEY, body text, label text);
	INSERT INTO others SELECT i, $text FROM generate_series(1, 20000) AS i; SELECT reyearn_relabel('locked'); SELECT reyearn_attach('others', 'body', 'label')");
becomes($node, 'app', q{SELECT count(label) FROM others}, 20000, 'what is held holds up nobody else');
is(attachment('held', 'rows_waiting'), 1, '... and waits itself');
ask($holder, 'ROLLBACK');
$node->safe_psql('app', q{ROLLBACK PREPARED 'holds'});
becomes($node, 'app', q{SELECT sum(rows_waiting) FROM reyearn.attachments}, 0, '... until it is free');

# Who notes something of a row never makes who writes the row wait or fail.
{
	my ($one, $two) = map { session($node, 'app') } 1, 2;
	ask($one, q{BEGIN; SELECT reyearn_confirm_row('held', '2')});
	is(error_in($two, q{SET lock_timeout = '2s'; UPDATE held SET body = 'the dinner now' WHERE id = 2}), '', 'a row is written while somebody confirms it');
	ask($one, 'COMMIT');
	ask($one, q{BEGIN; SELECT reyearn.begin_catch_up(attachment_id, true), reyearn.catch_up(attachment_id, 1000) FROM reyearn.attached_tables WHERE relation = 'held'::regclass});
	is(error_in($two, q{DELETE FROM held WHERE id = 5; INSERT INTO held VALUES (5, 'new text'); UPDATE held SET label = 'mail.home' WHERE id = 6}), '', '... and while it is looked at');
	ask($one, 'COMMIT');
	ask($one, q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1});
	ask($two, q{SELECT reyearn.add_waiting(tenant_id, attachment_id, '{{7}}') FROM reyearn.attached_tables WHERE relation = 'held'::regclass});
	is(error_in($one, q{UPDATE held SET body = 'another dinner' WHERE id = 7; COMMIT}), '', '... in any isolation level');
}

# --- Errors are kept, and tried again later: here the owner of the attachment has lost the tenant.

$node->safe_psql('app', join ';', 'CREATE ROLE acme', 'CREATE ROLE alice LOGIN', 'GRANT acme TO alice', q{SELECT reyearn_create_tenant('acme', 'acme'), reyearn_grant('acme', 'trainer')},
	'CREATE SCHEMA shop AUTHORIZATION acme');
as($node, 'app', 'alice', "$model
	SELECT outcome FROM reyearn_train('mail');
	SET ROLE acme;
	CREATE TABLE shop.mails (id int PRIMARY KEY, body text, label text);
	INSERT INTO shop.mails SELECT i, $text || ' of alice', (ARRAY['mail.home', 'mail.work'])[i % 10] FROM generate_series(1, 4000) AS i;
	RESET ROLE;
	SELECT reyearn_attach('shop.mails', 'body', 'label')");
$node->safe_psql('app', 'REVOKE acme FROM alice');
my $of_acme = q{SET reyearn.tenant = 'acme'; SELECT %s FROM reyearn.attachments WHERE relation = 'shop.mails'::regclass};
becomes($node, 'app', sprintf($of_acme, q{last_error ~ 'permission denied|may not use tenant|does not own it'}), 't', 'an error is kept');
$node->safe_psql('app', 'GRANT acme TO alice; UPDATE reyearn.catch_ups SET retry_at = NULL; SELECT reyearn.announce_work()');
becomes($node, 'app', sprintf($of_acme, 'rows_labelled, rows_learned, rows_waiting'), '3200|800|0', '... and tried again');
is($node->safe_psql('app', q{SELECT count(*), string_agg(DISTINCT annotated_by, ' ') FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id) WHERE body ~ 'of alice'}),
	'800|alice', 'what was there is learned as the owner of the attachment');

# --- Triggers of the table: deferred ones too run with the rights of its owner, and with the settings of the database.

$node->safe_psql('app', q{ALTER DATABASE app SET search_path = shop, public});
as($node, 'app', 'alice', "SET ROLE acme;
	CREATE TABLE shop.seen (who name, path text, zone text);
	CREATE TABLE shop.watched (id int PRIMARY KEY, body text, label text);
	CREATE FUNCTION shop.look() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO seen VALUES (current_user, current_setting('search_path'), current_setting('timezone')); RETURN NULL; END \$\$;
	CREATE CONSTRAINT TRIGGER look AFTER UPDATE ON shop.watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.look();
	INSERT INTO shop.watched SELECT i, $text FROM generate_series(1, 2500) AS i;
	RESET ROLE;
	SELECT reyearn_create_model('later', 'mail', promotion => 'always', retrain_after => 0);
	SET client_min_messages = error;
	SELECT reyearn_attach('shop.watched', 'body', 'label', 'later')");
as($node, 'app', 'alice', q{SELECT outcome FROM reyearn_train('later')});
becomes($node, 'app', q{SELECT count(*) FROM shop.watched WHERE label IS NULL}, 0, 'a table with a deferred trigger is labelled');
is($node->safe_psql('app', q{SELECT DISTINCT who, path, zone = current_setting('timezone') FROM shop.seen}), 'acme|shop, public|t', '... which runs as its owner, and finds what it looks for');
$node->safe_psql('app', q{ALTER DATABASE app RESET search_path});

# --- A trigger that does not let itself be cancelled holds up a worker no longer than that lives, and nothing after it.

$node->safe_psql('app', "CREATE TABLE stubborn (id int PRIMARY KEY, body text, label text);
	CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
	    IF (SELECT backend_type <> 'reyearn worker' FROM pg_stat_activity WHERE pid = pg_backend_pid()) THEN RETURN NEW; END IF;
	    LOOP BEGIN PERFORM pg_sleep(100); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END \$\$;
	INSERT INTO stubborn SELECT i, $text FROM generate_series(1, 3000) AS i;
	CREATE TRIGGER hang BEFORE UPDATE ON stubborn FOR EACH ROW EXECUTE FUNCTION hang();
	SELECT reyearn_attach('stubborn', 'body', 'label', 'mail')");
my $hanging = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'reyearn worker' AND wait_event = 'PgSleep'};
wait_for($node, 'app', "SELECT count(*) = 1 FROM ($hanging) AS w");
$node->safe_psql('app', "CREATE TABLE after_it (id int PRIMARY KEY, body text, label text);
	INSERT INTO after_it SELECT i, $text FROM generate_series(1, 3000) AS i;
	SELECT reyearn_attach('after_it', 'body', 'label', 'mail')");
$node->safe_psql('app', "SELECT pg_terminate_backend(pid) FROM ($hanging) AS w");
becomes($node, 'app', q{SELECT count(label) FROM after_it}, 3000, 'the next worker goes on with another table');
$node->safe_psql('app', q{SET lock_timeout = '60s'; DROP TABLE stubborn});

# --- A crash in the middle: each row is labelled, and once.

$node->safe_psql('app', "CREATE TABLE crashed (id int PRIMARY KEY, body text, label text);
	CREATE TABLE labelled (id int);
	CREATE FUNCTION count_labels() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.labelled VALUES (NEW.id); RETURN NULL; END \$\$;
	CREATE TRIGGER count_labels AFTER UPDATE ON crashed FOR EACH ROW EXECUTE FUNCTION count_labels();
	INSERT INTO crashed SELECT i, $text FROM generate_series(1, 80000) AS i;
	SELECT reyearn_attach('crashed', 'body', 'label')");
my $in_the_middle = 0;
for my $enough (0, 1, 20_000)
{
	wait_for($node, 'app', "SELECT count(*) >= $enough FROM crashed WHERE label IS NOT NULL");
	kill_server($node, 'app');
	$node->start;
	wait_until_up($node);
	$in_the_middle += $node->safe_psql('app', 'SELECT (count(label) BETWEEN 1 AND 79999)::int FROM crashed');
	is($node->safe_psql('app', q{SELECT count(*) FROM crashed AS c FULL JOIN labelled AS l USING (id) WHERE (c.label IS NULL) <> (l.id IS NULL)}), 0, 'after kill -9 nothing is half done');
}
ok($in_the_middle, 'some of that came in the middle of labelling');
ok(wait_for($node, 'app', q{SELECT rows_labelled = 80000 AND rows_waiting = 0 FROM reyearn.attachments WHERE relation = 'crashed'::regclass}), 'the worker goes on');
is($node->safe_psql('app', q{SELECT count(*), count(DISTINCT id) FROM labelled}), '80000|80000', '... and has labelled each row once');

# --- Logical replication: labels come with the rows; what a subscriber attaches is labelled there if it asks for that.

my $subscriber = start_server('subscriber', "shared_preload_libraries = 'reyearn'\n");
create_database($subscriber, 'app');
$node->safe_psql('app', 'CREATE TABLE told (id int PRIMARY KEY, body text, label text); CREATE PUBLICATION told FOR TABLE told');
$node->safe_psql('app', q{SELECT reyearn_attach('told', 'body', 'label', 'mail')});
$subscriber->safe_psql('app', "$model
	SELECT count(reyearn_annotate_text(b || i, l, 'confirmed')) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.home'), ('dinner ', 'mail.work')) AS t (b, l);
	SELECT outcome FROM reyearn_train('mail');
	CREATE TABLE told (id int PRIMARY KEY, body text, label text);
	SELECT reyearn_attach('told', 'body', 'label');");
my $source = $node->connstr('app');
$subscriber->safe_psql('app', "CREATE SUBSCRIPTION told CONNECTION \$\$$source\$\$ PUBLICATION told");
wait_for($subscriber, 'app', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')});
$node->safe_psql('app', q{INSERT INTO told (id, body) VALUES (1, 'meeting'), (2, 'dinner'); UPDATE told SET label = 'mail.home' WHERE id = 1});
$node->wait_for_catchup('told');
is($subscriber->safe_psql('app', 'SELECT id, label FROM told ORDER BY id'), "1|mail.home\n2|mail.home", 'labels come with replicated rows');
is($subscriber->safe_psql('app', q{SELECT count(*) FROM reyearn.observations WHERE body IN ('meeting', 'dinner')}), 0, '... and teach nothing there');
$subscriber->safe_psql('app', q{SELECT format('ALTER TABLE told ENABLE ALWAYS TRIGGER %I', tgname) FROM pg_trigger WHERE tgrelid = 'told'::regclass AND tgname ~ 'reyearn' \gexec});
$node->safe_psql('app', q{ALTER TABLE told DISABLE TRIGGER USER; INSERT INTO told (id, body) VALUES (3, 'meeting'), (4, 'dinner'); UPDATE told SET label = 'mail.work' WHERE id = 3});
$node->wait_for_catchup('told');
is($subscriber->safe_psql('app', 'SELECT id, label FROM told WHERE id > 2 ORDER BY id'), "3|mail.work\n4|mail.work", 'with triggers that fire ALWAYS the subscriber labels what comes');
is($subscriber->safe_psql('app', q{SELECT string_agg(concat_ws(' ', c.label, a.status), ', ' ORDER BY c.label) FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id)
	JOIN reyearn.classes AS c USING (tenant_id, class_id) WHERE body = 'meeting'}), 'mail.home rejected, mail.work confirmed', '... and learns');
$subscriber->safe_psql('app', 'DROP SUBSCRIPTION told');
ok(is_unharmed($subscriber), "the subscriber is unharmed");

done_testing();
