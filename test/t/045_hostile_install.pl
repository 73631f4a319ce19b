# CREATE EXTENSION where somebody else creates objects: whatever he puts in the schema beforehand, none of it is run with
# the rights of the superuser who installs, nor by the functions afterwards. Either it has no effect, or the installation
# fails and says why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', 'fsync = off');
$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN; CREATE ROLE alice LOGIN');

# What is run of mallory's notes who ran it, in a table that he can read.
my $notes = q{
	CREATE TABLE mallory.ran (who name, what text);
	GRANT ALL ON mallory.ran TO PUBLIC;
	CREATE FUNCTION mallory.note(what text) RETURNS void LANGUAGE plpgsql AS
	    $$BEGIN INSERT INTO mallory.ran VALUES (current_user::pg_catalog.name, $1); END$$};

# A template for the databases below: ltree in a schema of its own or not yet there, and mallory may create in public.
sub create_template
{
	my ($name, $ltree) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	$node->safe_psql($name, 'CREATE SCHEMA trees; CREATE EXTENSION ltree SCHEMA trees') if $ltree;
	$node->safe_psql($name, 'GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC; CREATE SCHEMA mallory AUTHORIZATION mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC; ALTER SCHEMA public OWNER TO pg_database_owner');
	$node->safe_psql($name, 'GRANT USAGE ON SCHEMA trees TO PUBLIC') if $ltree;
	as($node, $name, 'mallory', $notes);
	return;
}
create_template('bare', 0);
create_template('with_ltree', 1);

