# When a model is trained by itself: after as many annotations and as late as it says, seldom enough not to keep a core
# busy, and again after a failure, but not for ever. Trainings have the rights of the model's owner and no others. A
# model that fails or is locked leaves the others alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_server('main',
	"shared_preload_libraries = 'reyearn'\nreyearn.max_workers = 2\nreyearn.probe_interval = 1\nmax_prepared_transactions = 5\nlog_min_messages = debug1");
create_database($node, 'mail');

# Runs of a model that ended as expected: the number of which becomes.
sub runs_become
{
	my ($model, $outcome, $count, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return becomes($node, 'mail',
		"SELECT count(*) FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = '$model' AND outcome IN ($outcome)", $count, $what);
}

sub schedule_of
{
	my ($model, $column) = @_;
	return $node->safe_psql('mail', "SELECT $column FROM reyearn.training_schedule WHERE name = '$model'");
}

sub query { return $node->safe_psql('mail', $_[0]) }

# The probe has looked again: what was due would have been trained.
sub probed
{
	my $before = worker_starts($node);
	for (1 .. 100) { last if worker_starts($node) >= $before + 3; sleep 0.1 }
	return;
}

# A model of two classes of its own, food and sport, trained by itself on a few texts of each if there are some.
sub create_model
{
	my ($name, $options, $texts, $owner) = @_;
	$owner //= query('SELECT current_user');
	query("SELECT reyearn_create_class('$name.food'), reyearn_create_class('$name.sport')");
	query("SELECT reyearn_annotate_text('soup $name ' || i, '$name.food'), reyearn_annotate_text('ball $name ' || i, '$name.sport') FROM generate_series(1, $texts) AS i") if $texts;
	query("BEGIN; SELECT reyearn_create_model('$name', '$name', promotion => 'always', $options);
		UPDATE reyearn.models SET owner = '$owner' WHERE name = '$name'; COMMIT");
	return;
}

my $learned = q{'promoted', 'kept', 'unchanged'};

my $texts = 0;

sub annotate
{
	my ($model, $count, $class) = @_;
	$class //= 'food';
	query("SELECT reyearn_annotate_text('text $texts ' || i, '$model.$class') FROM generate_series(1, $count) AS i");
	$texts++;
	return;
}

# As many as it says.
create_model('never', q{retrain_after => 0, retrain_delay => '0'}, 5);
create_model('fifth', q{retrain_after => 5, retrain_delay => '0'}, 5);
runs_become('fifth', $learned, 1, 'a model of texts that are there already is trained');
annotate('never', 100);
annotate('fifth', 4);
probed();
is(schedule_of('never', 'waiting, due_at IS NULL'), '110|t', 'retrain_after 0: never due');
is(schedule_of('fifth', 'waiting, due_at IS NULL'), '4|t', 'retrain_after 5: not due after four');
is(query('SELECT count(*) FROM reyearn.runs'), '1', '... and neither is trained');
annotate('fifth', 1);
runs_become('fifth', $learned, 2, '... but after the fifth');
is(schedule_of('fifth', 'waiting, due_at IS NULL'), '0|t', '... and it begins anew');
is(query('SELECT waiting, examples, is_requested, started_by = current_user, live_version FROM reyearn.runs ORDER BY run_id DESC LIMIT 1'), '5|15|f|t|1', '... recorded as due by five');
is(query('SELECT count(*) FROM reyearn.runs'), '2', '... alone');

# As late as it says.
create_model('late', q{retrain_delay => '1 hour'}, 0);
annotate('late', 5, 'sport');
annotate('late', 2);
is(query(q{SELECT s.due_at = min(n.time_created) + interval '1 hour' FROM reyearn.training_schedule AS s JOIN reyearn.news AS n USING (tenant_id, model_id) WHERE name = 'late' GROUP BY s.due_at}),
	't', 'retrain_delay: due an hour after the first of what waits');
probed();
runs_become('late', $learned, 0, '... and not before');
query(q{UPDATE reyearn.news SET time_created = time_created - interval '1 hour' WHERE model_id = (SELECT model_id FROM reyearn.models WHERE name = 'late')});
runs_become('late', $learned, 1, '... but then');
is(schedule_of('late', 'waiting, due_at IS NULL'), '0|t', '... with all that waited');

# Seldom enough.
create_model('pace', q{retrain_delay => '0'}, 5);
runs_become('pace', $learned, 1, 'a training');
my $mine = q{model_id = (SELECT model_id FROM reyearn.models WHERE name = 'pace')};
query("UPDATE reyearn.runs SET seconds = 100 WHERE $mine");
annotate('pace', 1);
is(query("SELECT s.due_at = r.time_finished + interval '1000 s' FROM reyearn.training_schedule AS s JOIN reyearn.runs AS r USING (tenant_id, model_id) WHERE $mine"),
	't', 'after one of 100 seconds it is due in 1,000');
probed();
runs_become('pace', $learned, 1, '... and not before');
query("BEGIN; UPDATE reyearn.runs SET seconds = 0.001, examples = 5000 WHERE $mine; SELECT reyearn_annotate_text('pace 48 ' || i, 'pace.food') FROM generate_series(1, 48) AS i; COMMIT");
is(schedule_of('pace', 'waiting'), '49', 'less than 1 % of 5,000 examples');
is(query("SELECT s.due_at = min(n.time_created) + interval '1 hour' FROM reyearn.training_schedule AS s JOIN reyearn.news AS n USING (tenant_id, model_id) WHERE $mine GROUP BY s.due_at"),
	't', '... is due in an hour');
probed();
runs_become('pace', $learned, 1, '... and not before');
query("UPDATE reyearn.runs SET examples = 1000 WHERE $mine");
runs_become('pace', $learned, 2, 'up to 1,000 examples each counts');
query("UPDATE reyearn.runs SET examples = 5000 WHERE $mine");
annotate('pace', 50);
runs_become('pace', $learned, 3, 'and 1 % of 5,000 does');

# Too little data is no failure.
create_model('young', q{retrain_delay => '0'}, 0);
for my $time (1 .. 5)
{
	annotate('young', 1);
	runs_become('young', q{'failed'}, $time, "one class only: try $time");
}
probed();
runs_become('young', q{'failed'}, 5, '... none without news');
is(query(q{SELECT count(*), bool_and(is_too_early) FROM reyearn.runs WHERE outcome = 'failed'}), '5|t', '... all too early');
is(schedule_of('young', 'is_parked, failures, due_at IS NULL'), 'f|0|t', '... and that does not park it');
annotate('young', 1, 'sport');
runs_become('young', $learned, 1, 'it learns when there is a second class');
is(schedule_of('young', 'is_parked, failures, waiting'), 'f|0|0', '... all of it');
# As many annotations wait as when it was too early; but it has learned since, by hand.
create_model('taught', q{retrain_delay => '0'}, 0);
annotate('taught', 1);
runs_become('taught', q{'failed'}, 1, 'too early with one annotation');
query(q{BEGIN; SELECT reyearn_alter_model('taught', retrain_after => 0); SELECT reyearn_annotate_text('taught by hand', 'taught.sport'); COMMIT;
	SELECT reyearn_train('taught'); SELECT reyearn_alter_model('taught', retrain_after => 1)});
annotate('taught', 1);
runs_become('taught', $learned, 2, 'trained by hand, it learns one annotation more by itself');

# One that always fails. Time is moved on by moving what was before.
sub hurry_on
{
	query(q{UPDATE reyearn.runs SET time_finished = time_finished - interval '1 hour' WHERE outcome = 'failed' AND NOT is_too_early});
	return;
}

sub fails_until_parked
{
	my ($model, $what) = @_;
	for my $try (1 .. 3)
	{
		runs_become($model, q{'failed'}, $try, "$what: try $try");
		is(schedule_of($model, "is_parked, failures, due_at = (SELECT max(time_finished) FROM reyearn.runs WHERE reyearn.runs.model_id = training_schedule.model_id AND outcome = 'failed') + interval '10 s' * 6 ^ ($try - 1)"),
			$try < 3 ? "f|$try|t" : 't|3|', "$what: " . (qw(10s 60s parked))[ $try - 1 ]);
		hurry_on();
	}
	probed();
	runs_become($model, q{'failed'}, 3, "$what: no try more");
	return;
}

create_model('broken', q{retrain_delay => '0', retrain_after => 0}, 5);
query(q{UPDATE reyearn.models SET params = '{"nonsense": 1}', retrain_after = 1 WHERE name = 'broken'});
annotate('fifth', 5);
fails_until_parked('broken', 'a parameter that is none');
runs_become('fifth', $learned, 3, '... another model is trained meanwhile');
like(status_of($node, 'mail', 'parked models'), qr/^broken \(unknown parameter "nonsense".*\): warning$/s, 'the status names it, and why');
is(query(q{SELECT advice FROM reyearn_status() WHERE name = 'parked models'}), 'They are not trained by themselves any more: remove the reason, then reyearn_train().', '... and what to do');
like(schedule_of('broken', 'reason'), qr/^unknown parameter "nonsense"/, '... and so does the schedule');
query(q{UPDATE reyearn.models SET params = '{}' WHERE name = 'broken'});
probed();
is(schedule_of('broken', 'is_parked, waiting'), 't|10', 'it stays parked when the reason is gone');
query(q{SELECT reyearn_alter_model('broken', keep_versions => 4)});
runs_become('broken', $learned, 1, '... until it is altered');
is(status_of($node, 'mail', 'parked models'), 'none: ok', '... and the status is at peace');

# The rights of the owner.
$node->safe_psql('postgres', 'CREATE ROLE poor; CREATE ROLE reader; CREATE ROLE gone');
query(q{SELECT reyearn_grant('reader', 'reader')});
query('GRANT reader TO gone');
create_model("of_$_", q{retrain_delay => '0'}, 5, $_) for qw(reader gone);
runs_become('of_gone', $learned, 1, 'an owner who may read as a member of a role');
runs_become('of_reader', $learned, 1, 'an owner who may read');
is(query(q{SELECT started_by FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'of_reader'}), 'reader', '... is named in the run');
probed();
create_model('of_poor', q{retrain_delay => '0'}, 5, 'poor');
fails_until_parked('of_poor', 'an owner without rights');
is(query(q{SELECT DISTINCT started_by, is_too_early, reason FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'of_poor'}),
	'poor|f|role "poor" may not use tenant "default"; It owns the model, which is trained in the background with its rights.; Give the model another owner with reyearn_alter_model().',
	'... named in the run, with what it lacks');
query('REVOKE SELECT ON reyearn.observations FROM reader');
annotate('of_reader', 1);
runs_become('of_reader', q{'failed'}, 1, 'an owner from whom the right was taken');
is(schedule_of('of_reader', 'reason, failures'), 'permission denied for table observations|1', '... and which');
query('GRANT SELECT ON reyearn.observations TO reader');
hurry_on();
runs_become('of_reader', $learned, 2, '... learns when it is given back');
is(query(q{SELECT outcome FROM reyearn_train('of_poor')}), 'promoted', 'whoever trains by hand does so with rights of his own');
is(schedule_of('of_poor', 'is_parked, failures, waiting'), 'f|0|0', '... and the model is parked no more');
annotate('of_poor', 1);
runs_become('of_poor', q{'failed'}, 4, '... but is tried again, in vain');
query(q{DELETE FROM reyearn.news; SELECT reyearn_drop_model('of_poor')});

# An owner who is gone.
$node->safe_psql('postgres', 'DROP ROLE gone');
annotate('of_gone', 1);
annotate('of_reader', 1);
runs_become('of_reader', $learned, 3, 'of two models, one whose owner was dropped, the other is trained');
probed();
runs_become('of_gone', q{'running', 'failed', 'promoted', 'kept', 'unchanged'}, 1, '... that one no more');
is(schedule_of('of_gone', 'is_parked, due_at IS NULL, waiting'), 't|t|1', '... it is parked');
is(status_of($node, 'mail', 'parked models'), 'of_gone (its owner was dropped): warning', '... and the status says so');
query(q{SELECT reyearn_alter_model('of_gone', owner => 'reader')});
runs_become('of_gone', $learned, 2, '... until it has another owner');

# One that is locked by somebody else.
create_model('held', q{retrain_delay => '0'}, 5);
runs_become('held', $learned, 1, 'a model');
my $holder = session($node, 'mail');
ask($holder, q{BEGIN; SELECT reyearn_alter_model('held', keep_versions => 3)});
annotate('held', 1);
probed();
annotate('fifth', 5);
runs_become('fifth', $learned, 4, 'a model that somebody has locked leaves others alone');
ask($holder, 'COMMIT');
runs_become('held', $learned, 2, '... and is trained when it is free');
$holder->quit;
ok(is_unharmed($node), 'no process crashed');
$node->stop;

# A worker that lives longer than a model: without a launcher it waits for what is due later.
$node = start_server('plain', 'reyearn.max_workers = 2');
create_database($node, 'mail');
create_model('later', q{retrain_delay => '1 hour'}, 5);
becomes($node, 'mail', 'SELECT workers FROM reyearn.background()', '1', 'a worker waits');
create_model('of_poor', q{retrain_delay => '0'}, 5, 'pg_monitor');
runs_become('of_poor', q{'failed'}, 1, 'a model made since then that fails is tried once');
is(schedule_of('of_poor', 'failures, is_parked'), '1|f', '... which counts');
is(query(q{SELECT count(*) FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'of_poor' AND runs.time_created < models.time_updated}),
	'0', '... and was recorded after the model was made');
$node->stop;

done_testing();
