# A database with everything in it, dumped and restored: the copy holds the same rows, predicts the same, goes on
# counting where the original stopped, and nothing in it was set off by the restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $source = start_server('source');
create_database($source, 'mail');
load_emails($source, 'mail');

# Taxonomy: titles, a class moved, one merged into another.
$source->safe_psql(
	'mail', q{
	SELECT reyearn_create_class('email.services.accounts', 'passwords and logins');
	SELECT reyearn_create_class('email.services.logins');
	UPDATE reyearn.classes SET title = 'Geschäftsreisen' WHERE label = 'email.business.trips';
	SELECT reyearn_annotate_text('My login does not work', 'email.services.logins');
	SELECT reyearn_move_class('email.services.logins', 'email.services.accounts');
	SELECT reyearn_move_class('email.marketing', 'email.advertising');
	SELECT reyearn_create_class('language.german');
	SELECT reyearn_create_class('language.other');
	});

# Texts: beyond 1 MB, outside ASCII and outside the basic plane, with what COPY has to escape, empty. The large one has
# so many words that the images take several chunks.
$source->safe_psql(
	'mail', q{
	SELECT reyearn_annotate_text(string_agg(md5(i::text), ' '), 'email.personal.family')
	  FROM generate_series(1, 60000) AS i;
	SELECT reyearn_annotate_text(repeat('Grüße aus Łódź, 東京都 ', 50000), 'email.personal.friends');
	SELECT reyearn_annotate_text(e'Über\tuns\\\\n\r\n\\\\. 🎈 ไทย', 'language.german');
	SELECT reyearn_annotate_text('plain words', 'language.other');
	SELECT reyearn_observe('', '{"source": "leer", "größe": [1, null, "\\\\"]}');
	});

# Models: several versions with pruned ones, imported, never trained, one whose newest version was not promoted.
$source->safe_psql(
	'mail', q{
	SELECT reyearn_create_model('mail', 'email', keep_versions => 2, params => '{"alpha": 0.5}');
	SELECT reyearn_create_model('language', 'language', promotion => 'always');
	SELECT reyearn_create_model('untrained', 'email', retrain_after => 0, retrain_delay => '1 h');
	SELECT reyearn_create_model('stubborn', 'email.business', promotion => 'never');
	SELECT * FROM reyearn_train('mail', '{"alpha": 0.1}');
	SELECT * FROM reyearn_train('mail', '{"alpha": 0.2}');
	SELECT * FROM reyearn_train('mail', '{"alpha": 0.3}');
	SELECT * FROM reyearn_train('mail', '{"alpha": 0.4}');
	SELECT * FROM reyearn_train('language');
	SELECT * FROM reyearn_train('stubborn');
	SELECT reyearn_import_model('imported', reyearn_export_model('mail'));
	});

# Annotations in every status and with spans, then changed, so that they have a history.
$source->safe_psql(
	'mail', q{
	SELECT count(a.annotation_id) FROM mails, reyearn_classify(body || ' again', 'mail') AS a WHERE id <= 20;
	SELECT reyearn_confirm(array_agg(annotation_id)) FROM reyearn.annotations
	 WHERE status = 'predicted' AND observation_id % 3 = 0;
	SELECT reyearn_reject(array_agg(annotation_id)) FROM reyearn.annotations
	 WHERE status = 'predicted' AND observation_id % 3 = 1;
	SELECT reyearn_correct(min(annotation_id), 'email.services.orders') FROM reyearn.annotations
	 WHERE status = 'rejected';
	SELECT reyearn_annotate(min(observation_id), 'email.business.trips', 'unknown', int4range(2, 5))
	  FROM reyearn.observations;
	SELECT reyearn_annotate(min(observation_id), 'email.business.trips', 'confirmed', int4range(2, 5))
	  FROM reyearn.observations;
	SELECT reyearn_annotate(min(observation_id), 'email.personal.friends', 'unknown') FROM reyearn.observations;
	SELECT reyearn_observe(body, '{"seen": true}') FROM mails WHERE id <= 3;
	SELECT reyearn_forget(max(observation_id)) FROM reyearn.observations WHERE metadata = '{}';
	SELECT * FROM reyearn_train('mail', '{"alpha": 0.6}');
	SELECT * FROM reyearn_train('mail');
	});

