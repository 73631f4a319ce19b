# The algorithm naive_bayes is scikit-learn's CountVectorizer() → TfidfTransformer() → MultinomialNB(): fed with the
# rows that Reyearn trains on, it predicts the same labels with the same probabilities; and metrics are those of
# sklearn.metrics. 051_parity.py computes what scikit-learn says.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use DataSets;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

need_data();
plan skip_all => 'no Python with scikit-learn' unless $ENV{REYEARN_PYTHON};

my $server = start_server('parity');
my $directory = PostgreSQL::Test::Utils::tempdir();

# The rows that Reyearn trains on: each text once, with the class that was confirmed last.
my $learned = q{
	SELECT DISTINCT ON (o.content_hash) jsonb_build_array(c.label::text, o.body, encode(o.content_hash, 'hex'))
	FROM reyearn.annotations AS a
	JOIN reyearn.observations AS o USING (tenant_id, observation_id)
	JOIN reyearn.classes AS c USING (tenant_id, class_id)
	WHERE a.status = 'confirmed' AND a.span IS NULL
	ORDER BY o.content_hash, a.time_updated DESC, a.annotation_id DESC
};
note "rows that scikit-learn is fed with: $learned";

my %predicted = (
	predictions => q{
		SELECT jsonb_build_array(body, reyearn_predict(body, '%1$s')::text,
		                         (SELECT jsonb_object_agg(label::text, probability)
		                          FROM reyearn_predict_proba(body, '%1$s')))
		FROM test
	},
	holdout => q{
		SELECT jsonb_build_array(encode(o.content_hash, 'hex'), c.label::text, reyearn_predict(o.body, '%1$s')::text,
		                         (SELECT p.probability FROM reyearn_predict_proba(o.body, '%1$s') AS p
		                          WHERE p.label = c.label))
		FROM reyearn.annotations AS a
		JOIN reyearn.observations AS o USING (tenant_id, observation_id)
		JOIN reyearn.classes AS c USING (tenant_id, class_id)
		WHERE a.status = 'confirmed' AND a.span IS NULL
	});

# Trains a model with the parameters; returns what 051_parity.py says of it.
sub facts
{
	my ($set, $mode, $model, $params) = @_;
	my $file = "$directory/$set.$model.json";
	$server->safe_psql($set, "SELECT reyearn_create_model('$model', algorithm => 'naive_bayes', params => '$params')");
	my $trained = $server->safe_psql($set, "SELECT outcome FROM reyearn_train('$model')");
	is($trained, 'promoted', "$set: $model is trained");
	append_to_file(
		$file,
		join "\n",
		$server->safe_psql(
			$set, qq{
			SELECT to_jsonb(r) FROM reyearn.runs AS r JOIN reyearn.models AS m USING (tenant_id, model_id)
			WHERE m.name = '$model'}),
		$server->safe_psql($set, $learned),
		'null',
		$server->safe_psql($set, sprintf $predicted{$mode}, $model),
		'');
	my ($output, $errors) = run_command([ $ENV{REYEARN_PYTHON}, "$FindBin::Bin/051_parity.py", $mode, $file ]);
	note $output;
	diag $errors if $errors;
	unlink $file;
	return map { split /\t/, $_, 2 } split /\n/, $output;
}

# The log loss is a mean of logarithms of probabilities, so it agrees as they do.
sub has_equal_metrics
{
	my ($name, %fact) = @_;
	is($fact{'compared on'}, 0, "$name: the same texts are held out");
	for my $metric ('accuracy', 'macro_f1', 'micro_f1')
	{
		cmp_ok($fact{"$metric differs by"}, '<', 1e-12, "$name: equal $metric");
	}
	cmp_ok($fact{'log_loss differs by'}, '<', 1e-5, "$name: equal log_loss");
}

# Texts with the same words are compared. Where Reyearn's words are by design not those of CountVectorizer, see
# is_tokenized_differently in 051_parity.py: no training text is of that kind, and of the test texts $excepted are.
sub predicts_alike
{
	my ($set, $model, $params, $excepted) = @_;
	my %fact = facts($set, 'predictions', $model, $params);
	my $name = "$set, $model";
	is($fact{'texts learned that are tokenized differently'}, 0, "$name: CountVectorizer learns the same words");
	is($fact{'texts excepted'}, $excepted, "$name: all texts but $excepted have the words of CountVectorizer");
	is($fact{'texts without a probability for each class'}, 0, "$name: each text has a probability for each class");
	is($fact{'probabilities too small for a float4'}, 0, "$name: no probability is too small for a float4");
	is($fact{'other labels but for ties'}, 0, "$name: same label for each of $fact{'texts predicted'} texts");
	# 1e-5, and what the type of the probabilities adds.
	cmp_ok($fact{'log probability differs by'}, '<', 1e-5 + 2**-24, "$name: log probabilities are equal");
	has_equal_metrics("$name, cross-validation", %fact);
}

# "鈥", a word of one character to Reyearn, and "〨ud", which it divides: punctuation read in the wrong encoding.
my %excepted = (sms_spam => 1);

my %training_files = (
	sms_spam => ['sms_spam.train'],
	trec => ['trec.train'],
	clinc150 => ['clinc150.train'],
	ag_news => [ 'ag_news_5k.train', 'ag_news_extra.train' ]);

for my $set (sort keys %training_files)
{
	load_set($server, $set, train => $training_files{$set}, test => ["$set.test"]);
	predicts_alike($set, 'words', '{"holdout": 0}', $excepted{$set} // 0);
}
predicts_alike('ag_news', 'pairs', '{"holdout": 0, "ngram_range": [1, 2], "min_df": 2, "alpha": 0.1}', 0);

# trec has classes too small to be held out: it is always cross-validated.
for my $set ('sms_spam', 'clinc150', 'ag_news')
{
	my %fact = facts($set, 'holdout', 'judge', '{"holdout": 0.2, "refit": false}');
	has_equal_metrics("$set, held out", %fact);
}

$server->stop;
done_testing();
