# The reyearn.* settings: which model is used when none is named, and what is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main');
create_database($node, 'mail');
my $session = session($node, 'mail');

# No model, one, several.
for my $call ('reyearn_predict($$x$$)', 'reyearn_train()', '(SELECT reyearn_predict_proba($$x$$))')
{
	is(error_in($session, "SELECT $call"),
		"42704: there is no model\nHINT:  Create one with reyearn_create_model().", "$call without a model");
}
ask($session, q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home,tone.kind,tone.rude}'::text[]) AS l;
	SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home'),
	       reyearn_annotate_text('please', 'tone.kind'), reyearn_annotate_text('idiot', 'tone.rude');
	SELECT reyearn_create_model('post', 'mail')});
is( error_in($session, q{SELECT reyearn_predict('x')}),
	qq{55000: model "post" has no live version\nDETAIL:  It has not been trained yet.\nHINT:  Call SELECT * FROM reyearn_train('post');},
	'the only model, not trained yet');
is(ask($session, 'SELECT model, outcome FROM reyearn_train()'), 'post|promoted', 'the only model is trained');
is(ask($session, q{SELECT reyearn_predict('meeting')}), 'mail.work', 'the only model predicts');
is(ask($session, q{SELECT reyearn_predict('meeting', NULL)}), 'mail.work', 'NULL means no name');
like(error_in($session, q{SELECT reyearn_predict('meeting', '')}), qr/^42704: model "" does not exist/,
	'the empty string is a name');

ask($session, q{SELECT reyearn_create_model('tone "of" voice', 'tone'), reyearn_create_model('Äther', 'tone');
	SELECT outcome FROM reyearn_train('tone "of" voice')});
my $several = "42P08: there are several models, and none was named\n"
  . qq{DETAIL:  The models are "post", "tone "of" voice", "Äther".\n}
  . 'HINT:  Name one of them, or set reyearn.default_model.';
for my $call ('reyearn_predict($$x$$)', 'reyearn_train()', '(SELECT reyearn_predict_proba($$x$$))',
	'(SELECT count(*) FROM reyearn_evaluate())')
{
	is(error_in($session, "SELECT $call"), $several, "$call with several models");
}

# The default.
ask($session, q{SET reyearn.default_model = 'tone "of" voice'});
is(ask($session, q{SELECT reyearn_predict('please'), reyearn_predict('meeting', 'post')}), 'tone.kind|mail.work',
	'the default is used unless another is named');
ask($session, q{SET reyearn.default_model = 'nonsense'});
is( error_in($session, q{SELECT reyearn_predict('please')}),
	qq{42704: model "nonsense" does not exist\nDETAIL:  It is what reyearn.default_model names.\n}
	  . 'HINT:  Set reyearn.default_model to the name of a model, or reset it.',
	'a default that does not exist');
is(ask($session, q{SELECT reyearn_predict('meeting', 'post')}), 'mail.work', '... harms nobody who names a model');
ask($session, q{BEGIN; SET LOCAL reyearn.default_model = 'post'});
is(ask($session, q{SELECT reyearn_predict('meeting')}), 'mail.work', 'SET LOCAL');
ask($session, q{ROLLBACK; SET reyearn.default_model = ''});
is(error_in($session, q{SELECT reyearn_predict('x')}), $several, 'the empty string: no default');
ask($session, 'RESET reyearn.default_model');

# One place that predicts while the default changes, without a new command in between.
ask($session, q{
	CREATE FUNCTION with_defaults() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    said text := '';
	BEGIN
	    FOR i IN 1 .. 4 LOOP
	        PERFORM set_config('reyearn.default_model', CASE i % 2 WHEN 1 THEN 'post' ELSE 'tone "of" voice' END, true);
	        said := said || ' ' || reyearn_predict('please birthday')::text;
	    END LOOP;
	    RETURN said;
	END
	$$});
is(ask($session, 'SELECT with_defaults()'), ' mail.home tone.kind mail.home tone.kind',
	'each call looks at the default of its moment');
is( ask($session,
		q{SELECT string_agg(set_config('reyearn.default_model', CASE i % 2 WHEN 1 THEN 'post' ELSE 'tone "of" voice' END, false)
		    || '=' || reyearn_predict('please birthday')::text, ', ' ORDER BY i) FROM generate_series(1, 4) AS i}),
	'post=mail.home, tone "of" voice=tone.kind, post=mail.home, tone "of" voice=tone.kind',
	'... also within one statement');
ask($session, 'RESET reyearn.default_model');

# ... and while the role changes.
ask($session, q{
	CREATE ROLE nobody_special;
	GRANT USAGE ON SCHEMA reyearn TO nobody_special;
	GRANT EXECUTE ON FUNCTION reyearn_predict TO nobody_special;
	CREATE FUNCTION said() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN reyearn_predict('meeting', 'post');
	END
	$$});
is(ask($session, q{BEGIN; SELECT said()}), 'mail.work', 'a role that may read models');
like(error_in($session, q{SET ROLE nobody_special; SELECT said()}), qr/^42501: permission denied for table models/,
	'... and one that may not, at the same place');