# A function that notes who runs it, and returns nothing useful.
sub trap
{
	my ($signature, $returns, $options) = @_;
	return "CREATE FUNCTION public.$signature RETURNS $returns LANGUAGE plpgsql " . ($options // '') . " AS \$\$BEGIN PERFORM mallory.note('$signature'); RETURN" . ($returns =~ /^(void|SETOF|TABLE)/ ? '' : ' NULL') . '; END$$;';
}

my $count = 0;
sub operator
{
	my ($operator, $left, $right, $returns, $options) = @_;
	my $name = 'operator' . ++$count;
	return trap("$name($left, $right)", $returns // 'boolean', $options) . "CREATE OPERATOR public.$operator (LEFTARG = $left, RIGHTARG = $right, FUNCTION = public.$name);";
}

# What all functions come to, as a role that may use them, with nothing but names of ours.
my $use = q{
	SET search_path = pg_catalog;
	SELECT public.reyearn_grant('alice', 'admin');
	SET ROLE alice;
	SELECT public.reyearn_create_class('t.' || c) FROM unnest('{a,b}'::text[]) AS c;
	SELECT public.reyearn_annotate_text('soup ' || i, 't.a'), public.reyearn_annotate_text('ball ' || i, 't.b') FROM generate_series(1, 4) AS i;
	SELECT public.reyearn_annotate(public.reyearn_observe('soup', '{"a": 1}'), 't.a'), public.reyearn_create_model('m', 't', promotion => 'always', retrain_after => 0);
	SELECT outcome FROM public.reyearn_train('m');
	SELECT public.reyearn_predict('soup', 'm'), public.reyearn_predict_proba('soup', 'm');
	SELECT annotation_id FROM public.reyearn_classify('a bowl of soup', 'm') \gset
	SELECT public.reyearn_confirm(:annotation_id), public.reyearn_correct(:annotation_id, 't.b');
	INSERT INTO reyearn.inbox (body, label) VALUES ('salad', 't.a');
	SELECT public.reyearn_import_model('n', public.reyearn_export_model('m'));
	SELECT public.reyearn_create_class('t.c');
	SELECT public.reyearn_move_class('t.c', 't.d');
	SELECT public.reyearn_move_class('t.d', 't.a');
	SELECT public.reyearn_evaluate('m'), public.reyearn_status();
	SELECT FROM reyearn.class_overview, reyearn.annotation_overview, reyearn.model_overview, reyearn.training_schedule, reyearn.stat_models;
	SELECT public.reyearn_drop_class('t.d') WHERE false;
	SELECT public.reyearn_forget(min(observation_id)) FROM reyearn.observations;
	RESET ROLE;
	SELECT public.reyearn_create_tenant('acme', 'alice'), public.reyearn_alter_tenant('acme', max_models => 3);
	SELECT public.reyearn_drop_tenant('acme');
	SELECT public.reyearn_revoke('alice');
	VACUUM ANALYZE};

# Each: what it is, where ltree is, what mallory creates, and what becomes of CREATE EXTENSION: '' or its error.
my $refused = qr/^42501: cannot install reyearn in this schema\nDETAIL:  The .* would use the .*, which somebody else has made\.\nHINT:  Drop that, or install reyearn and ltree in schemas where only trusted roles create objects\.$/s;
my $exists = qr/^427(?:10|23|06)|^42P0[67]: /;
# What might be called in place of something that fits less well: whether it is found is the parser's to decide.
my $either = qr/^$|$refused|^42725: (?:operator|function [\w.]+\(.*\)) is not unique/s;
my @tries = (
	[ 'nothing', 1, '', '' ],
	[ 'an operator that fits better: oid = regclass', 1, operator('=', 'oid', 'regclass'), $refused ],
	[ 'operators that fit better: name, oid, char and types of ours', 1, join('', map { operator('=', @$_) } [ 'name', 'text' ], [ 'oid', 'regrole' ], [ '"char"', 'text' ], [ 'oid', 'oidvector' ], [ 'regclass', 'regclass' ], [ 'regrole', 'oid' ], [ 'text', 'name' ], [ 'int', 'int2' ]), qr/^42725: operator is not unique: regrole = regrole/ ],
	[ 'format() with the types that it is called with', 1, join('', map { trap("format($_)", 'text') } 'text, text', 'text, regclass', 'text, regprocedure', 'text, regclass, text', 'text, text, regclass', 'text, name', 'text, name, name, text', 'text, name, name', 'text, bigint', 'text, text, text, regrole'), qr/^42725: function format\(.*\) is not unique/ ],
	[ 'functions of PostgreSQL with better types', 1, join('', trap('pg_has_role(regrole, regrole, text)', 'boolean'), trap('pg_has_role(name, regrole, text)', 'boolean'), trap('quote_ident(name)', 'text'), trap('pg_get_userbyid(regrole)', 'name'), trap('octet_length(text)', 'int'),
		trap('set_config(text, text, boolean)', 'text'), trap('current_setting(text)', 'text'), trap('now()', 'timestamptz'), trap('count(bigint)', 'bigint'), trap('upper(int4range)', 'int'), trap('pg_size_pretty(int)', 'text')), $either ],
	[ 'set-returning ones', 1, trap('generate_series(int, int)', 'SETOF int') . trap('unnest(text[])', 'SETOF text') . trap('jsonb_each_text(jsonb)', 'TABLE (key text, value text)'), $refused ],
	[ 'operators of text and timestamps', 1, join('', operator('||', 'text', 'name', 'text'), operator('||', 'text', 'int', 'text'), operator('||', 'ltree', 'ltree', 'text') =~ s/ltree/trees.ltree/gr, operator('~', 'text', 'name'), operator('+', 'timestamptz', 'text', 'timestamptz'), operator('*', 'float8', 'interval', 'interval'),
		operator('*', 'interval', 'numeric', 'interval'), operator('^', 'int', 'bigint', 'float8')), qr/^42804: CASE types text and ltree cannot be matched/ ],
	[ 'nlevel() of ltree', 1, trap('nlevel(trees.ltree)', 'int', 'IMMUTABLE'), $refused ],
	[ 'subpath() of ltree', 1, trap('subpath(trees.ltree, int, int)', 'trees.ltree', 'IMMUTABLE'), $refused ],
	[ '<@ of ltree', 1, operator('<@', 'trees.ltree', 'trees.ltree', 'boolean', 'IMMUTABLE'), $refused ],
	[ '= of ltree', 1, operator('=', 'trees.ltree', 'trees.ltree', 'boolean', 'IMMUTABLE'), $refused ],
	[ '|| of ltree', 1, operator('||', 'trees.ltree', 'trees.ltree', 'trees.ltree', 'IMMUTABLE'), $refused ],
	[ 'a domain called ltree', 1, trap('check_tree(text)', 'boolean') . 'CREATE DOMAIN public.ltree AS text CHECK (public.check_tree(VALUE))', qr/^42883: operator does not exist: ltree <@ ltree/ ],
	[ 'a composite type called ltree', 1, 'CREATE TYPE public.ltree AS (label text)', qr/^42883: operator does not exist: ltree <@ ltree/ ],
	[ 'a type called ltree, without the extension', 0, 'CREATE TYPE public.ltree AS ENUM ()', qr/^42710: type "ltree" already exists/ ],
	[ 'functions of ltree, without the extension', 0, trap('nlevel(text)', 'int') . trap('subpath(text, int, int)', 'text') . trap('text2ltree(text)', 'text'), qr/^42723: function "text2ltree" already exists/ ],
	[ 'types called like those of PostgreSQL', 1, 'CREATE DOMAIN public.regrole AS oid; CREATE DOMAIN public.jsonb AS text; CREATE TYPE public.int4range AS (low int); CREATE DOMAIN public.text AS pg_catalog.text', '' ],
	[ 'a function that is ours', 1, trap('reyearn_predict(text, text)', 'text'), $exists ],
	[ 'a function that is ours and for all to call', 1, trap('reyearn_grant(name, text, boolean)', 'void', 'SECURITY DEFINER'), $exists ],
	[ 'an overload of reyearn_observe', 1, trap('reyearn_observe(text)', 'bigint'), qr/^42725: function public\.reyearn_observe\(text\) is not unique/ ],
	[ 'an overload of reyearn_annotate', 1, trap('reyearn_annotate(bigint, text, varchar)', 'bigint') . trap('reyearn_annotate(bigint, trees.ltree, varchar, int4range)', 'bigint'), '' ],
	[ 'an overload of reyearn_annotate_text', 1, trap('reyearn_annotate_text(text, trees.ltree, varchar)', 'bigint'), '' ],
	[ 'an overload of reyearn_create_class', 1, trap('reyearn_create_class(trees.ltree)', 'void'), '' ],
	[ 'an overload of reyearn_create_model', 1, trap('reyearn_create_model(name text, label_root text, algorithm text)', 'bigint'), qr/^42725: function public\.reyearn_create_model\(text, text, algorithm => text\) is not unique/ ],
	[ 'an overload of reyearn_move_class', 1, trap('reyearn_move_class(trees.ltree, trees.ltree)', 'TABLE (what text, rows bigint)'), '' ],
	[ 'tables called like ours', 1, join('', map { "CREATE TABLE public.$_ (trap int);" } qw(tenants classes observations annotations models runs news)), '' ],
	[ 'a table called pg_depend', 1, 'CREATE TABLE public.pg_depend (classid oid, objid oid, refclassid oid, refobjid oid, deptype "char")', '' ],
	[ 'a cast', 1, 'CREATE TYPE public.own AS (a text);' . trap('to_own(text)', 'public.own') . 'CREATE CAST (text AS public.own) WITH FUNCTION public.to_own(text) AS IMPLICIT', '' ],
	[ 'a collation called C', 1, q{CREATE COLLATION public."C" (provider = icu, locale = 'und-u-ks-level1', deterministic = false)}, '' ]);

push @tries, map { [ "$_->[0] = $_->[1]", 1, operator('=', @$_), $either ] } [ 'name', 'text' ], [ 'text', 'name' ], [ 'oid', 'regrole' ], [ '"char"', 'text' ], [ 'int', 'int2' ], [ 'text', 'varchar' ];
push @tries, map { [ $_, 1, trap($_, 'text'), $either ] } 'format(text, text)', 'format(text, name)', 'format(text, trees.ltree)', 'format(text, bigint, text)', 'pg_size_pretty(int)', 'quote_ident(name)', 'replace(name, text, text)', 'string_agg(name, text)';

my ($installed, $failed) = (0, 0);
for my $try (@tries)
{
	my ($what, $ltree, $sql, $expected) = @$try;
	my $database = 'try' . ++$count;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE " . ($ltree ? 'with_ltree' : 'bare'));
	my $created = error_of($node, $database, "SET search_path = pg_catalog;\n$sql", 'mallory');
	is($created, '', "$what: mallory may create that") or next;
	# The installing superuser's own search_path begins with the schema.
	my $error = error_of($node, $database, 'SET search_path = public, pg_catalog; CREATE EXTENSION reyearn SCHEMA public CASCADE');
	like($error, ref $expected ? $expected : qr/^$/, "$what: " . (!ref $expected ? 'no obstacle' : $expected eq $either ? 'no obstacle, or an error that tells why' : 'an error that tells why'));
	note($error);
	is($node->safe_psql($database, q{SELECT count(*) FROM mallory.ran}), '0', '... and nothing of it was run');
	if ($error ne '')
	{
		$failed++;
		is($node->safe_psql($database, q{SELECT (SELECT count(*) FROM pg_extension WHERE extname = 'reyearn') + (SELECT count(*) FROM pg_namespace WHERE nspname = 'reyearn')}), '0', '... and nothing is left of the installation');
	}
	else
	{
		$installed++;
		is(error_of($node, $database, $use), '', '... and all works');
		is($node->safe_psql($database, q{SELECT string_agg(DISTINCT who || ' ' || what, ', ') FROM mallory.ran}), '', '... without running any of it');
	}
	$node->safe_psql('postgres', "DROP DATABASE $database");
}
note("$installed installed, $failed refused");
cmp_ok($installed, '>', 5, 'some were no obstacle');
cmp_ok($failed, '>', 5, '... and some were');

# Control: the traps tell who runs them.
$node->safe_psql('postgres', 'CREATE DATABASE control TEMPLATE with_ltree');
as($node, 'control', 'mallory', trap('now()', 'timestamptz') . operator('=', 'oid', 'regclass'));
my $me = $node->safe_psql('control', q{SET search_path = public, pg_catalog; SELECT now(); SELECT 1::oid = 'pg_class'::regclass; SELECT string_agg(DISTINCT who || ' ' || (what ~ 'now'), ', ') FROM mallory.ran}) =~ s/^\n*//r;
like($me, qr/^\w+ false, \w+ true$/, 'a superuser who has the schema first does run them');

# The schema reyearn is there, or is mallory's.
for ([ 'CREATE SCHEMA reyearn', 'the owner' ], [ 'CREATE SCHEMA reyearn AUTHORIZATION mallory', 'mallory' ])
{
	my ($sql, $whose) = @$_;
	$node->safe_psql('postgres', 'CREATE DATABASE taken TEMPLATE with_ltree');
	$node->safe_psql('taken', $sql);
	like(error_of($node, 'taken', 'CREATE EXTENSION reyearn'), qr/^42P06: schema "reyearn" already exists/, "a schema reyearn of $whose: refused");
	$node->safe_psql('taken', 'DROP SCHEMA reyearn; CREATE EXTENSION reyearn');
	is(error_of($node, 'taken', $use), '', '... and not when it is gone');
	$node->safe_psql('postgres', 'DROP DATABASE taken');
}

# mallory comes after the installation: his overloads are called by who names them, and by none of our functions.
$node->safe_psql('postgres', 'CREATE DATABASE later TEMPLATE with_ltree');
$node->safe_psql('later', 'CREATE EXTENSION reyearn');
is(error_of($node, 'later', join('', trap('nlevel(trees.ltree)', 'int'), trap('subpath(trees.ltree, int, int)', 'trees.ltree'), trap('subpath(trees.ltree, int)', 'trees.ltree'), operator('<@', 'trees.ltree', 'trees.ltree'), operator('=', 'trees.ltree', 'trees.ltree'), operator('=', 'oid', 'regclass'), operator('||', 'trees.ltree', 'trees.ltree', 'trees.ltree'),
	trap('format(text, text)', 'text'), trap('reyearn_create_class(trees.ltree)', 'void'), trap('reyearn_annotate(bigint, trees.ltree)', 'bigint'), trap('reyearn_create_model(text, text, text, text)', 'bigint')), 'mallory'), '', 'objects that come later');
is(error_of($node, 'later', $use), '', '... do not disturb');
is($node->safe_psql('later', q{SELECT string_agg(DISTINCT who || ' ' || what, ', ') FROM mallory.ran}), '', '... and are not run');
like(error_of($node, 'later', $_, 'mallory'), qr/^42501: /, "... and he may not: $_") for 'CREATE OR REPLACE FUNCTION public.reyearn_predict(body text, model text DEFAULT NULL) RETURNS trees.ltree LANGUAGE sql AS $$SELECT NULL::trees.ltree$$', 'DROP FUNCTION public.reyearn_revoke(name)', 'ALTER EXTENSION reyearn ADD TABLE mallory.ran', 'CREATE TABLE reyearn.own ()',
  'DROP EXTENSION reyearn CASCADE';

# ltree elsewhere, where those who use Reyearn may not even look.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere TEMPLATE template0');
$node->safe_psql('elsewhere', 'CREATE SCHEMA x; CREATE EXTENSION ltree SCHEMA x; CREATE EXTENSION reyearn');
is(error_of($node, 'elsewhere', $use), '', 'ltree in a schema of its own, not on the search_path');
is($node->safe_psql('elsewhere', q{SELECT has_schema_privilege('alice', 'x', 'USAGE')}), 'f', '... that is not for all');
$node->safe_psql('elsewhere', 'CREATE SCHEMA "Odd schema"; ALTER EXTENSION ltree SET SCHEMA "Odd schema"');
is(error_of($node, 'elsewhere', $use =~ s/'t(?=['.])/'u/gr =~ s/'m'/'mm'/gr =~ s/'n'/'nn'/gr), '', '... and moved to another');
$node->safe_psql('elsewhere', 'DROP EXTENSION reyearn CASCADE; CREATE EXTENSION reyearn');
is(error_of($node, 'elsewhere', $use), '', '... and installed again with it there');

ok(is_unharmed($node), 'no process crashed');
done_testing();
