# A streaming standby predicts as its primary does, sees a flip as soon as it is replayed, and writes nothing; after its
# promotion it trains. A subscriber of logical replication serves what is published to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time);

my $primary = start_server('primary', "shared_preload_libraries = 'reyearn'\nwal_level = logical", allows_streaming => 1);
create_database($primary, 'mail');
train_permuted($primary, 'mail', 2);
$primary->backup('backup');

# All that a server says of all texts, in one line.
my $vectors = q{SELECT md5(string_agg(v, ' ' ORDER BY id)) FROM (SELECT id, (SELECT string_agg(p::text, ' ') FROM reyearn_predict_proba(body, 'm') AS p) AS v FROM mails) AS t};

# Predicting takes no transaction id on the primary either.
is($primary->safe_psql('mail', q{BEGIN; SELECT count(reyearn_predict(body, 'm')) FROM mails; SELECT pg_current_xact_id_if_assigned() IS NULL}), "201\nt",
	'predicting takes no transaction id');

for my $preload (1, 0)
{
	my $what = $preload ? 'a standby' : 'a standby that does not preload';
	my $standby = PostgreSQL::Test::Cluster->new("standby_$preload");
	$standby->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby->append_conf('postgresql.conf', q{shared_preload_libraries = ''}) if !$preload;
	$standby->start;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	my $reader = session($standby, 'mail');
	is(ask($reader, $vectors), $primary->safe_psql('mail', $vectors), "$what: says the same");
	is(ask($reader, q{SELECT memory, sessions FROM reyearn.stat_models}), 'live|1', "$what: from shared memory");
	cmp_ok(ask($reader, q{SELECT calls FROM reyearn.stat_models}), '>=', 201, "$what: counts for itself");
	is(status_of($standby, 'mail', 'preloaded'), $preload ? 'yes: ok' : 'no: note', $what);

	# In a transaction that touches no table of ours, in one with a snapshot of its own, and in none.
	my ($committed, $repeatable) = map { session($standby, 'mail') } 1, 2;
	ask($committed, 'BEGIN');
	ask($repeatable, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $label = q{SELECT reyearn_predict('Please book a hotel for the trade fair', 'm')};
	my ($old) = map { ask($_, $label) } $committed, $repeatable;
	$primary->safe_psql('mail', q{SELECT reyearn_promote('m', CASE live_version WHEN 1 THEN 2 ELSE 1 END) FROM reyearn.model_overview});
	my $flipped = time;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	my $new = ask($committed, $label);
	note(sprintf '%s: saw the flip %.0f ms after the commit', $what, 1000 * (time - $flipped));
	is($new, $primary->safe_psql('mail', $label), "$what: an open transaction sees the flip");
	isnt($new, $old, "$what: which makes a difference");
	is(ask($reader, $vectors), $primary->safe_psql('mail', $vectors), "$what: says the same after it");
	is(ask($repeatable, $label), $old, "$what: REPEATABLE READ keeps its version");
	ask($_, 'COMMIT') for $committed, $repeatable;
	is(ask($repeatable, $label), $new, "$what: until it ends");
	becomes($standby, 'mail', q{SELECT string_agg(memory, ' ') FROM reyearn.stat_models WHERE memory <> 'absent'}, 'live', "$what: one version stays in memory");
	is(ask($reader, q{SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; } . $vectors),
		$primary->safe_psql('mail', $vectors), "$what: parallel workers too");

	# What writes says that it cannot.
	like(error_in($reader, q{SELECT * FROM reyearn_classify('x', 'm')}), qr/^25006: cannot execute/, "$what: refuses to classify");
	like(error_in($reader, q{SELECT * FROM reyearn_train('m')}), qr/^25006: cannot execute/, "$what: refuses to train");
	like(error_in($reader, q{SELECT reyearn_promote('m', 1)}), qr/^25006: cannot execute/, "$what: refuses to promote");
	is(ask($reader, $label), $new, "$what: and goes on");

	# A model dropped on the primary while the standby uses it.
	$primary->safe_psql('mail', q{SELECT reyearn_import_model('gone', reyearn_export_model('m', 1))});
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	ok(ask($reader, q{SELECT reyearn_predict('x', 'gone') IS NOT NULL}), "$what: a new model");
	$primary->safe_psql('mail', q{SELECT reyearn_drop_model('gone')});
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	like(error_in($reader, q{SELECT reyearn_predict('x', 'gone')}), qr/^42704: model "gone" does not exist/, "$what: dropped");

	# Promoted, it trains. The sessions that were open go on.
	$standby->promote;
	is(ask($reader, $label), $new, "$what: promoted, it predicts");
	like(ask($reader, q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.3}')}), qr/^promoted$/, "$what: and trains");
	is(ask($reader, q{SELECT version FROM reyearn.predict_row('x', 'm')}), ask($committed, q{SELECT live_version FROM reyearn.model_overview}), "$what: what all sessions see");
	$_->quit for $reader, $committed, $repeatable;
	ok(is_unharmed($standby), "$what: no process crashed");
	$standby->stop;
}

# Logical replication: the tables of models and classes suffice to predict.
my $subscriber = start_server('subscriber', 'max_worker_processes = 12');
create_database($subscriber, 'mail');
$primary->safe_psql('mail', 'CREATE PUBLICATION models FOR TABLE reyearn.classes, reyearn.merged_classes, reyearn.models, reyearn.model_versions, reyearn.model_images');
$subscriber->safe_psql('mail', q{CREATE SUBSCRIPTION models CONNECTION '} . $primary->connstr . q{ dbname=mail' PUBLICATION models});
$subscriber->wait_for_subscription_sync($primary, 'models', 'mail');
my $reader = session($subscriber, 'mail');
my $label = q{SELECT reyearn_predict('Please book a hotel for the trade fair', 'm')};
my $old = ask($reader, $label);
is($old, $primary->safe_psql('mail', $label), 'a subscriber says the same');
ask($reader, 'BEGIN');
ask($reader, $label);
$primary->safe_psql('mail', q{SELECT reyearn_promote('m', CASE live_version WHEN 1 THEN 2 ELSE 1 END) FROM reyearn.model_overview});
$primary->wait_for_catchup('models');
my $new = ask($reader, $label);
is($new, $primary->safe_psql('mail', $label), 'a subscriber sees the flip in an open transaction');
isnt($new, $old, '... which makes a difference');
ask($reader, 'COMMIT');
becomes($subscriber, 'mail', q{SELECT string_agg(version || ' ' || memory || ' ' || loads, ', ' ORDER BY version) FROM reyearn.stat_models WHERE is_live OR memory <> 'absent'},
	$primary->safe_psql('mail', 'SELECT live_version FROM reyearn.model_overview') . ' live 1', '... which the worker that applied it has loaded');
$primary->safe_psql('mail', q{SELECT outcome FROM reyearn_train('m', '{"alpha": 0.4}')});
$primary->wait_for_catchup('models');
is(ask($reader, $label), $primary->safe_psql('mail', $label), 'a version trained after the subscription');
$primary->safe_psql('mail', q{SELECT count(*) FROM reyearn_move_class('email', 'post')});
$primary->wait_for_catchup('models');
like(ask($reader, $label), qr/^post\./, 'a class renamed');
$primary->safe_psql('mail', q{SELECT reyearn_drop_model('m')});
$primary->wait_for_catchup('models');
like(error_in($reader, $label), qr/^42704: model "m" does not exist/, 'a model dropped');
becomes($subscriber, 'mail', 'SELECT live + retired FROM reyearn.shared_memory()', '0', '... leaves nothing in memory');
$reader->quit;
ok(is_unharmed($_), 'no process crashed') for $primary, $subscriber;
$subscriber->stop;
$primary->stop;

done_testing();
