# Damaged images: a clear error in place of a prediction, whatever the damage; nothing crashes, other models and versions
# go on, and a damaged image is not let in.

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
$node->safe_psql(
	'mail', q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home,tone.kind,tone.rude}'::text[]) AS l;
	SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home'),
	       reyearn_annotate_text('please', 'tone.kind'), reyearn_annotate_text('idiot', 'tone.rude');
	SELECT reyearn_create_model('small', 'tone'), reyearn_create_model('post', 'mail', promotion => 'always');
	SELECT outcome FROM reyearn_train('small');
	SELECT outcome FROM reyearn_train('post');
	-- Then many words, so that the image takes several chunks.
	SELECT reyearn_annotate_text(string_agg(md5(i::text), ' '), 'mail.home') FROM generate_series(1, 40000) AS i;
	SELECT outcome FROM reyearn_train('post');
	CREATE TABLE intact AS SELECT i.* FROM reyearn.model_images AS i;
	CREATE FUNCTION flip(bytes bytea, place int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	    SELECT set_byte(bytes, place, get_byte(bytes, place) # 85)
	$$;
	-- The error of a statement: SQLSTATE and message.
	CREATE FUNCTION error(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    answer text;
	BEGIN
	    EXECUTE statement INTO answer;
	    RETURN 'no error: ' || answer;
	EXCEPTION WHEN OTHERS THEN
	    RETURN SQLSTATE || ': ' || SQLERRM;
	END
	$$;
	});
my $version_id = $node->safe_psql('mail', q{SELECT version_id FROM reyearn.model_versions
	WHERE is_live AND model_id = (SELECT model_id FROM reyearn.models WHERE name = 'post')});
my $mine = "version_id = $version_id AND kind = 'serving'";
my $last = $node->safe_psql('mail', "SELECT max(chunk_no) FROM intact WHERE $mine");
cmp_ok($last, '>=', 2, 'an image of several chunks');
# The copy in shared memory is retired, so that the next session has to load the image.
my $retire = q{SELECT reyearn_promote('post', 1); SELECT reyearn_promote('post', 2)};
is($node->safe_psql('mail', q{SELECT reyearn_predict('meeting', 'post')}), 'mail.work', 'the image is intact');

my %damage = (
	'a byte of the magic number' => "UPDATE reyearn.model_images SET data = flip(data, 3) WHERE $mine AND chunk_no = 0",
	'a byte of the checksum' => "UPDATE reyearn.model_images SET data = flip(data, 17) WHERE $mine AND chunk_no = 0",
	'the number of classes' => "UPDATE reyearn.model_images SET data = flip(data, 36) WHERE $mine AND chunk_no = 0",
	'the section table' => "UPDATE reyearn.model_images SET data = flip(data, 140) WHERE $mine AND chunk_no = 0",
	'a byte of the first chunk' => "UPDATE reyearn.model_images SET data = flip(data, 500000) WHERE $mine AND chunk_no = 0",
	'a byte in the middle' => "UPDATE reyearn.model_images SET data = flip(data, 500000) WHERE $mine AND chunk_no = 1",
	'the last byte' => "UPDATE reyearn.model_images SET data = flip(data, length(data) - 1) WHERE $mine AND chunk_no = $last",
	'a chunk missing' => "DELETE FROM reyearn.model_images WHERE $mine AND chunk_no = 1",
	'the first chunk missing' => "DELETE FROM reyearn.model_images WHERE $mine AND chunk_no = 0",
	'the last chunk missing' => "DELETE FROM reyearn.model_images WHERE $mine AND chunk_no = $last",
	'all chunks missing' => "DELETE FROM reyearn.model_images WHERE $mine",
	'two chunks swapped' => "UPDATE reyearn.model_images SET chunk_no = chunk_no + 100 WHERE $mine AND chunk_no < 2;
		UPDATE reyearn.model_images SET chunk_no = 101 - chunk_no WHERE $mine AND chunk_no >= 100",
	'the last chunk cut off' => "UPDATE reyearn.model_images SET data = substr(data, 1, length(data) - 1) WHERE $mine AND chunk_no = $last",
	'the first chunk cut off' => "UPDATE reyearn.model_images SET data = substr(data, 1, 100) WHERE $mine AND chunk_no = 0;
		DELETE FROM reyearn.model_images WHERE $mine AND chunk_no > 0",
	'a chunk too many' => "INSERT INTO reyearn.model_images (version_id, kind, chunk_no, data) VALUES ($version_id, 'serving', 99, 'x')",
	'an empty chunk' => "UPDATE reyearn.model_images SET data = '' WHERE $mine AND chunk_no = 0",
	'the image of another version' => "DELETE FROM reyearn.model_images WHERE $mine;
		INSERT INTO reyearn.model_images (version_id, kind, chunk_no, data)
		SELECT $version_id, kind, chunk_no, data FROM intact JOIN reyearn.model_versions USING (tenant_id, version_id)
		 WHERE kind = 'serving' AND version_id <> $version_id
		   AND model_id = (SELECT model_id FROM reyearn.models WHERE name = 'post')");

for my $what (sort keys %damage)
{
	$node->safe_psql('mail', $damage{$what});
	is($node->safe_psql('mail', q{SELECT reyearn_predict('meeting', 'post')}), 'mail.work', "$what: the copy in shared memory serves on");
	$node->safe_psql('mail', $retire);
	my $session = session($node, 'mail');
	for my $call (q{SELECT reyearn_predict('meeting', 'post')},
		q{SELECT * FROM reyearn_predict_proba('meeting', 'post')},
		q{SELECT * FROM reyearn_classify('meeting', 'post')})
	{
		like(error_in($session, $call), qr/^XX001: model image is damaged\nDETAIL:  .+\.\nHINT:  .+\.$/,
			"$what: $call");
	}
	# The same bytes would be exported, but for one that is whole and only in the wrong place.
	like(error_in($session, q{SELECT reyearn_export_model('post')}), qr/^XX001: model image is damaged/, "$what: export")
	  unless $what =~ /another version/;
	is(ask($session, q{SELECT reyearn_predict('please', 'small')}), 'tone.kind', "$what: another model predicts");
	is(ask($session, q{BEGIN; SELECT reyearn_promote('post', 1); SELECT reyearn_predict('meeting', 'post'); ROLLBACK}),
		"\nmail.work", "$what: another version predicts");
	is( ask($session, q{BEGIN; SELECT outcome FROM reyearn_train('post', '{"alpha": 0.5}');
			SELECT reyearn_predict('meeting', 'post'); ROLLBACK}),
		"promoted\nmail.work", "$what: a new training helps");
	is(live_version($node, 'mail', 'post'), '2', "$what: the live version stays");
	$node->safe_psql('mail', 'DELETE FROM reyearn.model_images; INSERT INTO reyearn.model_images SELECT * FROM intact');
	is(ask($session, q{SELECT reyearn_predict('meeting', 'post')}), 'mail.work', "$what: the session predicts once it is repaired");
	$session->quit;
}

# What the catalog says of an image may be wrong as well.
$node->safe_psql('mail', 'CREATE TABLE facts AS SELECT version_id, image_checksum, image_bytes FROM reyearn.model_versions');
for my $change ('image_checksum = image_checksum + 1', 'image_bytes = -1', 'image_bytes = 1::bigint << 60')
{
	$node->safe_psql('mail', $retire);
	$node->safe_psql('mail', "UPDATE reyearn.model_versions SET $change WHERE version_id = $version_id");
	like(
		$node->safe_psql('mail', q{SELECT error(q) FROM unnest(ARRAY['SELECT reyearn_predict($$meeting$$, $$post$$)',
			'SELECT length(reyearn_export_model($$post$$)) > 0']) AS q}),
		qr/^((no error: (mail\.work|true|t)|XX001: model image is damaged|54000: model image is too large to be exported)(\n|$)){2}$/,
		"$change: an error or none");
	$node->safe_psql('mail', q{UPDATE reyearn.model_versions AS v SET image_checksum = f.image_checksum, image_bytes = f.image_bytes
		FROM facts AS f WHERE f.version_id = v.version_id});
}

# Images as values: every byte flipped, every length cut, in one statement each.
my $session = session($node, 'mail');
ask($session, q{CREATE TABLE image AS SELECT reyearn_export_model('small') AS bytes});
my $length = ask($session, 'SELECT length(bytes) FROM image');
cmp_ok($length, '<', 4096, "a small image: $length bytes");
is(ask($session, q{SELECT reyearn_predict_with(bytes, 'please') FROM image}), 'tone.kind', 'the image as it is');
is( ask($session, q{
		SELECT count(*), count(*) FILTER (WHERE e ~ '^XX001: model image is damaged$'),
		       count(*) FILTER (WHERE e ~ '^0A000: model image was made by a newer version of reyearn$')
		  FROM (SELECT error(format('SELECT reyearn_predict_with(flip(bytes, %s), $$please$$) FROM image', i)) AS e
		          FROM generate_series(0, (SELECT length(bytes) - 1 FROM image)) AS i) AS all_of_them}),
	"$length|" . ($length - 4) . '|4', 'predict_with: each byte matters; four say the format');
is( ask($session, q{
		SELECT e, count(*)
		  FROM (SELECT error(format('SELECT reyearn_predict_with(substr(bytes, 1, %s), $$please$$) FROM image', i)) AS e
		          FROM generate_series(0, (SELECT length(bytes) - 1 FROM image)) AS i) AS all_of_them GROUP BY e}),
	"XX001: model image is damaged|$length", 'predict_with: no part is enough');
for my $bit (0, 3, 7)
{
	is( ask($session, qq{
			SELECT count(*) FROM generate_series(0, (SELECT length(bytes) - 1 FROM image)) AS i
			 WHERE error(format('SELECT reyearn_import_model(%L, set_bit(bytes, %s, 1 - get_bit(bytes, %2\$s))) FROM image', 'new', i * 8 + $bit))
			       !~ '^(XX001: model image is damaged|0A000: model image was made by a newer version of reyearn)\$'}),
		'0', "import_model: bit $bit of each byte matters");
}
for my $other (q{''}, q{'\x00'}, q{bytes || '\x00'::bytea}, q{'\x00'::bytea || bytes}, q{bytes || bytes}, q{substr(bytes, 9)},
	q{decode(repeat('00', length(bytes)), 'hex')}, q{decode(repeat('ff', length(bytes)), 'hex')},
	q{substr(bytes, 1, 128) || decode(repeat('ff', length(bytes) - 128), 'hex')}, q{convert_to(repeat('x', 1000000), 'UTF8')})
{
	for my $call ("reyearn_predict_with($other, 'please')", "reyearn_import_model('new', $other)",
		"reyearn_import_model('small', $other)")
	{
		like(error_in($session, "SELECT $call FROM image"), qr/^XX001: model image is damaged\nDETAIL:  .+\nHINT:  .+/, $call);
	}
}
is( error_in($session, q{SELECT reyearn_predict_with(set_byte(bytes, 8, 2), 'please') FROM image}),
	"0A000: model image was made by a newer version of reyearn\n"
	  . "DETAIL:  Its format is 2; this library reads up to 1.\n"
	  . 'HINT:  Update the reyearn package on this server.',
	'a newer format says what to do');
like(error_in($session, q{SELECT reyearn_import_model('small', set_byte(bytes, 8, 2)) FROM image}), qr/^0A000: /, '... also when it is imported');
ask($session, q{UPDATE reyearn.model_images SET data = set_byte(data, 8, 2) WHERE version_id = (SELECT version_id
	FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'small') AND kind = 'serving';
	CREATE TABLE live AS SELECT version_id FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id)
	 WHERE name = 'small' AND is_live;
	UPDATE reyearn.model_versions SET is_live = false WHERE version_id = (SELECT version_id FROM live);
	UPDATE reyearn.model_versions SET is_live = true WHERE version_id = (SELECT version_id FROM live)});
is($node->safe_psql('mail', q{SELECT error('SELECT reyearn_predict($$please$$, $$small$$)')}),
	'0A000: model image was made by a newer version of reyearn', '... and when it is stored');
is($node->safe_psql('mail', q{SELECT error('SELECT outcome FROM reyearn_train($$small$$)')}), 'no error: promoted',
	'... and a training makes one that can be read');

# Nothing was let in.
is(ask($session, q{SELECT name, count(*), count(*) FILTER (WHERE is_live) FROM reyearn.models
	LEFT JOIN reyearn.model_versions USING (tenant_id, model_id) GROUP BY name ORDER BY name}),
	"post|2|1\nsmall|2|1", 'no model and no version came of it');
is(ask($session, q{SELECT reyearn_import_model('new', bytes) FROM image; SELECT reyearn_predict('idiot', 'new')}), "1\ntone.rude",
	'the intact image can be imported');
$session->quit;
ok(is_unharmed($node), 'no process crashed');

done_testing();