is(ask($session, q{ROLLBACK; RESET ROLE; SELECT said()}), 'mail.work', '... and the first again');

# Where a setting may come from. Nothing loads the library before the first call: until then it is a placeholder.
for my $where (q{ALTER DATABASE mail SET reyearn.default_model = 'post'},
	q{ALTER ROLE CURRENT_USER IN DATABASE mail SET reyearn.default_model = 'post'})
{
	$node->safe_psql('mail', $where);
	is($node->safe_psql('mail', q{SELECT reyearn_predict('meeting')}), 'mail.work', $where);
	is($node->safe_psql('mail', q{SET reyearn.default_model = 'tone "of" voice'; SELECT reyearn_predict('please')}),
		'tone.kind', '... and the session has its own');
	(my $reset = $where) =~ s/SET (\S+) =.*/RESET $1/;
	$node->safe_psql('mail', $reset);
}
is( $node->safe_psql(
		'mail', q{
		CREATE FUNCTION tone(body text) RETURNS text LANGUAGE plpgsql SET reyearn.default_model = 'tone "of" voice'
		AS $$ BEGIN RETURN reyearn_predict(body); END $$;
		SET reyearn.default_model = 'post';
		SELECT tone('please'), reyearn_predict('meeting'), tone('idiot')}),
	'tone.kind|mail.work|tone.rude',
	'a function with a SET clause');

# Workers of a parallel query have the leader's default.
is( ask($session, q{
		CREATE TABLE texts AS SELECT 'meeting ' || i AS body FROM generate_series(1, 20000) AS i;
		ALTER TABLE texts SET (parallel_workers = 2);
		ANALYZE texts;
		SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET reyearn.default_model = 'post';
		SELECT reyearn_predict(body), count(*) FROM texts GROUP BY 1;
		RESET reyearn.default_model}),
	'mail.work|20000',
	'parallel workers');

# Many models: not all names.
ask($session, q{SELECT count(reyearn_create_model('model ' || i, 'mail')) FROM generate_series(100, 130) AS i});
like(error_in($session, q{SELECT reyearn_predict('x')}),
	qr/^42P08: .*\nDETAIL:  The models are "model 100", "model 101", .*"model 119", and more\.\nHINT/,
	'twenty names are enough');

# Threads.
my $threads = ask($session, 'SHOW reyearn.training_threads');
ok($threads >= 1 && $threads <= 4, "some threads by default: $threads");
for my $bad (0, -1, 65, 1000)
{
	is(error_in($session, "SET reyearn.training_threads = $bad"),
		qq{22023: $bad is outside the valid range for parameter "reyearn.training_threads" (1 .. 64)},
		"training_threads = $bad");
}
like(error_in($session, q{SET reyearn.training_threads = 'many'}), qr/^22023: invalid value for parameter/,
	q{training_threads = 'many'});
for my $good (1, 3, 64)
{
	is(ask($session, qq{SET reyearn.training_threads = $good; SELECT outcome FROM reyearn_train('post', '{"seed": $good}')}),
		'kept', "training_threads = $good");
}

# Names that do not exist.
is( error_in($session, 'SET reyearn.nonsense = 1'),
	qq{42602: invalid configuration parameter name "reyearn.nonsense"\nDETAIL:  "reyearn" is a reserved prefix.},
	'an unknown setting');
like(error_in($session, 'SHOW reyearn.nonsense'), qr/^42704:/, '... cannot be shown');
$node->psql('mail', q{SET reyearn.nonsense = 1; SET reyearn.training_threads = 0; SELECT reyearn_predict('meeting', 'post');
	SHOW reyearn.training_threads}, stdout => \my $out, stderr => \my $err);
like($err, qr/WARNING:  invalid configuration parameter name "reyearn.nonsense", removing it/,
	'an unknown placeholder is removed when the library is loaded');
like($err, qr/WARNING:  0 is outside the valid range/, '... and a wrong value refused');
is($out, "mail.work\n$threads", '... without harm');

# The same with the library preloaded, and the default in postgresql.conf.
$session->quit;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'reyearn'\nreyearn.default_model = 'post'");
$node->restart;
is($node->safe_psql('mail', q{SELECT reyearn_predict('meeting')}), 'mail.work', 'a default in postgresql.conf');
like(error_of($node, 'mail', 'SET reyearn.nonsense = 1'), qr/^42602:/, 'preloaded: an unknown setting from the start');
like(error_of($node, 'mail', 'SET reyearn.training_threads = 0'), qr/^22023:/, 'preloaded: a wrong value');
$node->append_conf('postgresql.conf', q{reyearn.default_model = 'tone "of" voice'});
$session = session($node, 'mail');
is(ask($session, q{SELECT reyearn_predict('meeting')}), 'mail.work', 'before the reload');
$node->reload;
$node->poll_query_until('mail', q{SELECT current_setting('reyearn.default_model') LIKE 'tone%'});
is(ask($session, q{SELECT 1; SELECT reyearn_predict('please')}), "1\ntone.kind", 'after the reload');
$session->quit;

ok(is_unharmed($node), 'no process crashed');

done_testing();
