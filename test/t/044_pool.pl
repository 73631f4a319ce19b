# Tenants behind a pool: pgbouncer has more clients than connections, and hands a connection from one tenant to the next
# after each transaction. Every answer is of the tenant that the transaction chose. That the checks would notice is
# shown by a run that forgets to choose.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Tokens;
use Time::HiRes qw(sleep time);

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), qw(/usr/sbin /usr/local/sbin);
plan skip_all => 'no pgbouncer' unless $pgbouncer;

my @tenants = qw(acme beta gamma delta);
my $clients = 16;
my $connections = 3;
my $seconds = 2;

my $node = start_server('main', "shared_preload_libraries = 'reyearn'\nfsync = off\nmax_connections = 60");
create_database($node, 'mail');

$node->safe_psql('mail', q{
	CREATE FUNCTION said(OUT label text, OUT name text, OUT tenants bigint) LANGUAGE plpgsql STABLE AS $$
	BEGIN
	    label := reyearn_predict('soup', 'm');
	    SELECT min(t.name), count(*) INTO name, tenants FROM reyearn.tenants AS t;
	    tenants := tenants * (SELECT count(DISTINCT tenant_id) FROM reyearn.observations);
	END
	$$});

# The login of the pool may act as each tenant; besides, each tenant has a login of its own.
$node->safe_psql('mail', join ';', 'CREATE ROLE pool LOGIN', map { ("CREATE ROLE $_", "CREATE ROLE ${_}_login LOGIN IN ROLE $_", "GRANT $_ TO pool", "SELECT reyearn_create_tenant('$_', '$_'), reyearn_grant('$_', 'trainer')") } @tenants);

