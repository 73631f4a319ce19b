# Tenants: who may act for which, what each level of rights allows, what a dropped tenant leaves, limits, turns, sharing,
# trainings in the background, dump and restore. That nothing leaks is 043's to show.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nreyearn.max_workers = 2\nreyearn.probe_interval = 1\nlog_min_messages = debug1");
my @levels = qw(reader annotator trainer admin);
my @all = map { "acme_$_" } @levels;

# acme has a member for each level; alice is one more trainer of it. beta has its rights by its own role: bob has them
# as a member, eve only after SET ROLE. carol works for both, dave for none, and the stranger has no rights at all.
$node->safe_psql('postgres', join ';', map { "CREATE ROLE $_ LOGIN" } @all, qw(acme beta alice bob carol dave stranger), 'eve NOINHERIT');
$node->safe_psql('postgres', "GRANT acme TO $_") for @all, qw(alice carol);
$node->safe_psql('postgres', "GRANT beta TO $_") for qw(bob carol eve);

# The database named last is the one that the functions below mean.
my $database = 'mail';
sub query { return $node->safe_psql($database, $_[0]) }
sub by { return as($node, $database, @_) }
sub error_by { return error_of($node, $database, $_[1], $_[0]) }
sub probed
{
	my $before = worker_starts($node);
	for (1 .. 100) { last if worker_starts($node) >= $before + 3; sleep 0.1 }
	return;
}

# Who is what in a database with the extension.
sub set_up
{
	my ($schema) = @_;
	query(qq{
		SET search_path = $schema;
		SELECT reyearn_grant('acme_' || l, l) FROM unnest('{reader,annotator,trainer,admin}'::text[]) AS l;
		SELECT reyearn_grant('alice', 'trainer'), reyearn_grant('beta', 'admin'), reyearn_grant('carol', 'trainer'),
		       reyearn_grant('dave', 'trainer'), reyearn_grant('eve', 'reader')});
	is(query("SELECT $schema.reyearn_create_tenant('acme', 'acme') || ' ' || $schema.reyearn_create_tenant('beta', 'beta')"), '1 2', "$schema: tenants have numbers");
	return;
}

# Model m of two classes, whose labels begin with the tenant's name.
sub teach
{
	my ($role, $name, $options) = @_;
	by($role, qq{
		SELECT reyearn_create_class('$name.' || c) FROM unnest('{food,sport}'::text[]) AS c;
		SELECT reyearn_annotate_text('soup and bread ' || i, '$name.food'), reyearn_annotate_text('ball and goal ' || i, '$name.sport') FROM generate_series(1, 6) AS i;
		SELECT reyearn_create_model('m', '$name', promotion => 'always', retrain_after => 0 $options);
		SELECT outcome FROM reyearn_train('m')});
	return;
}

create_database($node, 'mail');
set_up('public');
teach('alice', 'acme', '');
teach('bob', 'beta', '');
teach('dave', 'own', '');

# Each sees and gets his own, although all have a model m and the same texts.
is(by('alice', q{SELECT reyearn_predict('soup')}), 'acme.food', 'a member of acme predicts');
is(by('bob', q{SELECT reyearn_predict('soup')}), 'beta.food', 'a member of beta');
is(by('dave', q{SELECT reyearn_predict('soup')}), 'own.food', 'one of no tenant works in the default one');
for my $role (qw(alice bob dave))
{
	my $name = { alice => 'acme', bob => 'beta', dave => 'default' }->{$role};
	is(by($role, q{SELECT string_agg(name, ',') FROM reyearn.tenants}), $name, "$role sees the tenant $name only");
	is(by($role, q{SELECT count(*), count(DISTINCT tenant_id) FROM reyearn.observations}), '12|1', "$role sees its texts only");
	is(by($role, q{SELECT count(*) FROM reyearn.classes}), '3', "$role sees its classes only");
	is(by($role, q{SELECT value FROM reyearn_status() WHERE name = 'observations'}), '12', "$role: and reyearn_status counts them");
}
is(query('SELECT count(*) FROM reyearn.observations'), '36', 'the owner sees all');

is(by('alice', q{SELECT string_agg(name, ', ') FROM reyearn_status() WHERE value ~ '(^| ) '}), '', 'reyearn_status has no gaps for a tenant');

# Creating, altering and dropping.
query('CREATE ROLE above BYPASSRLS');
my $no_null = sub { "22004: \"$_[0]\" must not be NULL" };
for (
	[ q{reyearn_create_tenant('acme', 'stranger')}, '42710: tenant "acme" already exists' ],
	[ q{reyearn_create_tenant('gamma', 'acme')}, '42710: role acme is that of tenant "acme" already' ],
	[ q{reyearn_create_tenant('gamma', 'nobody')}, '42704: role "nobody" does not exist' ],
	[ q{reyearn_create_tenant('gamma', current_user)}, qr/^22023: role \w+ cannot be that of a tenant\nDETAIL:  It is a superuser or has BYPASSRLS/ ],
	[ q{reyearn_create_tenant('gamma', 'above')}, qr/^22023: role above cannot be that of a tenant\nDETAIL:  It is a superuser or has BYPASSRLS/ ],
	[ q{reyearn_create_tenant('a/b', 'stranger')}, qr/^22023: invalid tenant name "a\/b"\nHINT:  A name is not empty and has no slash/ ],
	[ q{reyearn_create_tenant('', 'stranger')}, qr/^22023: invalid tenant name ""\nHINT/ ],
	[ q{reyearn_create_tenant(NULL, 'stranger')}, $no_null->('name') ],
	[ q{reyearn_create_tenant('gamma', NULL)}, $no_null->('role_name') ],
	[ q{reyearn_alter_tenant(NULL)}, $no_null->('name') ],
	[ q{reyearn_alter_tenant('nobody', max_models => 1)}, qr/^42704: tenant "nobody" does not exist\nHINT/ ],
	[ q{reyearn_alter_tenant('acme', 'beta')}, '42710: role beta is that of tenant "beta" already' ],
	[ q{reyearn_alter_tenant('acme', current_user)}, qr/^22023: role \w+ cannot be that of a tenant/ ],
	[ q{reyearn_alter_tenant('acme', max_models => -2)}, qr/^22023: a limit must not be negative\nHINT:  Use -1 for no limit\./ ],
	[ q{reyearn_alter_tenant('default', max_models => 1)}, qr/^0A000: cannot change tenant "default"\nDETAIL/ ],
	[ q{reyearn_alter_tenant('default', 'stranger')}, qr/^0A000: cannot change tenant "default"\nDETAIL/ ],
	[ q{reyearn_drop_tenant('default')}, qr/^0A000: cannot drop tenant "default"\nDETAIL/ ],
	[ q{reyearn_drop_tenant('default', dry_run => true)}, qr/^0A000: cannot drop tenant "default"\nDETAIL/ ],
	[ q{reyearn_drop_tenant('nobody')}, qr/^42704: tenant "nobody" does not exist/ ],
	[ q{reyearn_drop_tenant(NULL)}, $no_null->('name') ],
	[ q{reyearn_drop_tenant('acme', NULL)}, $no_null->('dry_run') ],
	[ q{reyearn_grant('dave', 'owner')}, qr/^22023: invalid level "owner"\nHINT:  A level is reader, annotator, trainer or admin/ ],
	[ q{reyearn_grant(NULL, 'reader')}, $no_null->('role_name') ],
	[ q{reyearn_grant('dave', NULL)}, $no_null->('level') ],
	[ q{reyearn_grant('nobody', 'reader')}, '42704: role "nobody" does not exist' ],
	[ q{reyearn_grant('public', 'reader')}, '42704: role "public" does not exist' ],
	[ q{reyearn_revoke(NULL)}, $no_null->('role_name') ],
	[ q{reyearn_revoke('nobody')}, '42704: role "nobody" does not exist' ])
{
	my ($call, $expected) = @$_;
	my $error = error_by(undef, "SELECT $call");
	ref $expected ? like($error, $expected, $call) : is($error, $expected, $call);
}

# What of each table a tenant has: name, number, checksum.
sub rows_of
{
	my ($tenant) = @_;
	return query(qq{
		SELECT format(\$\$SELECT %L, count(*), md5(string_agg(t::text, '' ORDER BY t::text COLLATE "C")) FROM %s AS t WHERE tenant_id = $tenant\$\$, c.oid::regclass, c.oid::regclass)
		  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
		\\gexec});
}

