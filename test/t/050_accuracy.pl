# Accuracy on public data sets stays above a floor, and what a run stores of its quality agrees with itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use DataSets;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

need_data();

# What CountVectorizer() → TfidfTransformer() → MultinomialNB() of scikit-learn 1.2.1 reaches on the official test set
# when it is fed with the rows Reyearn trains on, that is, each text once. The algorithm is the same, so ours reaches
# the same; the floor is one standard error below, since a change that moves a few texts is not a loss of quality.
#
# With the repeated texts left in it reaches .957 on sms_spam; the other sets have few of them. The low figures of trec
# and spamassassin are what alpha = 1 does over tf-idf vectors.
my %reached = (
	sms_spam => 0.9493,
	trec => 0.402,
	trec_coarse => 0.538,
	clinc150 => 0.8873,
	ag_news => 0.8843,
	spamassassin => 0.8541);

my $server = start_server('accuracy');

sub sql { my ($set, $query) = @_; return $server->safe_psql($set, $query) }

# $hits: a query of the number of texts of the test set, and of those that were predicted rightly.
sub is_above_floor
{
	my ($name, $set, $hits) = @_;
	my ($texts, $right) = split /\|/, sql($set, $hits);
	my $reached = $reached{$name};
	my $floor = $reached - sqrt($reached * (1 - $reached) / $texts);
	my $accuracy = $right / $texts;
	my $facts = sprintf '%s: accuracy %.4f on %d texts, floor %.4f', $name, $accuracy, $texts, $floor;
	cmp_ok($accuracy, '>=', $floor, $facts);
}

sub train_naive_bayes
{
	my ($set) = @_;
	sql($set, q{SELECT reyearn_create_model('m', algorithm => 'naive_bayes')});
	is(sql($set, q{SELECT outcome, version, examples = (SELECT count(DISTINCT body) FROM train) FROM reyearn_train()}),
		'promoted|1|t', "$set: the first version learned from each text once and is live");
}

# What reyearn_evaluate and reyearn_confusion_matrix say, against what the run stored and against each other.
sub agrees_with_itself
{
	my ($set) = @_;
	my $facts = sql(
		$set, q{
		WITH run AS (SELECT *, (metrics->>'accuracy')::float8 AS accuracy, (metrics->>'macro_f1')::float8 AS macro_f1
		             FROM reyearn.runs),
		     quality AS (SELECT * FROM reyearn_evaluate()),
		     confusion AS (SELECT * FROM reyearn_confusion_matrix()),
		     right_ones AS (SELECT actual AS label, count FROM confusion WHERE actual = predicted),
		     actual AS (SELECT actual AS label, sum(count) AS count FROM confusion GROUP BY 1),
		     predicted AS (SELECT predicted AS label, sum(count) AS count FROM confusion GROUP BY 1),
		     derived AS (SELECT q.*, coalesce(a.count, 0) AS of_class, coalesce(p.count, 0) AS as_class,
		                        coalesce(r.count, 0) AS hits
		                 FROM quality q
		                 LEFT JOIN actual a USING (label)
		                 LEFT JOIN predicted p USING (label)
		                 LEFT JOIN right_ones r USING (label))
		SELECT 'runs', count(*) FROM run
		UNION ALL SELECT 'confusion adds up to compared_on', (sum(count) = (SELECT compared_on FROM run))::int
		          FROM confusion
		UNION ALL SELECT 'accuracy', (abs(sum(hits) / sum(of_class) - (SELECT accuracy FROM run)) < 1e-12)::int
		          FROM derived
		UNION ALL SELECT 'score', (score = accuracy AND metric = 'accuracy')::int FROM run
		UNION ALL SELECT 'support', bool_and(support = of_class)::int FROM derived
		UNION ALL SELECT 'recall', bool_and(abs(recall - coalesce(hits / nullif(of_class, 0), 0)) < 1e-12)::int
		          FROM derived
		UNION ALL SELECT 'precision', bool_and(abs("precision" - coalesce(hits / nullif(as_class, 0), 0)) < 1e-12)::int
		          FROM derived
		UNION ALL SELECT 'f1', bool_and(abs(f1 - coalesce(2 * "precision" * recall
		                                                  / nullif("precision" + recall, 0), 0)) < 1e-12)::int
		          FROM derived
		UNION ALL SELECT 'macro F1', (abs(avg(f1) - (SELECT macro_f1 FROM run)) < 1e-12)::int
		          FROM derived WHERE of_class + as_class > 0
		UNION ALL SELECT 'stored', ((SELECT count(*) FROM reyearn.run_labels) = (SELECT count(*) FROM derived)
		                            AND count(*) = (SELECT count(*) FROM derived))::int
		          FROM reyearn.run_labels s JOIN quality q USING (label, "precision", recall, f1, support)
		UNION ALL SELECT 'by version', count(*) FROM (TABLE quality EXCEPT SELECT * FROM reyearn_evaluate('m', 1)) AS d
	});
	is($facts, <<~'END' =~ s/\n\z//r, "$set: measured quality agrees with the stored one and with itself");
		runs|1
		confusion adds up to compared_on|1
		accuracy|1
		score|1
		support|1
		recall|1
		precision|1
		f1|1
		macro F1|1
		stored|1
		by version|0
		END
}

my $predicted_rightly = 'SELECT count(*), count(*) FILTER (WHERE reyearn_predict(body) = label) FROM test';

my %training_files = (
	sms_spam => ['sms_spam.train'],
	trec => ['trec.train'],
	clinc150 => ['clinc150.train'],
	ag_news => [ 'ag_news_5k.train', 'ag_news_extra.train' ]);

for my $set (sort keys %training_files)
{
	load_set($server, $set, train => $training_files{$set}, test => ["$set.test"]);
	train_naive_bayes($set);
	is_above_floor($set, $set, $predicted_rightly);
	agrees_with_itself($set);
}

# Trained on the 50 fine labels, asked for the 6 coarse ones.
is_above_floor('trec_coarse', 'trec', q{
	SELECT count(*), count(*) FILTER (WHERE p.label = subpath(test.label, 0, 2))
	FROM test, reyearn_predict_proba(body, depth => 2, top => 1) AS p
});
is(sql('trec', q{
		SELECT count(*) FROM test WHERE abs(1 - (SELECT sum(p.probability) FROM reyearn_predict_proba(body, depth => 2) AS p)) > 1e-5
	}), '0', 'trec_coarse: probabilities add up to 1');

load_spamassassin($server);
is(sql('spamassassin', 'SELECT count(*) FROM (TABLE train UNION ALL TABLE test) AS all_of_them'),
	'6046', 'spamassassin: every message is loaded, whatever its encoding');
train_naive_bayes('spamassassin');
is_above_floor('spamassassin', 'spamassassin', $predicted_rightly);
agrees_with_itself('spamassassin');

$server->stop;
done_testing();