my %facts = (
	'annotations in every status' => q{SELECT count(DISTINCT status) = 4 FROM reyearn.annotations},
	'annotations of spans' => q{SELECT count(span) > 0 FROM reyearn.annotations},
	'history beyond the annotations' =>
	  q{SELECT count(*) > (SELECT count(*) FROM reyearn.annotations) + 5 FROM reyearn.annotation_history},
	'merged classes' => q{SELECT count(*) = 1 FROM reyearn.merged_classes},
	'a text beyond 1 MB' => q{SELECT max(octet_length(body)) > 1048576 FROM reyearn.observations},
	'images of several chunks' => q{SELECT max(chunk_no) > 0 FROM reyearn.model_images},
	'pruned versions' => q{SELECT count(time_pruned) > 0 FROM reyearn.model_versions},
	'versions that are kept and not live' =>
	  q{SELECT count(*) > 0 FROM reyearn.model_versions WHERE NOT is_live AND time_pruned IS NULL},
	'runs with figures' => q{SELECT count(*) > 5 FROM reyearn.runs JOIN reyearn.run_labels USING (tenant_id, run_id)},
	'a model that waits for training' =>
	  q{SELECT waiting > 0 FROM reyearn.model_overview WHERE name = 'stubborn'});
is($source->safe_psql('mail', $facts{$_}), 't', "the original has $_") for sort keys %facts;

my $predictions = q{
	SELECT m.name, count(*), md5(string_agg(row(t.id, p.*)::text, '' ORDER BY t.id, p.label))
	  FROM reyearn.model_overview AS m,
	       (SELECT id, body FROM mails
	        UNION ALL SELECT -1, ''
	        UNION ALL SELECT -2, 'Grüße aus Łódź, 東京都' || md5('17')) AS t,
	       reyearn_predict_proba(t.body, m.name) AS p
	 WHERE m.live_version IS NOT NULL
	 GROUP BY m.name ORDER BY m.name};
my $images = q{
	SELECT m.name, v.version, md5(reyearn_export_model(m.name, v.version))
	  FROM reyearn.models AS m JOIN reyearn.model_versions AS v USING (tenant_id, model_id)
	 WHERE v.time_pruned IS NULL ORDER BY 1, 2};
my $constraints = q{
	SELECT conrelid::regclass, conname, contype, convalidated, pg_get_constraintdef(oid)
	  FROM pg_constraint WHERE connamespace = 'reyearn'::regnamespace
	UNION ALL
	SELECT tgrelid::regclass, tgname, tgenabled, NULL, pg_get_triggerdef(oid)
	  FROM pg_trigger WHERE NOT tgisinternal
	 ORDER BY 1, 2};
my $sequences = q{
	SELECT format('SELECT %L, last_value, is_called FROM %s', oid::regclass, oid::regclass)
	  FROM pg_class WHERE relnamespace = 'reyearn'::regnamespace AND relkind = 'S' ORDER BY relname
	\gexec};
my %expected = (
	rows => checksums($source, 'mail'),
	predictions => $source->safe_psql('mail', $predictions),
	images => $source->safe_psql('mail', $images),
	constraints => $source->safe_psql('mail', $constraints),
	sequences => $source->safe_psql('mail', $sequences));
like($expected{predictions}, qr/^imported\|\d+\|\w+\nlanguage\|\d+\|\w+\nmail\|\d+\|\w+$/,
	'three models predict');
like($expected{rows}, qr/^reyearn\.$_\|[1-9]/m, "rows in $_")
  for qw(annotation_history annotations classes experiments merged_classes model_images model_versions models news
  observations run_labels runs tenants);

my $copy = start_server('copy');

