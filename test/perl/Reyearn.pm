# What the TAP tests share: servers with the extension, the sample mails, answers and errors of statements.

package Reyearn;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_server create_database load_emails session ask error_of error_in checksums live_version
  is_unharmed);

# A private server of little memory; what tests depend on are the defaults. Settings come as text.
sub start_server
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', "shared_buffers = 32MB\n" . ($settings // ''));
	$node->start;
	return $node;
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

# A session that stays; see ask() and error_in().
sub session
{
	my ($node, $database) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);
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
	my ($node, $database, $sql) = @_;
	$node->psql($database, $sql, stderr => \my $error, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return _tidy($error);
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