my @full = qw(annotation_history annotations attached_rows attached_tables catch_ups classes experiments learned_rows login_keys merged_classes model_images model_shares model_versions models news observations run_labels runs tenants turns waiting_rows);
query(q{SELECT reyearn_create_tenant('gamma', 'stranger'), reyearn_grant('stranger', 'admin')});
teach('stranger', 'gamma', q{, params => '{"alpha": 0.5}'});
by('stranger', q{
	SELECT reyearn_create_class('gamma.drink'); SELECT reyearn_move_class('gamma.drink', 'gamma.food'); SELECT reyearn_annotate_text('tea', 'gamma.food'), reyearn_share_model('m', 'acme');
	SELECT reyearn_create_model('n', 'gamma', retrain_after => 1000)});
query('CREATE TABLE leaves (id int PRIMARY KEY, body text, label text); ALTER TABLE leaves OWNER TO stranger');
by('stranger', q{SELECT reyearn_attach('leaves', 'body', 'label', 'm'); INSERT INTO leaves VALUES (1, 'green tea', NULL), (2, 'tea', 'gamma.food')});
query(q{SELECT reyearn.add_waiting(tenant_id, attachment_id, '{{1}}') FROM reyearn.attached_tables WHERE relation = 'leaves'::regclass});
by('alice', q{SELECT reyearn_create_class('acme.drink'); SELECT reyearn_move_class('acme.drink', 'acme.food')});
by('acme_admin', q{SELECT reyearn_share_model('m', 'gamma')});
my $gamma = query(q{SELECT tenant_id FROM reyearn.tenants WHERE name = 'gamma'});
# A public key on P-256; its private half is nobody's.
my $key = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEI934QQOB2FpgKh/gOz8AmrslBJE2
i74vDsEc87/GYMewnycOxBKT8uRjC5EzF3HHI4PHw+O2Q3mwcwSw1vDNSw==
-----END PUBLIC KEY-----";
query(qq{INSERT INTO reyearn.turns VALUES ($gamma, now()); INSERT INTO reyearn.login_keys VALUES ('k', '$key', 'i', 'a', $gamma)});
my %before = map { ($_ => rows_of($_)) } 0 .. 2, $gamma;
like($before{$gamma}, qr/^reyearn\.$_\|[1-9]/m, "the tenant to be dropped has rows in $_") for @full;
is(scalar(() = $before{$gamma} =~ /^reyearn/mg), scalar(@full), '... and there are no other tables with tenant_id');
is(by('stranger', q{SELECT model FROM reyearn.shared_models}), 'acme/m', '... and another one shares a model with it');
my $told = "classes dropped|3\nobservations dropped|13\nannotations dropped|13\nmodels dropped|2";
is(query(q{SELECT * FROM reyearn_drop_tenant('gamma', dry_run => true)}), $told, 'a dry run tells what would be dropped');
is(rows_of($gamma), $before{$gamma}, '... and changes nothing');
is(query(q{SELECT * FROM reyearn_drop_tenant('gamma')}), $told, 'reyearn_drop_tenant tells the same');
is(rows_of($gamma) =~ s/\|0\|$//mgr, join("\n", map { "reyearn.$_" } @full), '... and leaves no row in any table');
is(rows_of($_), $_ == 1 ? $before{$_} =~ s/^reyearn\.model_shares\|.*$/reyearn.model_shares|0|/mr : $before{$_}, "... and all of tenant $_ but what was shared with it") for 0 .. 2;
like(error_by('alice', q{SELECT reyearn_predict('tea', 'gamma/m')}), qr/^42704: model "gamma\/m" does not exist/, '... and what it shared is gone');
like(error_by('stranger', q{SELECT reyearn_predict('tea')}), qr/^42501: role "stranger" may use no tenant\nDETAIL:.*\nHINT/, 'its members are members of none');
query(q{SELECT reyearn_revoke('stranger')});

# The default tenant is for those who have no other.
query(q{SELECT reyearn_grant('stranger', 'reader')});
is(by('stranger', 'SELECT reyearn.current_tenant()'), '0', 'granted without a tenant: the default one');
query(q{SELECT reyearn_create_tenant('gamma', 'stranger')});
is(by('stranger', 'SELECT reyearn.usable_tenants()'), '{' . query(q{SELECT max(tenant_id) FROM reyearn.tenants}) . '}', 'a tenant of its own takes that from it');
query(q{SELECT * FROM reyearn_drop_tenant('gamma'); SELECT reyearn_revoke('stranger')});
query(q{CREATE ROLE zoe LOGIN; SELECT reyearn_grant('zoe', 'reader')});
query(q{SELECT reyearn_create_tenant('gamma', 'stranger'), reyearn_alter_tenant('gamma', 'zoe')});
isnt(by('zoe', 'SELECT reyearn.usable_tenants()'), '{0,' . query(q{SELECT max(tenant_id) FROM reyearn.tenants}) . '}', 'so does becoming the role of one');
is(error_by('stranger', 'SELECT reyearn.current_tenant()'), q{42501: permission denied for schema reyearn}, 'the role before has nothing any more');
query(q{SELECT * FROM reyearn_drop_tenant('gamma'); SELECT reyearn_revoke('zoe'); DROP ROLE zoe});

# What each level allows: the lowest that may, and a call that succeeds then; 'nobody' is for the owner alone.
query(q{
	CREATE TABLE image AS SELECT reyearn_export_model('m') AS bytes;
	GRANT SELECT ON image TO PUBLIC});
by('alice', q{
	SELECT reyearn_train('m', '{"alpha": 0.5}');
	SELECT reyearn_observe('a text of no class'), reyearn_create_class('acme.empty'), reyearn_create_model('untrained', 'acme', retrain_after => 0);
	SELECT reyearn_classify('soup of the day ' || i, 'm') FROM generate_series(1, 2) AS i});
by('acme_admin', q{SELECT reyearn_share_model('m', 'default')});
my $some = "(SELECT min(annotation_id) FROM reyearn.annotations WHERE status = 'predicted')";
my $text = q{(SELECT observation_id FROM reyearn.observations WHERE body = 'a text of no class')};
my $class = q{(SELECT class_id FROM reyearn.classes WHERE label::text = 'acme.empty')};
my $model = q{(SELECT model_id FROM reyearn.models WHERE name = 'm')};
my @readable = qw(tenants classes merged_classes observations annotations annotation_history models model_versions model_shares experiments runs run_labels news
  model_classes inbox parameters stat_models shared_models training_schedule progress class_overview annotation_overview model_overview);
my @calls = (
	(map { [ 'reader', "SELECT FROM reyearn.$_ LIMIT 1" ] } @readable),
	[ 'reader', q{SELECT reyearn_predict('soup', 'm')} ],
	[ 'reader', q{SELECT reyearn_predict_proba('soup', 'm')} ],
	[ 'reader', q{SELECT reyearn_predict_with(bytes, 'soup') FROM image} ],
	[ 'reader', q{SELECT reyearn_evaluate('m')} ],
	[ 'reader', q{SELECT reyearn_confusion_matrix('m')} ],
	[ 'reader', q{SELECT reyearn_status()} ],
	[ 'annotator', q{SELECT reyearn_observe('a new text', '{"a": 1}')} ],
	[ 'annotator', qq{SELECT reyearn_annotate($text, 'acme.food')} ],
	[ 'annotator', qq{SELECT reyearn_annotate($text, 'acme.food', 'confirmed', int4range(0, 1))} ],
	[ 'annotator', q{SELECT reyearn_annotate_text('a new text', 'acme.food')} ],
	[ 'annotator', "SELECT reyearn_confirm($some)" ],
	[ 'annotator', "SELECT reyearn_reject(ARRAY[$some])" ],
	[ 'annotator', "SELECT reyearn_correct($some, 'acme.sport')" ],
	[ 'annotator', q{SELECT reyearn_classify('a new text', 'm')} ],
	[ 'annotator', q{INSERT INTO reyearn.inbox (body, label) VALUES ('a new text', 'acme.food')} ],
	[ 'annotator', "COPY reyearn.inbox (body, label) FROM STDIN;\na new text\tacme.food\n\\." ],
	[ 'annotator', q{INSERT INTO reyearn.observations (body) VALUES ('a new text')} ],
	[ 'annotator', q{UPDATE reyearn.observations SET metadata = '{"a": 2}'} ],
	[ 'annotator', "INSERT INTO reyearn.annotations (observation_id, class_id) VALUES ($text, $class)" ],
	[ 'annotator', "UPDATE reyearn.annotations SET status = 'unknown', span = '[0,1)', class_id = $class WHERE annotation_id = $some" ],
	[ 'trainer', q{SELECT reyearn_create_class('acme.new', 'a new class')} ],
	[ 'trainer', q{SELECT reyearn_move_class('acme.food', 'acme.sport')} ],
	[ 'trainer', q{SELECT reyearn_move_class('acme.food', 'acme.new.one')} ],
	[ 'trainer', q{SELECT reyearn_drop_class('acme.food')} ],
	[ 'trainer', q{SELECT reyearn_create_model('new', 'acme')} ],
	[ 'trainer', q{SELECT reyearn_alter_model('m', keep_versions => 3, owner => current_user)} ],
	[ 'trainer', q{SELECT reyearn_drop_model('m')} ],
	[ 'trainer', q{SELECT reyearn_train('m', '{"alpha": 0.25}')} ],
	[ 'trainer', q{SELECT reyearn_train('m', '{"alpha": 0.25}', wait => false)} ],
	[ 'trainer', q{SELECT reyearn_promote('m', 1)} ],
	[ 'trainer', q{SELECT reyearn_rollback('m')} ],
	[ 'trainer', q{SELECT reyearn_export_model('m')} ],
	[ 'trainer', q{SELECT reyearn_import_model('other', bytes) FROM image} ],
	[ 'trainer', q{SELECT FROM reyearn.model_images} ],
	[ 'trainer', q{INSERT INTO reyearn.classes (label) VALUES ('acme.new')} ],
	[ 'trainer', q{UPDATE reyearn.classes SET title = 'Essen' WHERE label::text = 'acme.food'} ],
	[ 'nobody', "DELETE FROM reyearn.classes WHERE class_id = $class" ],
	[ 'nobody', "DELETE FROM reyearn.annotations WHERE annotation_id = $some" ],
	[ 'trainer', q{INSERT INTO reyearn.models (name, task, algorithm) VALUES ('new', 'classification', 'auto')} ],
	[ 'trainer', q{UPDATE reyearn.models SET keep_versions = 4 WHERE name = 'm'} ],
	[ 'nobody', q{DELETE FROM reyearn.models WHERE name = 'untrained'} ],
	[ 'admin', "SELECT reyearn_forget($text)" ],
	[ 'admin', q{SELECT reyearn_share_model('m', 'beta')} ],
	[ 'admin', q{SELECT reyearn_unshare_model('m', 'default')} ],
	[ 'nobody', "DELETE FROM reyearn.observations WHERE observation_id = $text" ],
	[ 'nobody', 'DELETE FROM reyearn.annotation_history' ],
	[ 'nobody', 'DELETE FROM reyearn.model_shares' ],
	[ 'nobody', q{SELECT reyearn_create_tenant('new', 'dave')} ],
	[ 'nobody', q{SELECT reyearn_alter_tenant('acme', max_models => -1)} ],
	[ 'nobody', q{SELECT reyearn_drop_tenant('beta')} ],
	[ 'nobody', q{SELECT reyearn_grant(current_user, 'admin')} ],
	[ 'nobody', q{SELECT reyearn_revoke('bob')} ],
	[ 'nobody', 'SELECT FROM reyearn.grants' ],
	[ 'nobody', 'SELECT FROM reyearn.login_keys' ],
	[ 'nobody', 'SELECT reyearn.next_training()' ],
	[ 'nobody', 'SELECT reyearn.hold_off_training()' ],
	[ 'nobody', 'SELECT reyearn.may_begin_training()' ],
	[ 'nobody', 'SELECT reyearn.has_training_place(2)' ],
	[ 'nobody', 'SELECT reyearn.make_live_of(2, 2, 1, false)' ],
	[ 'nobody', 'SELECT reyearn.prune_versions(2, 2)' ],
	[ 'nobody', q{SELECT reyearn.queue_run(2, 2, '{}')} ],
	[ 'nobody', 'SELECT reyearn.begin_run(2, 2, NULL, 1)' ],
	[ 'nobody', 'SELECT reyearn.postpone_run(1)' ],
	[ 'nobody', q{SELECT reyearn.fail_run(1, 'XX000', 'because')} ],
	[ 'nobody', q{SELECT reyearn.news_of_model(2, 2)} ],
	[ 'nobody', q{INSERT INTO reyearn.tenants (name) VALUES ('new')} ],
	[ 'nobody', q{UPDATE reyearn.tenants SET max_models = NULL} ],
	[ 'nobody', 'DELETE FROM reyearn.tenants' ],
	[ 'nobody', q{INSERT INTO reyearn.annotation_history (annotation_id, observation_id, class_id) VALUES (1, 1, 1)} ],
	[ 'nobody', q{UPDATE reyearn.annotation_history SET changed_by = 'bob'} ],
	[ 'nobody', 'UPDATE reyearn.news SET n = 1' ],
	[ 'nobody', 'DELETE FROM reyearn.news' ],
	[ 'nobody', "INSERT INTO reyearn.news (model_id, n) VALUES ($model, 1)" ],
	[ 'nobody', "INSERT INTO reyearn.runs (model_id, outcome) VALUES ($model, 'queued')" ],
	[ 'nobody', q{UPDATE reyearn.runs SET seconds = 0} ],
	[ 'nobody', 'DELETE FROM reyearn.runs' ],
	[ 'nobody', 'UPDATE reyearn.model_versions SET is_live = false' ],
	[ 'nobody', 'DELETE FROM reyearn.model_versions' ],
	[ 'nobody', q{UPDATE reyearn.model_images SET data = ''} ],
	[ 'nobody', 'DELETE FROM reyearn.model_images' ],
	[ 'nobody', 'DELETE FROM reyearn.experiments' ],
	[ 'nobody', 'DELETE FROM reyearn.run_labels' ],
	[ 'nobody', q{UPDATE reyearn.annotations SET annotated_by = 'bob'} ],
	[ 'nobody', 'UPDATE reyearn.annotations SET time_updated = now()' ],
	[ 'nobody', 'UPDATE reyearn.annotations SET tenant_id = 2' ],
	[ 'nobody', 'UPDATE reyearn.annotations SET observation_id = 1' ],
	[ 'nobody', "INSERT INTO reyearn.annotations (observation_id, class_id, annotated_by) VALUES ($text, $class, 'bob')" ],
	[ 'nobody', q{UPDATE reyearn.observations SET body = 'another'} ],
	[ 'nobody', 'UPDATE reyearn.observations SET tenant_id = 2' ],
	[ 'nobody', 'UPDATE reyearn.classes SET tenant_id = 2' ],
	[ 'nobody', 'UPDATE reyearn.models SET tenant_id = 2' ],
	[ 'nobody', q{INSERT INTO reyearn.models (name, task, algorithm, owner) VALUES ('new', 'classification', 'auto', 'beta')} ],
	(map { [ 'nobody', "TRUNCATE reyearn.$_ CASCADE" ] } qw(tenants classes observations annotations annotation_history models model_versions news runs)));

my %rank = (map({ ($levels[$_] => $_) } 0 .. $#levels), nobody => scalar @levels);
for my $level (@levels)
{
	my $session = session($node, 'mail', "acme_$level");
	for my $call (@calls)
	{
		my ($lowest, $sql) = @$call;
		my $may = $rank{$level} >= $rank{$lowest};
		my $error = error_in($session, "BEGIN;\n$sql" . ($sql =~ /^COPY/ ? '' : ';') . "\nROLLBACK");
		my $what = "$level: " . ($may ? '' : 'not ') . ($sql =~ s/\n.*//sr);
		if ($may) { is($error, '', $what) }
		else { like($error, qr/^42501: permission denied for (?:function|table|view|materialized view) /, $what) }
	}
	$session->quit;
}

# The stranger has nothing of the extension, whatever kind it is.
my $rights = q{
	SELECT 'FUNCTION', p.oid::regprocedure::text
	  FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	  JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND x.extname = 'reyearn'
	 WHERE has_function_privilege('%1$s', p.oid, 'EXECUTE')
	UNION ALL
	SELECT 'TABLE', c.oid::regclass::text
	  FROM pg_class AS c
	 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind IN ('r', 'v')
	   AND (has_table_privilege('%1$s', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
	        OR has_any_column_privilege('%1$s', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
	UNION ALL
	SELECT 'SEQUENCE', c.oid::regclass::text
	  FROM pg_class AS c
	 WHERE c.relnamespace = 'reyearn'::regnamespace AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('%1$s', c.oid, 'USAGE, SELECT, UPDATE') END
	UNION ALL
	SELECT 'SCHEMA', 'reyearn' WHERE has_schema_privilege('%1$s', 'reyearn', 'USAGE, CREATE')
	 ORDER BY 1, 2};
sub rights_of { return query(sprintf $rights, $_[0]) }
is(rights_of('stranger'), '', 'who was granted nothing may nothing');
is(error_by('stranger', q{SELECT reyearn_predict('soup', 'm')}), '42501: permission denied for function reyearn_predict', '... such as predict');
my %rights = map { ($_ => rights_of("acme_$_")) } @levels;
for my $level (@levels)
{
	unlike($rights{$level}, qr/^SEQUENCE/m, "$level: no sequence");
	my %mine = map { ($_ => 1) } split /\n/, $rights{$level};
	my @unlisted = grep { $_ ne 'SCHEMA|reyearn' } sort keys %mine;
	is(scalar(@unlisted), query(qq{
		SELECT count(DISTINCT o.identity) FROM reyearn.list_rights() AS r JOIN reyearn.list_objects() AS o ON o.kind = r.on_what AND o.name = ANY (r.objects)
		 WHERE r.on_what <> 'SCHEMA' AND array_position('{reader,annotator,trainer,admin}'::text[], r.level) <= array_position('{reader,annotator,trainer,admin}'::text[], '$level')}),
		"$level: rights on what is listed, and nothing else");
}
is(query(q{SELECT string_agg(l.object, ', ') FROM (SELECT unnest(objects) AS object, on_what FROM reyearn.list_rights()) AS l
	WHERE l.object <> 'reyearn_login' AND NOT EXISTS (SELECT FROM reyearn.list_objects() AS o WHERE o.kind = l.on_what AND o.name = l.object)}), '', 'and all that is listed is there');

# Levels go up and down, and all goes with reyearn_revoke.
query(q{SELECT reyearn_grant('stranger', 'admin')});
is(rights_of('stranger'), $rights{admin}, 'granted admin');
for my $level (qw(annotator reader trainer admin reader))
{
	query("SELECT reyearn_grant('stranger', '$level')");
	is(rights_of('stranger'), $rights{$level}, "... then $level: what that has");
}
is(query(q{SELECT string_agg(level, ',') FROM reyearn.grants WHERE role = 'stranger'::regrole}), 'reader', '... recorded once');
query(q{SELECT reyearn_revoke('stranger')});
is(rights_of('stranger'), '', 'revoked: nothing');
is(query(q{SELECT count(*) FROM reyearn.grants WHERE role = 'stranger'::regrole}), '0', '... and no record of it');
query(q{CREATE ROLE "Odd ""name"; SELECT reyearn_grant('Odd "name', 'admin')});
is(rights_of(q{Odd "name}), $rights{admin}, 'a role with a name that has to be quoted');
like(error_by(undef, q{DROP ROLE "Odd ""name"}), qr/^2BP01: role "Odd "name" cannot be dropped/, '... cannot be dropped while it has rights');
query(q{SELECT reyearn_revoke('Odd "name'); DROP ROLE "Odd ""name"});
pass('... but after reyearn_revoke');
query(q{CREATE ROLE short; SELECT reyearn_grant('short', 'reader'); DROP OWNED BY short; DROP ROLE short});
query(q{SELECT reyearn_grant('stranger', 'reader'), reyearn_revoke('stranger')});
is(query('SELECT count(*) FROM reyearn.grants AS g WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = g.role)'), '0', 'what was granted to a role dropped otherwise is forgotten');

# Membership counts as PostgreSQL inherits it.
is(by('eve', 'SELECT reyearn.current_tenant(), (SELECT count(*) FROM reyearn.observations WHERE tenant_id = 2)'), '0|0', 'a member that does not inherit is none');
is(by('eve', q{SET ROLE beta; SELECT reyearn.current_tenant(), (SELECT count(*) FROM reyearn.observations WHERE tenant_id = 2), reyearn_predict('soup')}), '2|12|beta.food', '... until it sets the role');
query('CREATE ROLE middle; GRANT beta TO middle; GRANT middle TO dave');
is(by('dave', 'SELECT reyearn.usable_tenants()'), '{2}', 'a member of a member is one, at once, and no more of the default tenant');
query('ALTER ROLE middle NOINHERIT');
is(by('dave', 'SELECT reyearn.usable_tenants()'), '{0}', '... not where one between does not inherit');
query('DROP ROLE middle');

# Who may use several chooses.
my $carol = session($node, 'mail', 'carol');
is(ask($carol, 'SELECT tenant_id, count(*) FROM reyearn.tenants GROUP BY 1 ORDER BY 1'), "1|1\n2|1", 'two tenants: tables show both');
is(ask($carol, 'SELECT DISTINCT tenant_id FROM reyearn.observations ORDER BY 1'), "1\n2", '... and their texts');
is(ask($carol, q{SELECT reyearn_predict('soup', 'acme/m'), reyearn_predict('soup', 'beta/m')}), 'acme.food|beta.food', '... and whoever names the tenant predicts with either');
my $ambiguous = qr/^42P08: role "carol" may use several tenants, and none was chosen\nDETAIL:  They are "acme", "beta"\.\nHINT:  Choose one of them, such as SET reyearn\.tenant = 'acme';$/;
like(error_in($carol, $_), $ambiguous, "without choice: $_")
  for q{SELECT reyearn_predict('soup', 'm')}, q{SELECT reyearn_predict('soup')}, q{SELECT reyearn_predict_proba('soup', 'm')}, q{SELECT reyearn_observe('a text')},
  q{SELECT reyearn_annotate_text('a text', 'acme.food')}, q{INSERT INTO reyearn.observations (body) VALUES ('a text')}, q{SELECT reyearn_create_class('acme.new')},
  q{SELECT reyearn_create_model('new')}, q{SELECT reyearn_train('m')}, q{SELECT reyearn_evaluate('m')}, q{SELECT reyearn_classify('soup', 'm')},
  q{INSERT INTO reyearn.inbox (body, label) VALUES ('a text', 'acme.food')},
  map { "SELECT FROM reyearn.$_" } qw(class_overview model_overview annotation_overview inbox stat_models shared_models progress);
is(ask($carol, q{SELECT value, state, advice FROM reyearn_status() WHERE name = 'tenant'}), "none|warning|There are several: choose one, SET reyearn.tenant = '...'.", 'the status says so');
is(ask($carol, q{SET reyearn.tenant = 'beta'; SELECT reyearn_predict('soup', 'm'), reyearn.current_tenant(), reyearn.usable_tenants()}), 'beta.food|2|{2}', 'SET reyearn.tenant chooses');
is(ask($carol, 'SELECT DISTINCT tenant_id FROM reyearn.observations'), '2', '... and narrows what tables show');
is(ask($carol, 'SELECT name FROM reyearn.tenants'), 'beta', '... that of tenants too');
like(error_in($carol, q{SELECT reyearn_predict('soup', 'acme/m')}), qr/^42704: model "acme\/m" does not exist/, '... and what can be named');
like(error_in($carol, q{INSERT INTO reyearn.observations (tenant_id, body) VALUES (1, 'a text')}), qr/^42501: new row violates row-level security policy for table "observations"$/, '... and what can be written');
is(ask($carol, q{BEGIN; SET LOCAL reyearn.tenant = 'acme'; SELECT reyearn_predict('soup', 'm'); SAVEPOINT a; SET LOCAL reyearn.tenant = 'beta'; SELECT reyearn_predict('soup', 'm');
	ROLLBACK TO a; SELECT reyearn_predict('soup', 'm'); COMMIT; SELECT reyearn_predict('soup', 'm')}), "acme.food\nbeta.food\nacme.food\nbeta.food", 'SET LOCAL lasts until its transaction or savepoint ends');
my %same;
for my $name (qw(default nobody))
{
	ask($carol, "SET reyearn.tenant = '$name'");
	$same{$name}{$_} = error_in($carol, $_) =~ s/$name/NAME/gr
	  for 'SELECT FROM reyearn.observations', q{SELECT reyearn_predict('soup')}, q{SELECT reyearn_observe('a text')}, 'SELECT reyearn.current_tenant()', 'SELECT FROM reyearn.tenants', 'DELETE FROM reyearn.classes';
}
is_deeply($same{default}, $same{nobody}, 'a tenant that is not mine is told from one that nobody has in nothing');
like($_, qr/^42704: tenant "NAME" does not exist\nDETAIL:  It is what reyearn\.tenant names\.\nHINT:  Set reyearn\.tenant to a tenant that you may use, or reset it/, '... and the error says what to do')
  for values %{ $same{default} };
ask($carol, 'RESET reyearn.tenant');
$carol->quit;
is(query(q{SET reyearn.tenant = 'beta'; SELECT reyearn_predict('soup'), (SELECT value FROM reyearn_status() WHERE name = 'observations')}), 'beta.food|12', 'the owner chooses among all');

# Who did it.
query(q{
	CREATE FUNCTION annotate_for_me(body text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$SELECT reyearn_annotate_text(body, 'acme.food')$$;
	ALTER FUNCTION annotate_for_me(text) OWNER TO alice; GRANT EXECUTE ON FUNCTION annotate_for_me(text) TO PUBLIC;
	GRANT acme_trainer TO carol});
my @by = (
	[ 'alice', '', 'alice' ], [ 'acme_annotator', '', 'acme_annotator' ], [ 'carol', q{SET reyearn.tenant = 'acme';}, 'carol' ],
	[ 'carol', 'SET ROLE acme_trainer;', 'acme_trainer' ], [ undef, 'SET ROLE alice;', 'alice' ]);
for (@by)
{
	my ($role, $set, $name) = @$_;
	my $id = by($role, "$set SELECT reyearn_annotate_text('who wrote this', 'acme.food'); SELECT reyearn_reject(max(annotation_id)) FROM reyearn.annotations") =~ s/\n.*//sr;
	is(query("SELECT string_agg(DISTINCT annotated_by, ','), (SELECT string_agg(DISTINCT changed_by, ',') || ' ' || count(*) FROM reyearn.annotation_history WHERE annotation_id = $id) FROM reyearn.annotations WHERE annotation_id = $id"),
		"$name|$name 2", "$name" . ($set && ' after SET') . ': annotated_by and changed_by');
	query(qq{SET reyearn.tenant = 'acme'; DELETE FROM reyearn.annotations WHERE annotation_id = $id; DELETE FROM reyearn.annotation_history WHERE annotation_id = $id});
}
for my $role (qw(bob acme_reader))
{
	my $id = by($role, q{SELECT annotate_for_me('somebody else''s function ' || current_user)});
	is(query("SELECT tenant_id, annotated_by, (SELECT changed_by FROM reyearn.annotation_history WHERE annotation_id = $id) FROM reyearn.annotations WHERE annotation_id = $id"),
		"1|$role|$role", "$role in a SECURITY DEFINER function of alice: acts for her tenant, and is the one who did it");
}
by('carol', q{SET ROLE acme_trainer; SELECT reyearn_train('m', '{"alpha": 0.75}')});
is(query('SELECT started_by FROM reyearn.runs WHERE tenant_id = 1 ORDER BY run_id DESC LIMIT 1'), 'acme_trainer', 'started_by');
is(by('acme_admin', q{SELECT reyearn_share_model('m', 'beta'); SELECT shared_by FROM reyearn.model_shares ORDER BY time_created DESC LIMIT 1}), "\nacme_admin", 'shared_by');

# Owners.
for my $role (qw(bob beta dave acme_admin), query('SELECT current_user'))
{
	my $expected = "42501: must be member of role $role to let it own a model";
	is(error_by('alice', qq{SELECT reyearn_alter_model('m', owner => '$role')}), $expected, "a model is not given to $role");
	is(error_by('alice', qq{UPDATE reyearn.models SET owner = '$role' WHERE name = 'm'}), $expected, '... nor by UPDATE');
}
by('alice', q{SELECT reyearn_alter_model('m', owner => 'acme')});
is(query(q{SELECT owner FROM reyearn.models WHERE tenant_id = 1 AND name = 'm'}), 'acme', 'but to a role that one is a member of');
by('acme_trainer', q{SELECT reyearn_alter_model('m', owner => 'acme_trainer')});
is(query(q{SELECT owner FROM reyearn.models WHERE tenant_id = 1 AND name = 'm'}), 'acme_trainer', '... and taken over by another trainer');

# Sharing.
my $bob = session($node, 'mail', 'bob');
is(ask($bob, q{SELECT model, time_shared <= now() FROM reyearn.shared_models}), 'acme/m|t', 'a shared model is listed');
is(ask($bob, q{SELECT reyearn_predict('soup', 'acme/m')}), 'acme.food', '... predicts with its own labels');
is(by('alice', q{SELECT bool_and(probability = round(probability::numeric, 3)::real) FROM reyearn_predict_proba('soup or goal tonight', 'm')}), 'f', 'to its tenant it tells probabilities as they are');
is(ask($bob, qq{SELECT count(*), bool_and(probability = round(probability::numeric, 3)::real) FROM $_}), ($_ =~ /proba/ ? 2 : 1) . '|t', "... to another rounded: $_")
  for q{reyearn_predict_proba('soup or goal tonight', 'acme/m')}, q{reyearn.predict_row('soup or goal tonight', 'acme/m')};
like(error_in($bob, q{SELECT reyearn_classify('soup', 'acme/m')}), qr/^42704: class "acme\.food" does not exist/, 'to classify with it, one needs the class');
is(ask($bob, q{SELECT count(*) FROM reyearn.observations}), '12', '... and nothing was stored');
is(ask($bob, q{SELECT reyearn_create_class('acme.food'); SELECT label, version > 1 FROM reyearn_classify('tasty soup', 'acme/m')}), "\nacme.food|t", '... of its own');
is(ask($bob, q{SELECT label, status, model, version FROM reyearn.annotation_overview WHERE text = 'tasty soup'}), 'acme.food|predicted||', '... and it is kept, the model not being shown');
my $reserved = qr/^42501: model "acme\/m" is shared for predictions only\nDETAIL:  It belongs to another tenant\.\nHINT/;
like(error_in($bob, "SELECT * FROM $_"), $reserved, "not $_") for q{reyearn_export_model('acme/m')}, q{reyearn_evaluate('acme/m')}, q{reyearn_confusion_matrix('acme/m')}, q{reyearn_promote('acme/m', 1)},
  q{reyearn_rollback('acme/m')}, q{reyearn_train('acme/m')}, q{reyearn_train('acme/m', wait => false)}, q{reyearn_alter_model('acme/m', keep_versions => 1)}, q{reyearn_drop_model('acme/m')}, q{reyearn_share_model('acme/m', 'default')};
like(error_in($bob, q{SELECT reyearn_predict('soup', 'acme/untrained')}), qr/^42704: model "acme\/untrained" does not exist/, 'another model of that tenant is none');
is(error_by('dave', q{SELECT reyearn_predict('soup', 'beta/m')}), error_by('dave', q{SELECT reyearn_predict('soup', 'beta/none')}) =~ s/none/m/r, '... as for a tenant that nothing is shared with');
like(error_by('acme_admin', q{SELECT reyearn_share_model('m', 'nobody')}), qr/^42704: tenant "nobody" does not exist/, 'with an unknown tenant');
like(error_by('acme_admin', q{SELECT reyearn_share_model('m', 'acme')}), qr/^22023: model "m" belongs to tenant "acme" itself/, 'with itself');
like(error_by('acme_admin', q{SELECT reyearn_share_model('none', 'beta')}), qr/^42704: model "none" does not exist/, 'an unknown model');
like(error_by('acme_admin', 'SELECT reyearn_share_model(' . ($_ eq 'model' ? q{NULL, 'beta'} : q{'m', NULL}) . ')'), qr/^22004: "$_" must not be NULL/, "$_ NULL") for qw(model tenant);
is(error_by('acme_admin', q{SELECT reyearn_share_model('m', 'beta')}), '', 'shared twice: no error');
is(query('SELECT count(*) FROM reyearn.model_shares WHERE tenant_id = 1 AND to_tenant_id = 2'), '1', '... and once');

ask($bob, q{PREPARE p AS SELECT reyearn_predict($1, 'acme/m')});
ask($bob, q{SET plan_cache_mode = force_generic_plan; EXECUTE p('soup')}) for 1 .. 3;
ask($bob, q{BEGIN; SELECT reyearn_predict('soup', 'acme/m')});
by('acme_admin', q{SELECT reyearn_unshare_model('m', 'beta')});
like(error_in($bob, q{EXECUTE p('soup')}), qr/^42704: model "acme\/m" does not exist/, 'no longer shared: a prepared statement in an open transaction fails');
ask($bob, 'ROLLBACK');
like(error_in($bob, $_), qr/^42704: model "acme\/m" does not exist/, "... and $_") for q{SELECT reyearn_predict('soup', 'acme/m')}, q{EXECUTE p('soup')}, q{SELECT reyearn_predict_proba('soup', 'acme/m')}, q{SELECT reyearn_classify('soup', 'acme/m')};
is(ask($bob, q{SELECT count(*) FROM reyearn.shared_models}), '0', '... and it is not listed');
like(error_by('acme_admin', q{SELECT reyearn_unshare_model('m', 'beta')}), qr/^42704: model "m" is not shared with tenant "beta"/, 'taken back twice: an error');
by('acme_admin', q{SELECT reyearn_share_model('m', 'beta'); SELECT reyearn_create_model('gone', 'acme', promotion => 'always', retrain_after => 0); SELECT outcome FROM reyearn_train('gone'); SELECT reyearn_share_model('gone', 'beta')});
is(ask($bob, q{EXECUTE p('soup'); SELECT reyearn_predict('soup', 'acme/gone')}), "acme.food\nacme.food", 'shared again it predicts again, and another');
by('alice', q{SELECT reyearn_drop_model('gone')});
like(error_in($bob, q{SELECT reyearn_predict('soup', 'acme/gone')}), qr/^42704: model "acme\/gone" does not exist/, 'a dropped model is shared no more');
is(query('SELECT count(*) FROM reyearn.model_shares WHERE tenant_id = 1 AND to_tenant_id = 2'), '1', '... and its share is gone');
is(ask($bob, q{SET reyearn.default_model = 'acme/m'; SELECT reyearn_predict('soup')}), 'acme.food', 'reyearn.default_model may name a shared one');
is(ask($bob, q{RESET reyearn.default_model; SELECT reyearn_predict('soup')}), 'beta.food', 'an own model comes before shared ones');
$bob->quit;
query(q{CREATE ROLE guest LOGIN; SELECT reyearn_grant('guest', 'reader'), reyearn_create_tenant('guest', 'guest')});
like(error_by('guest', q{SELECT reyearn_predict('soup')}), qr/^42704: there is no model/, 'a tenant without models');
by('acme_admin', q{SELECT reyearn_share_model('m', 'guest')});
like(error_by('guest', q{SELECT reyearn_predict('soup')}), qr/^42704: there is no model/, '... is not given one by others');
is(by('guest', q{SELECT reyearn_predict('soup', 'acme/m')}), 'acme.food', '... unless it names it');
query(q{SELECT * FROM reyearn_drop_tenant('guest'); SELECT reyearn_revoke('guest'); DROP ROLE guest});
is(query(q{SELECT count(*) FROM reyearn.model_shares AS s WHERE NOT EXISTS (SELECT FROM reyearn.tenants AS t WHERE t.tenant_id = s.to_tenant_id)}), '0', 'a dropped tenant is shared with no more');
is(error_by(undef, qq{SELECT $_}), qq{55000: model "m" is not of the tenant that is acted for\nHINT:  SET reyearn.tenant = 'beta';}, "the owner, working for the default tenant: $_")
  for q{reyearn_evaluate('beta/m')}, q{reyearn_share_model('beta/m', 'acme')};

# Limits: an error of its own kind, and nothing lost.
sub limit_like
{
	my ($error, $message, $detail, $hint, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($error, qr/^53400: \Q$message\E\nDETAIL:  $detail\nHINT:  $hint/, $what);
}
my $too_many = [ 'tenant "acme" may not have more models', qr/It may have 3\./, qr/Drop one, or have the limit raised with reyearn_alter_tenant\(\)\./ ];
query(q{SELECT reyearn_alter_tenant('acme', max_models => 3)});
my $models = query(q{SELECT count(*) FROM reyearn.models WHERE tenant_id = 1});
is($models, 2, 'acme has two models and may have three');
my @sessions = map { session($node, 'mail', 'alice') } 1, 2;
ask($sessions[0], q{BEGIN; SELECT reyearn_create_model('third', 'acme', retrain_after => 0)});
my $waiting = begin_query($node, 'mail', q{SELECT reyearn_create_model('fourth', 'acme', retrain_after => 0)}, 'acme_trainer');
wait_for($node, 'mail', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'acme_trainer'});
is(by('bob', q{SELECT reyearn_create_model('third', 'beta', retrain_after => 0) > 0; SELECT reyearn_drop_model('third')}), "t\n", 'another tenant does not wait for that');
ask($sessions[0], 'COMMIT');
limit_like((end_query($waiting))[1], @$too_many, 'of two sessions that create a model at a time one fails');
limit_like(error_in($sessions[1], $_), @$too_many, "no more: $_") for q{SELECT reyearn_create_model('fourth')}, q{SELECT reyearn_import_model('fourth', bytes) FROM image}, q{INSERT INTO reyearn.models (name, task, algorithm) VALUES ('fourth', 'classification', 'auto')};
is(query(q{SELECT string_agg(name, ',' ORDER BY name) FROM reyearn.models WHERE tenant_id = 1}), 'm,third,untrained', '... and there are three');
is(by('alice', q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.125}'); SELECT reyearn_alter_model('m', keep_versions => 6); SELECT reyearn_drop_model('third'); SELECT reyearn_create_model('fourth', 'acme', retrain_after => 0) > 0}), "promoted\n\n\nt", 'those that are there go on, and one may take the place of another');
query(q{SELECT reyearn_alter_tenant('acme', max_models => 1)});
limit_like(error_by('alice', q{SELECT reyearn_create_model('fifth')}), $too_many->[0], qr/It may have 1\./, $too_many->[2], 'a limit below what there is');
is(query(q{SELECT reyearn_alter_tenant('acme', max_models => -1); SELECT max_models IS NULL FROM reyearn.tenants WHERE name = 'acme'}), "\nt", '-1: no limit');
by('alice', q{SELECT reyearn_drop_model('fourth'), reyearn_create_model('fifth'), reyearn_drop_model('fifth')});
query(q{SELECT reyearn_alter_tenant('beta', max_models => 0)});
limit_like(error_by('bob', q{SELECT reyearn_create_model('second')}), 'tenant "beta" may not have more models', qr/It may have 0\./, qr/Drop one/, '0: none');
query(q{SELECT reyearn_alter_tenant('beta', max_models => -1)});

my $bytes = query('SELECT sum(octet_length(data)) FROM reyearn.model_images WHERE tenant_id = 1');
query("SELECT reyearn_alter_tenant('acme', max_image_bytes => $bytes)");
by('alice', q{SELECT reyearn_annotate_text('stew', 'acme.food')});
my $state = q{SELECT (SELECT count(*) || ' ' || max(version) || ' ' || sum(is_live::int * version) FROM reyearn.model_versions WHERE tenant_id = 1), (SELECT sum(n) FROM reyearn.news WHERE tenant_id = 1),
	(SELECT count(*) FROM reyearn.runs WHERE tenant_id = 1), (SELECT md5(string_agg(data, '' ORDER BY version_id, kind, chunk_no)) FROM reyearn.model_images WHERE tenant_id = 1)};
my $before = query($state);
my $too_large = [ 'model images of tenant "acme" would take more than they may', qr/They would take \d+ of $bytes bytes\./, qr/Have models keep fewer versions, drop some, or have the limit raised with reyearn_alter_tenant\(\)\./ ];
limit_like(error_by('alice', "SELECT $_"), @$too_large, "images: $_") for q{reyearn_train('m', '{"alpha": 0.2}')}, q{reyearn_import_model('m', bytes) FROM image};
is(query($state), $before, '... and nothing is lost: versions, images, news, runs');
is(by('alice', q{SELECT reyearn_predict('soup', 'm')}), 'acme.food', '... and the model predicts');
is(by('alice', q{SELECT reyearn_alter_model('m', keep_versions => 1); SELECT outcome FROM reyearn_train('m', '{"alpha": 0.2}')}), "\npromoted", 'keeping fewer versions makes room');
query(q{SELECT reyearn_alter_tenant('acme', max_image_bytes => -1)});
is(by('alice', q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.3}')}), 'promoted', '-1: no limit');

# Trainings at a time. A place is held until the transaction ends.
query(q{SELECT reyearn_alter_tenant('acme', max_trainings => 1)});
by('alice', q{SELECT reyearn_create_model('second', 'acme', promotion => 'always', retrain_after => 0)});
my $busy = [ 'tenant "acme" may not run more trainings at a time', qr/It may run 1\./, qr/Wait for one to end, or call reyearn_train\(\) with wait => false\./ ];
is(ask($sessions[0], q{BEGIN; SELECT outcome FROM reyearn_train('m', '{"alpha": 0.4}')}), 'promoted', 'the first training');
limit_like(error_in($sessions[1], q{SELECT reyearn_train('second')}), @$busy, 'a second one of the tenant is refused');
is(ask($sessions[0], q{SELECT outcome FROM reyearn_train('second')}), 'promoted', '... but not in the same transaction');
is(by('bob', q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.4}')}), 'promoted', '... nor of another tenant');
my $queued = ask($sessions[1], q{SELECT run_id FROM reyearn_train('m', '{"alpha": 0.6}', wait => false)});
probed();
is(query("SELECT outcome FROM reyearn.runs WHERE run_id = $queued"), 'queued', 'wait => false: it waits');
ask($sessions[0], 'COMMIT');
becomes($node, 'mail', "SELECT outcome FROM reyearn.runs WHERE run_id = $queued", 'promoted', '... and is trained after the first');
is(ask($sessions[1], q{SELECT outcome FROM reyearn_train('second', '{"alpha": 0.6}')}), 'promoted', 'the place is free again');
ask($sessions[0], q{BEGIN; SELECT reyearn_train('m', '{"alpha": 0.7}'); ROLLBACK});
is(error_in($sessions[1], q{SELECT reyearn_train('second', '{"alpha": 0.7}')}), '', '... after ROLLBACK too');
query(q{SELECT reyearn_alter_tenant('acme', max_trainings => 2); SET reyearn.tenant = 'acme'; SELECT reyearn_create_model('other', 'acme', promotion => 'always', retrain_after => 0)});
ask($sessions[0], q{BEGIN; SELECT outcome FROM reyearn_train('m', '{"alpha": 0.8}')});
is(ask($sessions[1], q{BEGIN; SELECT outcome FROM reyearn_train('second', '{"alpha": 0.8}')}), 'promoted', 'two at a time');
limit_like(error_by('alice', q{SELECT reyearn_train('other')}), $busy->[0], qr/It may run 2\./, $busy->[2], '... and not three');
ask($sessions[0], 'COMMIT');
ask($sessions[1], q{SELECT outcome FROM reyearn_train('second', '{"alpha": 0.9}')});
is(error_by('alice', q{SELECT reyearn_train('other')}), '', 'a transaction that trains twice takes one place');
ask($sessions[1], 'COMMIT');
query(q{SELECT reyearn_alter_tenant('acme', max_trainings => 0)});
limit_like(error_by('alice', q{SELECT reyearn_train('other')}), $busy->[0], qr/It may run 0\./, $busy->[2], '0: none');
query(q{SELECT reyearn_alter_tenant('acme', max_trainings => -1)});
is(by('alice', q{SELECT outcome FROM reyearn_train('other', '{"alpha": 0.5}')}), 'promoted', '-1: any number');
$_->quit for @sessions;

# In the background a model is trained with the rights of its owner, while that belongs to the tenant.
by('alice', q{SELECT reyearn_drop_model('second'), reyearn_drop_model('untrained'), reyearn_drop_model('other'), reyearn_drop_model('m')});
by('alice', q{SELECT reyearn_create_model('left', 'acme', promotion => 'always', retrain_delay => '0')});
sub runs_of_left { return "SELECT count(*) FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'left' AND outcome IN ($_[0])" }
becomes($node, 'mail', runs_of_left(q{'promoted'}), '1', 'a due model is trained in the background');
is(query(q{SELECT started_by, is_requested FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'left'}), 'alice|f', '... as its owner');
query('REVOKE acme FROM alice');
by('acme_annotator', q{SELECT reyearn_annotate_text('noodles', 'acme.food')});
for my $try (1 .. 3)
{
	becomes($node, 'mail', runs_of_left(q{'failed'}), $try, "its owner has left the tenant: try $try fails");
	query(q{UPDATE reyearn.runs SET time_finished = time_finished - interval '1 hour'});    # time is moved on by moving what was before
}
probed();
is(query(runs_of_left(q{'failed'})), '3', '... and after the third there is none');
is(query(q{SELECT DISTINCT reason, started_by, is_too_early FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'left' AND outcome = 'failed'}),
	'role "alice" may not use tenant "acme"; It owns the model, which is trained in the background with its rights.; Give the model another owner with reyearn_alter_model().|alice|f', '... each says why');
is(query(q{SELECT is_parked, due_at IS NULL, waiting FROM reyearn.training_schedule WHERE name = 'left'}), 't|t|1', '... the model is parked');
like(by('acme_reader', q{SELECT value FROM reyearn_status() WHERE name = 'parked models'}), qr/^left \(role "alice" may not use tenant "acme"/, '... its tenant is told');
is(by('bob', q{SELECT value FROM reyearn_status() WHERE name = 'parked models'}), 'none', '... and no other');
by('acme_trainer', q{SELECT reyearn_alter_model('left', owner => 'acme_trainer')});
becomes($node, 'mail', runs_of_left(q{'promoted'}), '2', 'with another owner it is trained again');
query('GRANT acme TO alice');

# Turns: a flood of one tenant does not keep another waiting.
query('ALTER SYSTEM SET reyearn.max_workers = 1');
$node->reload;
sub turn_of_beta
{
	my ($act, $what) = @_;
	by('alice', q{SELECT count(reyearn_train('m' || m, jsonb_build_object('alpha', 0.01 * a), wait => false)) FROM generate_series(1, 20) AS m, generate_series(1, 10) AS a});
	wait_for($node, 'mail', q{SELECT count(*) >= 2 FROM reyearn.runs WHERE tenant_id = 1 AND outcome = 'promoted' AND params ->> 'alpha' LIKE '0.0%'});
	my $last = query('SELECT max(run_id) FROM reyearn.runs');
	by('bob', $act);
	my $mine = "FROM reyearn.runs WHERE tenant_id = 2 AND run_id > $last AND outcome NOT IN ('queued', 'running')";
	wait_for($node, 'mail', "SELECT count(*) > 0 $mine");
	my ($between, $left) = split /\|/, query(qq{
		SELECT (SELECT count(*) FROM reyearn.runs AS a WHERE a.tenant_id = 1 AND a.time_started > b.time_created AND a.time_started < b.time_started),
		       (SELECT count(*) FROM reyearn.runs AS a WHERE a.tenant_id = 1 AND (a.time_started IS NULL OR a.time_started > b.time_started))
		  FROM (SELECT min(time_created) AS time_created, min(time_started) AS time_started $mine) AS b});
	note("$what: $between of acme's trainings came between, $left after");
	cmp_ok($between, '<=', 2, "$what: beta's comes after two of acme's at the most");
	cmp_ok($left, '>', 20, '... of which many wait still');
	query(q{DELETE FROM reyearn.runs WHERE tenant_id = 1 AND outcome = 'queued'});
	becomes($node, 'mail', q{SELECT count(*) FROM reyearn.runs WHERE outcome IN ('queued', 'running')}, '0', '... and ends');
	return;
}
by('alice', q{SELECT count(reyearn_create_model('m' || m, 'acme', promotion => 'always', retrain_after => 0, keep_versions => 1)) FROM generate_series(1, 20) AS m});
turn_of_beta(q{SELECT reyearn_train('m', '{"alpha": 0.15}', wait => false)}, 'a training that is asked for');
by('bob', q{SELECT reyearn_alter_model('m', retrain_after => 1, retrain_delay => '0')});
becomes($node, 'mail', 'SELECT count(*) FROM reyearn.news WHERE tenant_id = 2', '0', 'beta has a model that learns by itself');
turn_of_beta(q{SELECT reyearn_annotate_text('a cup of tea', 'beta.food')}, 'one that is due');
by('bob', q{SELECT reyearn_alter_model('m', retrain_after => 0)});
by('alice', q{SELECT reyearn_drop_model('m' || m) FROM generate_series(3, 20) AS m});
by('alice', q{SELECT reyearn_create_model('m', 'acme', promotion => 'always', retrain_after => 0); SELECT reyearn_train('m')});
by('acme_admin', q{SELECT reyearn_share_model('m', 'beta')});

# How long it takes that who is put out is out: not a statement.
my $revoke = 'REVOKE acme FROM alice';
my $alice = session($node, 'mail', 'alice');
ask($alice, q{PREPARE p AS SELECT reyearn_predict($1, 'm'); SELECT reyearn_predict('soup', 'm')});
ask($alice, q{SET plan_cache_mode = force_generic_plan; EXECUTE p('soup')}) for 1 .. 3;
my $out = qr/^42501: role "alice" may use no tenant/;
for (
	[ q{SELECT reyearn_predict('soup', 'm')}, '' ], [ q{EXECUTE p('soup')}, '' ], [ q{SELECT reyearn_predict('soup', 'm')}, 'BEGIN' ], [ q{EXECUTE p('soup')}, 'BEGIN' ],
	[ q{SELECT reyearn_predict_proba('soup', 'm')}, 'BEGIN' ], [ q{SELECT reyearn_annotate_text('soup', 'acme.food')}, 'BEGIN' ], [ q{SELECT reyearn_predict('soup', 'm')}, q{BEGIN; SELECT reyearn_observe('first this')} ])
{
	my ($sql, $begin) = @$_;
	ask($alice, "$begin;") if $begin;
	ask($alice, $sql);
	query($revoke);
	like(error_in($alice, $sql), $out, "the next statement after REVOKE fails: $begin $sql");
	ask($alice, 'ROLLBACK') if $begin;
	is(ask($alice, 'SELECT count(*) FROM reyearn.observations'), '0', '... and tables are empty');
	query('GRANT acme TO alice');
	ask($alice, $sql);
}
for ([ q{SELECT reyearn_revoke('alice')}, q{SELECT reyearn_grant('alice', 'trainer')}, qr/^42501: permission denied for/ ])
{
	my ($take, $give, $error) = @$_;
	ask($alice, q{BEGIN; SELECT reyearn_predict('soup', 'm')});
	query($take);
	like(error_in($alice, q{SELECT reyearn_predict('soup', 'm')}), $error, "$take bites at the next statement");
	ask($alice, 'ROLLBACK');
	query($give);
}
# In a transaction with one snapshot: measured, not promised.
ask($alice, q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reyearn_predict('soup', 'm')});
query($revoke);
note('REPEATABLE READ, the statement after REVOKE: ' . (error_in($alice, q{SELECT reyearn_predict('soup', 'm')}) || 'still predicts'));
ask($alice, 'ROLLBACK');
query('GRANT acme TO alice');
$alice->quit;

my $script = $node->basedir . '/loop.sql';
append_to_file($script, "\\set ON_ERROR_STOP 0\n" . join '', map { "SELECT statement_timestamp() FROM reyearn_predict('soup', 'm');\n\\if :ERROR\nSELECT 'failed', clock_timestamp();\n\\q\n\\endif\n" } 1 .. 100_000);
my ($loop_out, $loop_error) = ('', '');
my $loop = IPC::Run::start [ 'psql', '-XAtq', '-d', $node->connstr('mail'), '-U', 'alice', '-f', $script ], '>', \$loop_out, '2>', \$loop_error;
IPC::Run::pump $loop while ($loop_out =~ tr/\n//) < 200;
my ($begun, $done) = split /\n/, query("SELECT clock_timestamp(); $revoke; SELECT clock_timestamp()");
$loop->finish;
query('GRANT acme TO alice');
my ($failed) = $loop_out =~ /^failed\|(.*)$/m;
my @succeeded = grep { !/failed/ } split /\n/, $loop_out;
my ($after_begin, $after_commit, $ms) = split /\|/, query("SELECT count(*) FILTER (WHERE t > '$begun'), count(*) FILTER (WHERE t > '$done'), extract(epoch FROM timestamptz '$failed' - '$done') * 1000 FROM unnest(ARRAY['" . join("','", @succeeded) . "']::timestamptz[]) AS t");
note(scalar(@succeeded) . " predictions; $after_begin began while REVOKE ran, $after_commit after it had returned; the first failure ended $ms ms after it had returned");
cmp_ok(scalar @succeeded, '>=', 200, 'a session that predicts in a loop');
is($after_commit, 0, '... does so no more once REVOKE has returned');
like($loop_error, qr/role "alice" may use no tenant/, '... and is told why');

# Another database of the cluster: dumped and restored, with the same roles.
query(q{SELECT reyearn_alter_tenant('acme', max_models => 5, max_image_bytes => 1000000, max_trainings => 3)});
query('ALTER SYSTEM SET reyearn.max_workers = 0');
$node->reload;
becomes($node, 'mail', q{SELECT setting FROM pg_settings WHERE name = 'reyearn.max_workers'}, '0', 'no more trainings');
my $dump = $node->backup_dir . '/dump';
$node->command_ok([ 'pg_dump', '-Fd', '-f', $dump, $node->connstr('mail') ], 'pg_dump of a database with tenants');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('copy'), $dump ], 'pg_restore');
is(checksums($node, 'copy'), checksums($node, 'mail'), 'the copy has the same rows, tenants, grants and shares');
my %facts = (
	limits => 'SELECT * FROM reyearn.tenants WHERE tenant_id <> 0 ORDER BY 1', grants => 'SELECT * FROM reyearn.grants ORDER BY role::text',
	shares => 'SELECT * FROM reyearn.model_shares ORDER BY 1, 2, 3', rights => join(' UNION ALL ', map { '(' . sprintf($rights, $_) . ')' } @all, qw(alice beta carol dave eve stranger)));
my %expected = map { ($_ => query($facts{$_})) } keys %facts;
isnt($expected{$_}, '', "the original has $_") for sort keys %facts;
$database = 'copy';
is(query($facts{$_}), $expected{$_}, "the copy has the same $_") for sort keys %facts;
is(by('alice', q{SELECT reyearn_predict('soup', 'm'), reyearn.current_tenant()}), 'acme.food|1', 'a member of acme works there');
is(by('bob', q{SELECT reyearn_predict('soup', 'm'), reyearn_predict('soup') <> 'acme.food', count(*) FILTER (WHERE tenant_id <> 2) FROM reyearn.observations}), 'beta.food|t|0', '... and one of beta for beta');
is(by('bob', q{SELECT reyearn_predict('soup', 'acme/m')}), 'acme.food', '... with what acme shares');
is(by('dave', q{SELECT reyearn_predict('soup', 'm')}), 'own.food', '... and one of no tenant');
like(error_by('alice', q{SELECT reyearn_forget(1)}), qr/^42501: permission denied for function reyearn_forget/, 'levels are the same');
like(error_by('alice', 'SELECT count(reyearn_create_model(i::text, retrain_after => 0)) FROM generate_series(1, 5) AS i'), qr/^53400: tenant "acme" may not have more models/, 'limits hold');
is(query(q{SELECT reyearn_create_tenant('new', 'stranger') > (SELECT max(tenant_id) FROM reyearn.tenants WHERE name <> 'new')}), 't', 'numbers of tenants go on');
is(by('alice', q{SELECT reyearn_observe('a text of the copy') > max(observation_id) FROM reyearn.observations WHERE body <> 'a text of the copy'}), 't', '... and those of texts');
query(q{SELECT reyearn_revoke('stranger')});
$database = 'mail';
is(query(q{SELECT count(*) FROM reyearn.tenants WHERE name = 'new'}), '0', 'a tenant of one database is none of another');

# A schema of its own, for Reyearn alone or with a name that has to be quoted.
for my $schema ('nlp', '"Odd schema"')
{
	$database = $schema eq 'nlp' ? 'other' : 'odd';
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	query("CREATE SCHEMA $schema; CREATE EXTENSION reyearn SCHEMA $schema CASCADE");
	my $error = error_by(undef, "SELECT $schema.reyearn_grant('alice', 'trainer')");
	is($error, '', "$schema: reyearn_grant");
	next if $error ne '';
	set_up($schema);
	is(by('alice', qq{
		SET search_path = $schema;
		SELECT count(reyearn_create_class('t.' || c)) FROM unnest('{food,sport}'::text[]) AS c;
		SELECT count(reyearn_annotate_text('soup ' || i, 't.food')) + count(reyearn_annotate_text('ball ' || i, 't.sport')) FROM generate_series(1, 3) AS i;
		SELECT reyearn_create_model('m', 't', promotion => 'always', retrain_after => 0);
		SELECT outcome FROM reyearn_train('m');
		RESET search_path;
		SELECT $schema.reyearn_predict('soup'), (SELECT count(*) FROM $schema.reyearn_classify('soup again'))}), "2\n6\n1\npromoted\nt.food|1", '... and those who are granted rights work');
	is(by('bob', 'SELECT count(*) FROM reyearn.observations'), '0', '... each for his tenant');
	query("CREATE ROLE passing; SELECT $schema.reyearn_grant('passing', 'admin'), $schema.reyearn_revoke('passing')");
	is(error_by(undef, 'DROP ROLE passing'), '', '... and a role can be dropped after reyearn_revoke');
}

ok(is_unharmed($node), 'no process crashed');
done_testing();
