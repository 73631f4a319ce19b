# The same texts, classes and parameters make the same image, byte by byte, and the same figures: whatever the number of
# threads, the memory, the plans, the order in which the rows lie, and the ids of the texts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', 'autovacuum = off');
create_database($node, 'mail');
load_emails($node, 'mail');

# Enough texts for a holdout, and so many pairs of words that they do not fit into 1 MB; some texts have several
# confirmed classes, one above the other.
$node->safe_psql(
	'mail', q{
	SELECT count(reyearn_create_class('big.' || c)) FROM unnest('{a,b,b.deep,c}'::text[]) AS c;
	SELECT count(reyearn_annotate_text(body, label))
	  FROM (SELECT string_agg('w' || (hashint4(i * 64 + j) & 2047), ' ') || ' kind' || i % 4 || ' n' || i AS body,
	               'big.' || (ARRAY['a', 'b', 'b.deep', 'c'])[1 + i % 4] AS label
	          FROM generate_series(1, 2500) AS i, generate_series(1, 40) AS j GROUP BY i) AS t;
	SELECT count(reyearn_annotate(observation_id, 'big.b')) FROM reyearn.annotation_overview WHERE label = 'big.b.deep';
	SELECT reyearn_create_model('mail', 'email'), reyearn_create_model('big', 'big', params => '{"ngram_range": [1, 2]}');
	SELECT outcome FROM reyearn_train('mail');
	SELECT outcome FROM reyearn_train('big', '{"alpha": 0.1}');
	CREATE FUNCTION train(model text) RETURNS text LANGUAGE plpgsql SET extra_float_digits = 3 AS $$
	DECLARE
	    this reyearn.training_result;
	    said text;
	BEGIN
	    this := reyearn_train(model, '{"seed": 7, "alpha": 0.7}');
	    SELECT concat_ws(' ', this.version, this.examples, r.score, r.live_score, r.p_value, r.compared_by, md5(r.metrics::text),
	                     md5((SELECT string_agg((to_jsonb(l) - 'run_id')::text, '' ORDER BY l.label) FROM reyearn.run_labels AS l WHERE l.run_id = r.run_id)),
	                     encode(r.data_digest, 'hex'), md5(reyearn_export_model(model, this.version)),
	                     (SELECT md5(string_agg(data, '' ORDER BY chunk_no)) FROM reyearn.model_images
	                       WHERE version_id = r.version_id AND kind = 'judge'))
	      INTO said FROM reyearn.runs AS r WHERE r.run_id = this.run_id;
	    RAISE EXCEPTION '%', said USING ERRCODE = 'R0000';    -- takes back what it did
	EXCEPTION WHEN SQLSTATE 'R0000' THEN
	    RETURN regexp_replace(said, '^\S+ ', '');
	END
	$$;
	});
is($node->safe_psql('mail', q{SELECT model_id, compared_by FROM reyearn.runs ORDER BY 1}), "1|cross_validation\n2|holdout",
	'both ways to compare');

sub train
{
	my ($database, $settings) = @_;
	return $node->safe_psql($database, ($settings // '') . q{;
		SELECT train('mail'), train('big')});
}

my $expected = train('mail', q{SET reyearn.training_threads = 1; SET maintenance_work_mem = '256MB'});
like($expected, qr/^201 .* cross_validation .*\|2500 .* holdout .*$/, 'the figures of two trainings');
is(train('mail', q{SET reyearn.training_threads = 1; SET maintenance_work_mem = '256MB'}), $expected, 'once more');

for my $threads (1, 2, 7, 64)
{
	for my $memory (qw(1MB 256MB))
	{
		is(train('mail', "SET reyearn.training_threads = $threads; SET maintenance_work_mem = '$memory'"), $expected,
			"$threads threads, $memory");
	}
}
for my $memory (qw(1MB 256MB))
{
	my $error = error_of($node, 'mail', "SET temp_file_limit = '100kB'; SET reyearn.training_threads = 7; SET maintenance_work_mem = '$memory'; SELECT train('big')");
	if ($memory eq '1MB')
	{
		like($error, qr/^(54000|53400): temporary files of the training exceed temp_file_limit/, '1 MB is not enough for the big one');
	}
	else
	{
		is($error, '', '... and 256 MB are');
	}
}

