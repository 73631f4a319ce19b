# Everything in shared memory is bounded. Where a bound is reached, sessions go on with copies of their own, say so once,
# and share again when they can.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time sleep);

my $reason = 'SELECT last_private_reason FROM reyearn.shared_memory()';

# The warnings of a statement.
sub warnings_in
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	$session->query($sql);
	my @warnings = $session->{stderr} =~ /WARNING: .*? own memory\nDETAIL:  (.*)\nHINT:  (.*)/g;
	return wantarray ? @warnings : scalar @warnings / 2;
}

# A database with many models of one small image, each with a class of its own kind of text.
sub create_models
{
	my ($node, $database, $count) = @_;
	create_database($node, $database);
	$node->safe_psql(
		$database, qq{
		SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home}'::text[]) AS l;
		SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home');
		SELECT reyearn_create_model('m1'); SELECT outcome FROM reyearn_train('m1');
		CREATE TABLE image AS SELECT reyearn_export_model('m1') AS bytes;
		SELECT sum(reyearn_import_model('m' || i, bytes)) FROM image, generate_series(2, $count) AS i});
	return;
}

# A statement that predicts with several models at once.
sub with_models
{
	my (@models) = @_;
	return 'SELECT count(*) FROM (' . join(' UNION ALL ', map { "SELECT reyearn_predict('meeting', 'm$_') AS l" } @models) . q{) AS p WHERE l = 'mail.work'};
}

# The table: without preloading it has 128 places.
{
	my $node = start_server('table');
	create_models($node, 'mail', 140);
	my $session = session($node, 'mail');

	# A session holds at most 12 at a time; more in one statement are private.
	is(scalar warnings_in($session, with_models(1 .. 12)), 0, 'twelve models in a statement are shared');
	my @warning = warnings_in($session, with_models(1 .. 15));
	is_deeply(
		\@warning,
		[ 'The statement uses more than 12 versions at once.', 'Use fewer models in one statement.' ],
		'of fifteen, some are not, with one warning');
	is(ask($session, with_models(1 .. 15)), '15', '... and all predict');
	is($node->safe_psql('mail', $reason), 'too_many_in_statement', '... the reason is kept');
	# One after the other there is no such bound.
	my $before = $node->safe_psql('mail', 'SELECT private_copies FROM reyearn.shared_memory()');
	for my $round (1, 2)
	{
		is(ask($session, "SELECT reyearn_predict('meeting', 'm$_')"), 'mail.work', "model $_") for 1 .. 40;
	}
	is($node->safe_psql('mail', 'SELECT private_copies FROM reyearn.shared_memory()'), $before, 'forty models in turn are all shared');
	becomes($node, 'mail', 'SELECT max(sessions) FROM reyearn.stat_models', '1', 'held by this session');
	cmp_ok($node->safe_psql('mail', 'SELECT count(*) FROM reyearn.stat_models WHERE sessions > 0'), '<=', 12, 'at most twelve of them');

	# What nobody uses makes room.
	ask($session, "SELECT reyearn_predict('meeting', 'm$_')") for 41 .. 140;
	is($node->safe_psql('mail', 'SELECT private_copies FROM reyearn.shared_memory()'), $before, '140 models in turn in a table of 128');
	is($node->safe_psql('mail', 'SELECT places, live FROM reyearn.shared_memory()'), '128|128', 'the table is full');

	# All are in use: by eleven sessions with twelve each.
	$session->quit;
	my @sessions = map { session($node, 'mail') } 1 .. 11;
	for my $i (0 .. 10)
	{
		my @models = map { 12 * $i + $_ } 1 .. 12;
		my $warnings = warnings_in($sessions[$i], 'BEGIN; ' . with_models(@models));
		is($warnings, $i < 10 ? 0 : 1, "session $i");
		is(ask($sessions[$i], with_models(@models)), '12', "session $i predicts with all");
	}
	is($node->safe_psql('mail', $reason), 'too_many_versions', 'the table is full of what is in use');
	like(status_of($node, 'mail', 'private models'), qr/^\d+ (?:bytes|kB) in 1 sessions: warning$/, 'the status warns');
	$_->quit for @sessions;
	becomes($node, 'mail', 'SELECT sessions_with_private, private_bytes FROM reyearn.shared_memory()', '0|0', 'private copies go with their sessions');
	ok(is_unharmed($node), 'no process crashed');
	$node->stop;
}