# The same texts and the same model everywhere; the labels tell whose they are, and so does the number of texts.
for my $i (0 .. $#tenants)
{
	my $name = $tenants[$i];
	as($node, 'mail', "${name}_login", qq{
		SELECT count(reyearn_create_class('$name.' || c)) FROM unnest('{food,sport}'::text[]) AS c;
		SELECT count(reyearn_annotate_text('soup and bread ' || i, '$name.food')) + count(reyearn_annotate_text('ball and goal ' || i, '$name.sport')) FROM generate_series(1, 5) AS i;
		SELECT reyearn_create_model('m', '$name', promotion => 'always', retrain_after => 0);
		SELECT outcome FROM reyearn_train('m')});
}

my @started;
sub start_pool
{
	my ($mode) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$directory/users", join '', map { qq{"$_" ""\n} } 'pool', map { "${_}_login" } @tenants);
	append_to_file("$directory/ini", join "\n", '[databases]', 'mail = host=' . $node->host . ' port=' . $node->port . ' dbname=mail', '[pgbouncer]', 'listen_addr =', "listen_port = $port", "unix_socket_dir = $directory",
		'auth_type = trust', "auth_file = $directory/users", "pool_mode = $mode", "default_pool_size = $connections", 'max_client_conn = 100', "logfile = $directory/log", "pidfile = $directory/pid", '');
	my ($out, $error) = ('', '');
	my $run = IPC::Run::start [ $pgbouncer, '-q', "$directory/ini" ], '>', \$out, '2>', \$error;
	push @started, $run;
	for (1 .. 100) { last if -S "$directory/.s.PGSQL.$port"; sleep 0.05 }
	-S "$directory/.s.PGSQL.$port" or BAIL_OUT("pgbouncer does not start: $error");
	return { run => $run, host => $directory, port => $port };
}

# Each client is one tenant's, and raises an error when an answer is not: pgbench then stops that client, and what it
# said is found in its log. Returns transactions done, and the errors.
my $answers = q{
	SELECT 1 / (reyearn_predict('soup', 'm') = '%1$s.food' AND reyearn_predict('goal', 'm') = '%1$s.sport')::int AS own_prediction;
	SELECT 1 / (count(*) > 0 AND bool_and(subpath(label, 0, 1) = '%1$s'))::int AS own_probabilities FROM reyearn_predict_proba('soup', 'm');
	SELECT reyearn_annotate_text('text of %1$s ' || :client_id || ' ' || :n, '%1$s.food') AS id \gset
	SELECT 1 / (count(*) = 1)::int AS own_annotation FROM reyearn.annotation_overview WHERE annotation_id = :id AND label = '%1$s.food' AND annotated_by = '%2$s';
	SELECT reyearn_observe('shared by all ' || :n) AS text \gset
	SELECT 1 / (count(*) = 1 AND bool_and(tenant_id = %3$d))::int AS own_text FROM reyearn.observations WHERE observation_id = :text;
	SELECT 1 / (count(*) FILTER (WHERE tenant_id <> %3$d) = 0 AND count(*) >= 10)::int AS own_rows FROM reyearn.annotations;
	SELECT 1 / (count(*) = 3 AND bool_and(subpath(label, 0, 1) = '%1$s'))::int AS own_classes FROM reyearn.classes;
	SELECT 1 / (name = '%1$s' AND reyearn.usable_tenants() = ARRAY[%3$d])::int AS own_tenant FROM reyearn.tenants;
};

# What chooses the tenant, in each transaction of a client; and whom annotations are then of.
sub run_clients
{
	my ($pool, $what, $login, $choose, $author, $options) = @_;
	my @runs;
	my $is_first = 1;
	for my $i (0 .. $#tenants)
	{
		my $name = $tenants[$i];
		my $file = $node->basedir . '/' . ($what =~ s/\W+/_/gr) . "_$name.sql";
		append_to_file($file, "\\set n random(1, 1000000000)\n" . join "\n", 'BEGIN;', $choose->($name), sprintf($answers, $name, $author->($name), $i + 1), 'COMMIT;', '');
		my %run = (out => '', error => '');
		$run{run} = IPC::Run::start [ 'pgbench', '-n', '-c', $clients / @tenants, '-j', 1, '-T', $seconds, '-M', 'simple', @{ $options // [] }, '-f', $file, '-h', $pool->{host}, '-p', $pool->{port}, '-U', $login->($name), 'mail' ],
		  '>', \$run{out}, '2>', \$run{error};
		push @runs, \%run;
	}
	my ($done, @errors) = 0;
	for my $run (@runs)
	{
		$run->{run}->finish;
		$done += $1 if $run->{out} =~ /number of transactions actually processed: (\d+)/;
		push @errors, grep { /ERROR|FATAL|aborted/ } split /\n/, $run->{error};
	}
	return ($done, @errors);
}

sub no_leaks
{
	my ($pool, $what, @how) = @_;
	my ($done, @errors) = run_clients($pool, $what, @how);
	is_deeply(\@errors, [], "$what: every answer is of the own tenant");
	cmp_ok($done, '>', 100, "$what: $done transactions");
	my $used = $node->safe_psql('mail', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> current_user});
	note("$what: $done transactions of $clients clients over $used connections");
	return $used;
}

my $pool = start_pool('transaction');
my $as_pool = sub { 'pool' };
my $used = no_leaks($pool, 'SET LOCAL ROLE', $as_pool, sub { "SET LOCAL ROLE $_[0];" }, sub { $_[0] });
cmp_ok($used, '<=', $connections, '... over a few connections');
cmp_ok($used, '>', 0, '... which there are');
no_leaks($pool, 'SET LOCAL reyearn.tenant', $as_pool, sub { "SET LOCAL reyearn.tenant = '$_[0]';" }, sub { 'pool' });
no_leaks($pool, 'both', $as_pool, sub { "SET LOCAL ROLE $_[0]; SET LOCAL reyearn.tenant = '$_[0]';" }, sub { $_[0] });
# Functions keep their plans for whichever tenant comes next.
no_leaks($pool, 'plans that are kept', $as_pool, sub { "SET LOCAL ROLE $_[0]; SET LOCAL plan_cache_mode = force_generic_plan; SELECT 1 / (label = '$_[0].food' AND name = '$_[0]' AND tenants = 1)::int AS kept_plan FROM said();" }, sub { $_[0] });

# Transactions that fail, and functions that choose, leave nothing behind either.
no_leaks($pool, 'after errors', $as_pool, sub {
	my ($other) = grep { $_ ne $_[0] } @tenants;
	"SAVEPOINT a; SET LOCAL ROLE $other; SELECT reyearn_predict('soup', 'm'); SET LOCAL reyearn.tenant = '$other'; ROLLBACK TO a; SET LOCAL ROLE $_[0];" }, sub { $_[0] });

# A token for each transaction, where the library has logins.
SKIP:
{
	skip 'the library was built without OpenSSL', 2 if !has_openssl($node, 'mail');
	my $key = make_key('main');
	$node->safe_psql('mail', "INSERT INTO reyearn.login_keys (key_id, public_key, issuer, audience) VALUES ('main', '$key', 'auth', 'mail')");
	my %token = map { ($_ => token_with(tenant => qq("$_"))) } @tenants;
	no_leaks($pool, 'reyearn_login', $as_pool, sub { "SELECT reyearn_login('$token{$_[0]}');" }, sub { 'pool' });
}

# Controls. Who forgets to choose is told so; who chooses for the session and not for the transaction gets what another
# client has chosen, and the checks find it.
my ($done, @errors) = run_clients($pool, 'forgets to choose', $as_pool, sub { '' }, sub { 'pool' });
like(join("\n", @errors), qr/role "pool" may use (?:several tenants, and none was chosen|no tenant)/, 'a transaction that does not choose is refused');
is($done, 0, '... each of them');
($done, @errors) = run_clients($pool, 'chooses for the session', $as_pool, sub { "SET LOCAL ROLE pool; COMMIT; SET reyearn.tenant = '$_[0]'; SELECT pg_sleep(0.001); BEGIN;" }, sub { 'pool' });
like(join("\n", @errors), qr/division by zero|class "\w+\.food" does not exist/, 'one that chooses in another transaction gets answers of others, and that is noticed');
$pool->{run}->signal('TERM');
$pool->{run}->finish;

# A login for each tenant, pooled by session and by transaction.
for my $mode (qw(session transaction))
{
	$pool = start_pool($mode);
	no_leaks($pool, "a login for each tenant, $mode pooling", sub { "$_[0]_login" }, sub { '' }, sub { "$_[0]_login" }, $mode eq 'session' ? ['-C'] : []);
	$pool->{run}->signal('TERM');
	$pool->{run}->finish;
}

# What was written is where it belongs.
for my $i (0 .. $#tenants)
{
	my $name = $tenants[$i];
	is($node->safe_psql('mail', qq{SELECT count(*) FILTER (WHERE body LIKE 'text of $name %') > 100, count(*) FILTER (WHERE body LIKE 'text of %' AND body NOT LIKE 'text of $name %') FROM reyearn.observations WHERE tenant_id = $i + 1}),
		't|0', "texts of $name are with $name");
	is($node->safe_psql('mail', qq{SELECT count(*) FROM reyearn.annotations AS a JOIN reyearn.classes AS c USING (tenant_id, class_id) WHERE a.tenant_id = $i + 1 AND subpath(label, 0, 1) <> '$name'}), '0', '... and its annotations');
}
ok(is_unharmed($node), 'no process crashed');
done_testing();

END { $_->kill_kill for grep { $_->pumpable } @started }