sub check_copy
{
	my ($how, $database) = @_;

	is(checksums($copy, $database), $expected{rows}, "$how: same rows in every table");
	is($copy->safe_psql($database, $sequences), $expected{sequences}, "$how: sequences go on");
	is($copy->safe_psql($database, $constraints), $expected{constraints}, "$how: same constraints and triggers");
	is($copy->safe_psql($database, $predictions), $expected{predictions}, "$how: same predictions");
	is($copy->safe_psql($database, $images), $expected{images}, "$how: same images of all versions that have one");

	# Nothing was trained, and nothing has to be.
	is( $copy->safe_psql(
			$database, q{
			SELECT model, outcome FROM reyearn_train('language') UNION ALL
			SELECT model, outcome FROM reyearn_train('mail')}),
		"language|unchanged\nmail|unchanged",
		"$how: training finds nothing new");
	is(checksums($copy, $database), $expected{rows}, "$how: and writes nothing");

	# Constraints hold.
	like(
		error_of($copy, $database,
			'INSERT INTO reyearn.annotations (observation_id, class_id) SELECT 1000000, min(class_id) FROM reyearn.classes'),
		qr/^23503:/, "$how: no annotation without its text");
	like(
		error_of($copy, $database, q{UPDATE reyearn.model_versions SET is_live = true WHERE time_pruned IS NULL}),
		qr/^23505: .*"model_versions_live"/, "$how: no second live version");
	like(
		error_of($copy, $database, 'INSERT INTO reyearn.observations (body) SELECT body FROM reyearn.observations'),
		qr/^23505:/, "$how: no text twice");

	# Ids go on above the old ones, and the triggers work again.
	my $old_ids = $copy->safe_psql($database, 'SELECT max(observation_id) FROM reyearn.observations');
	is( $copy->safe_psql(
			$database,
			qq{SELECT reyearn_annotate_text('A word about my next journey', 'email.business.trips') > max(a.annotation_id)
			     FROM reyearn.annotations AS a;
			   SELECT max(observation_id) > $old_ids FROM reyearn.observations;
			   SELECT count(*) FROM reyearn.annotation_history WHERE observation_id > $old_ids;
			   SELECT sum(n) FROM reyearn.news JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'mail'}),
		"t\nt\n1\n1",
		"$how: new rows get new ids, a history and news");
	is( $copy->safe_psql(
			$database, q{
			SELECT r.version > max(v.version), r.run_id > (SELECT max(x.run_id) FROM reyearn.runs AS x)
			  FROM reyearn.models AS m JOIN reyearn.model_versions AS v USING (tenant_id, model_id),
			       reyearn_train('mail') AS r
			 WHERE m.name = 'mail' GROUP BY r.version, r.run_id}),
		't|t',
		"$how: it can be trained");

	# Older versions are still there to go back to.
	is($copy->safe_psql($database, q{SELECT reyearn_predict('flight to Berlin', 'mail') IS NOT NULL}),
		't', "$how: the new version predicts");
	is( $copy->safe_psql(
			$database,
			q{SELECT reyearn_promote('mail', (SELECT version FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id)
			                                   WHERE name = 'mail' AND NOT is_live AND time_pruned IS NULL LIMIT 1));
			  SELECT reyearn_predict('flight to Berlin', 'mail') IS NOT NULL}),
		"\nt",
		"$how: a version of the original can be promoted");
	return;
}

my $directory = $source->backup_dir . '/parallel.dump';
$source->command_ok([ 'pg_dump', '-Fd', '-j', '2', '-f', $directory, $source->connstr('mail') ],
	'pg_dump -Fd -j 2');
$copy->safe_psql('postgres', 'CREATE DATABASE parallel TEMPLATE template0');
$copy->command_ok([ 'pg_restore', '--exit-on-error', '-j', '4', '-d', $copy->connstr('parallel'), $directory ],
	'pg_restore -j 4');
check_copy('directory', 'parallel');

my $script = $source->backup_dir . '/plain.sql';
$source->command_ok([ 'pg_dump', '-f', $script, $source->connstr('mail') ], 'pg_dump');
$copy->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
$copy->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $copy->connstr('plain'), '-f', $script ],
	'psql reads the script');
check_copy('script', 'plain');

ok(is_unharmed($_), 'no process crashed') for $source, $copy;

done_testing();
