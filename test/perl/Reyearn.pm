# What the TAP tests share: servers with the extension, the sample mails, answers and errors of statements.

package Reyearn;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(start_server create_database load_emails train_permuted session ask as error_of error_in begin_query end_query checksums
  live_version is_unharmed can_limit_shared_memory memory_of worker_starts kill_server wait_until_up wait_for becomes status_of);

# A private server of little memory on which nothing trains but what a test asks for; else what tests depend on are the
# defaults. Settings come as text. Options: those of init(), and shared_memory: the size of /dev/shm that it sees, as
# mount takes it.
sub start_server
{
	my ($name, $settings, %options) = @_;
	my $shared_memory = delete $options{shared_memory};
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ], %options);
	$node->append_conf('postgresql.conf', "shared_buffers = 32MB\nreyearn.max_workers = 0\n" . ($settings // ''));
	local $ENV{PATH} = _limited_pg_ctl($shared_memory) . ":$ENV{PATH}" if defined $shared_memory;
	$node->start;
	return $node;
}

# A namespace of its own in which /dev/shm is small, for a command; root of it only until that is mounted.
sub _limiting
{
	my ($size, @command) = @_;
	return ('unshare', '--map-root-user', '--mount', 'sh', '-c',
		"mount -t tmpfs -o size=$size tmpfs /dev/shm && exec unshare --user --map-user=1000 --map-group=1000 \"\$@\"",
		'sh', @command);
}

sub can_limit_shared_memory
{
	return IPC::Run::run([ _limiting('1M', 'true') ], '>', \my $out, '2>', \my $error);
}

# A directory with a pg_ctl that starts servers so.
sub _limited_pg_ctl
{
	my ($size) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	chomp(my $pg_ctl = `which pg_ctl`);
	my $command = join ' ', map { "'$_'" } _limiting($size, $pg_ctl);
	append_to_file("$directory/pg_ctl", "#!/bin/sh\nexec $command \"\$\@\"\n");
	chmod 0755, "$directory/pg_ctl" or die $!;
	return $directory;
}

# A database with the extension; options as in CREATE DATABASE.
sub create_database
{
	my ($node, $database, $options) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 " . ($options // ''));
	$node->safe_psql($database, 'CREATE EXTENSION reyearn CASCADE');
	return;
}

# The sample mails: table mails, and all of them annotated.
sub load_emails
{
	my ($node, $database) = @_;
	$node->safe_psql(
		$database, qq{
		SET client_encoding = 'UTF8';
		CREATE TABLE mails (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text, body text);
		\\copy mails (label, body) FROM '$ENV{REYEARN_SAMPLES}/emails.tsv'
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM mails) AS one;
		SELECT count(reyearn_annotate_text(body, label)) FROM mails;
		});
	return;
}

# Model m of the sample mails, with versions that are each trained on other labels than the one before; the last is live.
sub train_permuted
{
	my ($node, $database, $versions) = @_;
	load_emails($node, $database);
	$node->safe_psql(
		$database, q{
		SELECT reyearn_create_model('m', 'email', promotion => 'always', keep_versions => 100);
		CREATE TABLE label AS SELECT label, row_number() OVER (ORDER BY label) - 1 AS place FROM (SELECT DISTINCT label FROM mails) AS l;
		});
	for my $shift (0 .. $versions - 1)
	{
		$node->safe_psql(
			$database, qq{
			SELECT count(reyearn_annotate_text(body, shifted.label)) FROM mails JOIN label USING (label)
			  JOIN label AS shifted ON shifted.place = (label.place + $shift) % (SELECT count(*) FROM label);
			SELECT outcome FROM reyearn_train('m')});
	}
	return;
}

# Private memory of a process in kB, what it has of shared memory counted out.
sub memory_of
{
	my ($pid) = @_;
	my $rollup = slurp_file("/proc/$pid/smaps_rollup");
	my ($private) = $rollup =~ /^Private_Dirty:\s*(\d+) kB/m;
	return $private;
}

# How many workers have been started, on a server with log_min_messages = debug1.
sub worker_starts
{
	my ($node) = @_;
	my @starts = slurp_file($node->logfile) =~ /starting background worker process "reyearn worker"/g;
	return scalar @starts;
}

# kill -9 of the postmaster; returns when its children have noticed.
sub kill_server
{
	my ($node, $database) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @children = split /\n/, $node->safe_psql($database, 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	$node->kill9;
	for (1 .. 100)
	{
		last if !grep { kill 0, $_ } $postmaster, @children;
		usleep(100_000);
	}
	return;
}

# Waits until the server takes connections, after a crash. psql would do, but may go before it has read its query.
sub wait_until_up
{
	my ($node) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if IPC::Run::run([ 'pg_isready', '-q', '-h', $node->host, '-p', $node->port ]);
		usleep(100_000);
	}
	BAIL_OUT('the server does not come up again');
}