# The limit. Images of about 0.7 MB in 1 MB.
{
	my $node = start_server('limit', "shared_preload_libraries = 'reyearn'\nreyearn.shared_memory_limit = '1MB'\ndynamic_shared_memory_type = mmap");
	create_database($node, 'mail');
	train_permuted($node, 'mail', 1);
	$node->safe_psql('mail', q{
		SELECT reyearn_annotate_text(string_agg(md5(i::text), ' '), 'email.marketing') FROM generate_series(1, 8000) AS i;
		SELECT outcome FROM reyearn_train('m');
		SELECT outcome FROM reyearn_train('m', '{"alpha": 0.5}');
		SELECT reyearn_import_model('n', reyearn_export_model('m', 2));
		SELECT reyearn_create_model('huge', 'email')});
	is($node->safe_psql('mail', 'SELECT count(*) FROM reyearn.model_versions WHERE image_bytes BETWEEN 550000 AND 950000'), '3', 'one fits, two do not');
	my ($first, $second) = map { session($node, 'mail') } 1, 2;
	is(scalar warnings_in($first, q{SELECT reyearn_predict('hotel', 'm')}), 0, 'one is shared');
	my @warning = warnings_in($second, q{SELECT reyearn_predict('hotel', 'n'), reyearn_predict('fair', 'n')});
	like($warning[0], qr/^With its \d+ bytes, reyearn\.shared_memory_limit \(1 MB\) would be passed\.$/, 'two are not');
	is($warning[1], 'Raise reyearn.shared_memory_limit; reyearn_status() shows what is used.', '... and what to do');
	my $private_since = time;
	is(scalar warnings_in($second, q{SELECT reyearn_predict('hotel', 'n')}), 0, 'it is said once');
	is($node->safe_psql('mail', $reason), 'over_limit', 'the reason');
	like(status_of($node, 'mail', 'private models'), qr/^\d+ kB in 1 sessions: warning$/, 'the status warns');
	is($node->safe_psql('mail', 'SELECT live, retired FROM reyearn.shared_memory()'), '1|0', 'within the limit');
	$first->quit;
	becomes($node, 'mail', q{SELECT max(sessions) FROM reyearn.stat_models}, '0', 'nobody uses the first any more');
	is(scalar warnings_in($second, q{SELECT reyearn_predict('hotel', 'n')}), 0, 'a private copy is kept for a while');
	is($node->safe_psql('mail', q{SELECT memory FROM reyearn.stat_models WHERE model = 'n'}), 'absent', '...');
	sleep($private_since + 10.5 - time) if $private_since + 10.5 > time;
	is(scalar warnings_in($second, q{SELECT reyearn_predict('hotel', 'n')}), 0, 'then it is looked for room again');
	is($node->safe_psql('mail', q{SELECT memory || ' ' || sessions FROM reyearn.stat_models WHERE model = 'n'}), 'live 1', '... and shared');
	becomes($node, 'mail', 'SELECT sessions_with_private FROM reyearn.shared_memory()', '0', '... and the private copy is gone');
	is($node->safe_psql('mail', q{SELECT count(*) FROM reyearn.stat_models WHERE model = 'm' AND memory <> 'absent'}), '0', 'what nobody used made room');

	# A higher limit holds on reload.
	$node->append_conf('postgresql.conf', q{reyearn.shared_memory_limit = '4MB'});
	$node->reload;
	wait_for($node, 'mail', q{SELECT limit_bytes = 4 << 20 FROM reyearn.shared_memory()});
	my $third = session($node, 'mail');
	is(scalar warnings_in($third, q{SELECT reyearn_predict('hotel', 'm')}), 0, 'both are shared with a higher limit');
	is($node->safe_psql('mail', 'SELECT live FROM reyearn.shared_memory()'), '2', 'both');
	like(error_in($third, q{SET reyearn.shared_memory_limit = '1GB'}), qr/^55P02/, 'it cannot be set in a session');

	# Fifty idle sessions, each with what was live when it predicted, and a hundred swaps: two images at the most.
	my $bytes = $node->safe_psql('mail', 'SELECT max(image_bytes) FROM reyearn.model_versions');
	my @idle;
	my $highest = 0;
	for my $swap (1 .. 100)
	{
		ask($third, 'SELECT reyearn_promote($$m$$, ' . (2 + $swap % 2) . ')');
		if ($swap % 2)
		{
			push @idle, session($node, 'mail');
			ask($idle[-1], q{SELECT reyearn_predict('hotel', 'm')});
		}
		my $now = ask($third, 'SELECT live_bytes + retired_bytes FROM reyearn.shared_memory()');
		$highest = $now if $now > $highest;
	}
	is(scalar @idle, 50, 'fifty idle sessions');
	cmp_ok($highest, '<=', 4 << 20, "never more than the limit: $highest");
	becomes($node, 'mail', 'SELECT live, retired FROM reyearn.shared_memory()', '2|0', 'of model m one version, of n one, none retired');
	is(ask($third, 'SELECT private_bytes FROM reyearn.shared_memory()'), '0', 'no private copies');
	is(ask($_, q{SELECT reyearn_predict('hotel', 'm')}), ask($third, q{SELECT reyearn_predict('hotel', 'm')}), 'all agree') for @idle[ 0, 25, 49 ];

	# Old snapshots keep what they need, within the limit; beyond it sessions get copies of their own.
	for my $i (0 .. 7)
	{
		ask($third, 'SELECT reyearn_promote($$m$$, ' . (2 + $i % 2) . ')');
		ask($idle[$i], q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reyearn_predict('hotel', 'm')});
	}
	cmp_ok(ask($third, 'SELECT live_bytes + retired_bytes FROM reyearn.shared_memory()'), '<=', 3 * $bytes, 'old snapshots share what they need');
	ask($_, 'COMMIT') for @idle[ 0 .. 7 ];
	becomes($node, 'mail', 'SELECT live, retired FROM reyearn.shared_memory()', '2|0', 'and let it go');

	# Fast shutdown in the middle of it all: nothing is left, and nobody crashes.
	ask($idle[0], q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reyearn_predict('hotel', 'm')});
	ask($third, q{SELECT reyearn_promote('m', 2); SELECT reyearn_promote('m', 3)});
	cmp_ok(scalar(my @files = glob $node->data_dir . '/pg_dynshmem/mmap.*'), '>', 2, 'segments are files here');
	ok(is_unharmed($node), 'no process crashed');
	$node->stop('fast');
	is(join(' ', glob $node->data_dir . '/pg_dynshmem/*'), '', 'none is left after a fast shutdown');
	$node->start;
	is($node->safe_psql('mail', 'SELECT live FROM reyearn.shared_memory()'), '0', 'the server begins anew');
	like($node->safe_psql('mail', q{SELECT reyearn_predict('hotel', 'm')}), qr/^email/, '... and predicts');
	$node->stop;
	eval { $_->quit } for @idle, $third, $second;
}