# Plans.
for my $settings ('enable_hashjoin = off', 'enable_seqscan = off', 'enable_indexscan = off; SET enable_bitmapscan = off',
	q{work_mem = '64kB'; SET enable_nestloop = off}, 'enable_material = off; SET enable_mergejoin = off; SET enable_hashjoin = off',
	q{jit_above_cost = 0; SET jit = on}, q{extra_float_digits = 0; SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL'},
	q{lc_numeric = 'C'; SET search_path = pg_catalog, public})
{
	is(train('mail', "SET $settings"), $expected, $settings);
}

# Rows in another order.
$node->safe_psql(
	'mail', q{
	UPDATE reyearn.observations SET metadata = metadata || '{"touched": true}' WHERE hashint8(observation_id) % 3 = 0;
	UPDATE reyearn.annotations SET probability = 0.5 WHERE hashint8(annotation_id) % 2 = 0;
	VACUUM reyearn.observations, reyearn.annotations;
	UPDATE reyearn.observations SET metadata = '{}' WHERE hashint8(observation_id) % 5 = 0});
is(train('mail'), $expected, 'rows updated');
$node->safe_psql('mail', q{
	CLUSTER reyearn.observations USING observations_tenant_id_content_hash_key;
	CLUSTER reyearn.annotations USING annotations_class;
	ANALYZE});
is(train('mail'), $expected, 'tables clustered');
$node->safe_psql('mail', 'VACUUM FULL reyearn.observations, reyearn.annotations, reyearn.classes; REINDEX SCHEMA reyearn');
is(train('mail'), $expected, 'tables rewritten');

# Another database, the rows loaded in another order, first with the same ids.
my @tables = qw(classes observations annotations models model_versions model_images);
my $directory = PostgreSQL::Test::Utils::tempdir();
my $function = $node->safe_psql('mail', q{SELECT pg_get_functiondef('train'::regproc)});
for my $order ('md5(t::text)', 'md5(t::text) DESC')
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS copy');
	create_database($node, 'copy');
	my $load = 'SET session_replication_role = replica;';
	for my $table (@tables)
	{
		my $columns = $node->safe_psql('mail', qq{SELECT string_agg(attname, ', ') FROM pg_attribute
			WHERE attrelid = 'reyearn.$table'::regclass AND attnum > 0 AND attgenerated = ''});
		$node->safe_psql('mail', "COPY (SELECT $columns FROM reyearn.$table AS t ORDER BY $order) TO '$directory/$table'");
		$load .= "COPY reyearn.$table ($columns) FROM '$directory/$table';";
	}
	$node->safe_psql('copy', "$load $function; SELECT setval('reyearn.model_versions_version_id_seq', 1000)");
	isnt($node->safe_psql('copy', 'SELECT string_agg(observation_id::text, $$ $$) FROM (SELECT observation_id FROM reyearn.observations LIMIT 50) AS o'),
		$node->safe_psql('mail', 'SELECT string_agg(observation_id::text, $$ $$) FROM (SELECT observation_id FROM reyearn.observations LIMIT 50) AS o'),
		"the rows lie in another order: $order");
	is(train('copy'), $expected, "another database, $order");
	is(train('copy', q{SET reyearn.training_threads = 3; SET maintenance_work_mem = '1MB'}), $expected,
		'... with threads and little memory');
}

# Then with other ids of texts and annotations. The classes have theirs: these are in the image.
$node->safe_psql('postgres', 'DROP DATABASE copy');
create_database($node, 'copy');
$node->safe_psql('mail', "COPY (SELECT body, label::text FROM reyearn.annotations JOIN reyearn.observations USING (tenant_id, observation_id)
	JOIN reyearn.classes USING (tenant_id, class_id) ORDER BY md5(body), annotation_id) TO '$directory/texts'");
$node->safe_psql(
	'copy', qq{
	SET session_replication_role = replica;
	COPY reyearn.classes FROM '$directory/classes';
	SET session_replication_role = origin;
	CREATE TEMP TABLE texts (body text, label text);
	COPY texts FROM '$directory/texts';
	SELECT count(reyearn_annotate_text(body, label)) FROM texts;
	$function;
	SELECT reyearn_create_model('mail', 'email'), reyearn_create_model('big', 'big', params => '{"ngram_range": [1, 2]}');
	SELECT outcome FROM reyearn_train('mail');
	SELECT outcome FROM reyearn_train('big', '{"alpha": 0.1}')});
is($node->safe_psql('copy', q{SELECT md5(reyearn_export_model('mail')), md5(reyearn_export_model('big'))}),
	$node->safe_psql('mail', q{SELECT md5(reyearn_export_model('mail')), md5(reyearn_export_model('big'))}),
	'the first images, too, with other ids');
is(train('copy'), $expected, 'other ids of texts');

ok(is_unharmed($node), 'no process crashed');

done_testing();