# Waits until a query of the database answers as expected.
sub wait_for
{
	my ($node, $database, $query, $expected) = @_;
	return $node->poll_query_until($database, $query, $expected // 't');
}

# A test of what a query answers, in the end: idle sessions let go of things in a moment of their own.
sub becomes
{
	my ($node, $database, $query, $expected, $what) = @_;
	my $answer;
	for (1 .. 100)
	{
		$answer = $node->safe_psql($database, $query);
		last if $answer eq $expected;
		usleep(100_000);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($answer, $expected, $what);
}

# What reyearn_status() says of a fact: value, state.
sub status_of
{
	my ($node, $database, $name) = @_;
	return $node->safe_psql($database, "SELECT value || ': ' || state FROM reyearn_status() WHERE name = '$name'");
}

# A session that stays, of a role or of the owner of the server; see ask() and error_in().
sub session
{
	my ($node, $database, $role) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0, extra_params => _of_role($role));
	$session->query('\set VERBOSITY verbose');
	return $session;
}

# What the session answers; an error ends the test.
sub ask
{
	my ($session, $sql) = @_;
	my ($answer, $error) = _query($session, $sql);
	die "$error\nin: $sql" if $error =~ /^psql.*(?:ERROR|FATAL):/m;
	return $answer;
}

# The error of a statement as "SQLSTATE: message", with DETAIL and HINT on lines of their own; empty: there was none.
sub error_in
{
	my ($session, $sql) = @_;
	my (undef, $error) = _query($session, $sql);
	return _tidy($error);
}

sub error_of
{
	my ($node, $database, $sql, $role) = @_;
	$node->psql($database, $sql, stderr => \my $error, extra_params => [ '-v', 'VERBOSITY=verbose', @{ _of_role($role) } ]);
	return _tidy($error);
}

# What a role is answered; an error ends the test.
sub as
{
	my ($node, $database, $role, $sql) = @_;
	return $node->safe_psql($database, $sql, extra_params => _of_role($role));
}

sub _of_role
{
	my ($role) = @_;
	return defined $role ? [ '-U', $role ] : [];
}

# A query in a session of its own that may have to wait; end_query() gives what it answered and its error.
sub begin_query
{
	my ($node, $database, $sql, $role) = @_;
	my %query = (out => '', error => '');
	$query{run} = IPC::Run::start [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database), @{ _of_role($role) }, '-c', $sql ],
	  '>', \$query{out}, '2>', \$query{error};
	return \%query;
}

sub end_query
{
	my ($query) = @_;
	$query->{run}->finish;
	chomp $query->{out};
	my $error = $query->{error} =~ s/^ERROR:/psql: ERROR:/mr;
	return ($query->{out}, _tidy($error));
}

sub _query
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	my ($answer) = $session->query($sql);
	return ($answer, $session->{stderr});
}

sub _tidy
{
	my ($error) = @_;
	return '' unless $error =~ /^psql.*?(?:ERROR|FATAL):  (.*)/ms;
	my $text = $1;
	$text =~ s/^(?:LOCATION|CONTEXT|LINE \d+|QUERY):.*//ms;
	chomp $text;
	return $text;
}

# A line for each table of the extension: its name, number of rows and a checksum of all it holds, but when the default
# tenant was made: CREATE EXTENSION does that.
sub checksums
{
	my ($node, $database) = @_;
	return $node->safe_psql(
		$database, q{
		SET timezone = 'UTC';
		SELECT format($$SELECT %L, count(*), md5(string_agg(row, '' ORDER BY row COLLATE "C"))
		                  FROM (SELECT md5(%s) FROM %s AS t) AS t (row)$$, c.oid::regclass,
		              CASE c.relname WHEN 'tenants' THEN 't.name || t.tenant_id' ELSE 't::text' END, c.oid::regclass)
		  FROM pg_class AS c
		 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind = 'r'
		 ORDER BY c.relname
		\gexec
		});
}

sub live_version
{
	my ($node, $database, $model) = @_;
	return $node->safe_psql($database,
		"SELECT live_version FROM reyearn.model_overview WHERE name = '$model'");
}

# Whether the server has run since its start without a crash of one of its processes.
sub is_unharmed
{
	my ($node) = @_;
	my $log = slurp_file($node->logfile);
	return $log !~ /was terminated by signal|PANIC:|terminating any other active server processes/
	  && $node->safe_psql('postgres', 'SELECT 1') eq '1';
}

1;