# No room for the table: it is private then, and the status says what to do. Preloaded, there is room. What PostgreSQL
# leaves free of its shared memory is used up by locks first.
for my $preload (0, 1)
{
	my $node = start_server("full_$preload", $preload ? q{shared_preload_libraries = 'reyearn'} : '');
	like(error_of($node, 'postgres', 'SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 10000000) AS i'), qr/^53200: out of shared memory/,
		'no shared memory is left');
	create_models($node, 'mail', 2);
	my $session = session($node, 'mail');
	my @warning = warnings_in($session, with_models(1, 2));
	is_deeply(
		\@warning,
		$preload
		? []
		: [ q{The server's shared memory had no room left for reyearn, which is not preloaded.},
			'Add it to shared_preload_libraries and restart the server.' ],
		$preload ? 'preloaded' : 'not preloaded');
	is(ask($session, with_models(1, 2)), '2', 'models predict');
	like(ask($session, q{SELECT reyearn_promote('m1', 1); SELECT outcome FROM reyearn_train('m1', '{"alpha": 0.5}')}), qr/promoted|kept/, '... and are trained');
	is(ask($session, 'SELECT places > 0, live > 0 FROM reyearn.shared_memory()'), $preload ? 't|t' : 'f|f', '... shared or not');
	is(status_of($node, 'mail', 'shared models') =~ /: (\w+)$/ ? $1 : '', $preload ? 'ok' : 'warning', '... and the status says so');
	$session->quit;
	ok(is_unharmed($node), 'no process crashed');
	$node->stop;
}

done_testing();
