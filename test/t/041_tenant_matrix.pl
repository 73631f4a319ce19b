# Every object of the extension in every situation that a role can be in towards tenants, as test/perl/Matrix.pm has them:
# what comes of each is what should. And the same with a library without checks, which has to be noticed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use IPC::Run;
use List::Util qw(sum uniq);
use Matrix;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Tokens;

my $node = start_server('main', "log_statement = none\nrestart_after_crash = on\n");
create_roles($node);
create_database($node, 'checked');
fill_database($node, 'checked');

# --- What there is.

sub ask_for { my ($sql) = @_; return $node->safe_psql('checked', $sql) }

# The members of the extension that are of a kind.
sub members
{
	my ($class, $alias, $what, $where) = @_;
	return qq{SELECT $what FROM $class AS $alias JOIN pg_depend AS d ON d.classid = '$class'::regclass AND d.objid = $alias.oid AND d.deptype = 'e'
		JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND x.extname = 'reyearn' WHERE $where};
}

my %is_there = map { ($_ => 1) } objects_of($node, 'checked');
is(join(', ', grep { !$objects{$_} } sort keys %is_there), '', 'each object is in the matrix');
is(join(', ', grep { !$is_there{$_} } sort keys %objects), '', '... and each of the matrix is there');

is(ask_for(members('pg_class', 'c', 'c.oid::regclass', q{c.relkind = 'v' AND NOT coalesce(c.reloptions @> '{security_invoker=true,security_barrier=true}', false)})),
	'', 'views look with the rights of who looks, and are barriers');
is(ask_for(members('pg_class', 'c', 'c.oid::regclass', q{c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)})), '', 'tables have row security, for their owner too');
is(ask_for(members('pg_class', 'c', 'c.oid::regclass', q{c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid)})), '', '... and a policy');
is( ask_for(members('pg_proc', 'p', 'p.oid::regprocedure', q{p.prosecdef AND (p.prorettype <> 'trigger'::regtype
		OR NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting ~ '^search_path=pg_catalog, .*pg_temp$'))})),
	'', 'what has the rights of its owner is a trigger, with a search_path of its own');

# Types are left out: a name is all that can be had of them.
is( ask_for('SELECT pg_describe_object(classid, objid, 0), privilege_type FROM (' . join(' UNION ALL ',
		members('pg_class', 'c', q{d.classid, d.objid, coalesce(c.relacl, acldefault('r', c.relowner))}, 'true'),
		members('pg_class', 'c', q{d.classid, d.objid, a.attacl}, 'true') =~ s/ WHERE/ JOIN pg_attribute AS a ON a.attrelid = c.oid WHERE/r,
		members('pg_proc', 'p', q{d.classid, d.objid, coalesce(p.proacl, acldefault('f', p.proowner))}, 'true'),
		members('pg_namespace', 'n', q{d.classid, d.objid, coalesce(n.nspacl, acldefault('n', n.nspowner))}, 'true'))
		. ') AS object (classid, objid, rights), aclexplode(rights) WHERE grantee = 0'),
	'', 'PUBLIC has no right');
my $granted = q{(SELECT unnest(r.objects) FROM reyearn.list_rights() AS r)};
is(join(', ', grep { $_ ne 'reyearn_login' || $is_there{'reyearn_login(text)'} } split /\n/, ask_for("SELECT name FROM $granted AS granted (name) EXCEPT SELECT o.name FROM reyearn.list_objects() AS o")),
	'', 'what reyearn_grant() grants is there');
is(ask_for(members('pg_proc', 'p', 'p.oid::regprocedure', "p.proname NOT IN $granted AND has_function_privilege('alice', p.oid, 'EXECUTE')")), '', '... and no function besides');
is(ask_for(members('pg_proc', 'p', 'p.oid::regprocedure', "p.proname IN $granted AND NOT has_function_privilege('alice', p.oid, 'EXECUTE')")), '', '... and all of these');

# --- The matrix.

my %has_key;
sub make_token
{
	my ($tenant, $expires) = @_;
	if (!$has_key{$tenant}++)
	{
		my $public = make_key($tenant);
		ask_for("INSERT INTO reyearn.login_keys (key_id, public_key, issuer, audience, tenant_id) SELECT '$tenant', '$public', 'auth', 'mail', tenant_id FROM reyearn.tenants WHERE name = '$tenant'");
	}
	return token(header(kid => qq("$tenant")), payload(tenant => qq("$tenant"), exp => $expires), sub { raw_signature(signature_of($tenant, @_)) });
}

my @logins;
if (has_openssl($node, 'checked'))
{
	my $now = time;
	# Until 30 s after its end a token is still taken.
	push @logins, login_situations((map { ($_ => make_token($_, $now + 600)) } qw(acme beta)), expiring => sub { make_token('acme', time - 28) });
}
else
{
	note('no situations with tokens: the library was built without OpenSSL');
}

# The cells with something wrong in them, told as far as one reads.
sub show_failures
{
	my ($failures) = @_;
	diag(scalar(@$failures) . ' failures') if @$failures;
	diag("$_->{situation}, $_->{object}: $_->{why}") for @$failures[ 0 .. ($#$failures < 19 ? $#$failures : 19) ];
	return;
}

my $result = run_matrix($node, 'checked', @situations, @logins);
for my $situation (uniq map { $_->[0] } @situations, @logins)
{
	my @failures = grep { $_->{situation} eq $situation } @{ $result->{failures} };
	is(scalar(@failures), 0, "$situation: " . sum(values %{ $result->{cells}{$situation} }) . ' cells');
	note("$_->{situation}, $_->{object}: $_->{why}") for @failures;
}
show_failures($result->{failures});
note(sprintf '%d objects, %d situations, %d cells', scalar(grep { $is_there{$_} } keys %objects), scalar(keys %{ $result->{cells} }),
	sum(map { values %$_ } values %{ $result->{cells} }));

# --- Tables without functions before them.

my ($acme, $beta) = map { ask_for("SELECT tenant_id FROM reyearn.tenants WHERE name = '$_'") } qw(acme beta);
my $untouched = ask_for(q{SELECT matrix.others('acme')});
my $marks = marks_of($node, 'checked');

sub try_table
{
	my ($table) = @_;
	my ($has_tenant, $to_insert, $to_update) = split /\|/, ask_for(qq{
		SELECT bool_or(attname = 'tenant_id'), string_agg(quote_ident(attname), ',') FILTER (WHERE has_column_privilege('alice', attrelid, attname, 'INSERT') AND attidentity = '' AND attgenerated = ''),
		       max(quote_ident(attname)) FILTER (WHERE has_column_privilege('alice', attrelid, attname, 'UPDATE'))
		  FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped});
	my ($name) = $table =~ /(\w+)$/;
	my $denied = qr/^42501: permission denied for table $name$/;
	my $violated = qr/^42501: new row violates row-level security policy for table "$name"$/;
	my $from_beta = $has_tenant eq 't' ? "WHERE tenant_id = $beta" : '';
	my $own = ask_for("SELECT count(*) FROM $table " . ($has_tenant eq 't' ? "WHERE tenant_id = $acme" : ''));
	my @tries = (
		$to_insert ? [ "INSERT INTO $table ($to_insert) SELECT " . ($to_insert =~ s/\btenant_id\b/$beta/r) . " FROM $table", $violated ] : [ "INSERT INTO $table DEFAULT VALUES", $denied ],
		$has_tenant eq 't' ? [ "UPDATE $table SET tenant_id = $beta", qr/$denied|$violated/ ] : (),
		$to_update ? [ "WITH u AS (UPDATE $table SET $to_update = $to_update $from_beta RETURNING 1) SELECT count(*) FROM u", qr/^0$/ ] : (),
		[ "WITH d AS (DELETE FROM $table $from_beta RETURNING 1) SELECT count(*) FROM d", qr/^0$|$denied/ ],
		[ "SELECT count(*) FROM (SELECT FROM $table $from_beta FOR UPDATE) AS t", qr/^0$|$denied/ ],
		[ "SELECT count(*) FROM $table $from_beta", qr/^0$|$denied/ ],
		[ "COPY $table TO STDOUT", qr/$denied|^(?:[^\n]+(?:\n|$)){$own}$/ ],
		[ "TRUNCATE $table", $denied ]);
	my @answers = ask_as($node, 'checked', 'alice', 'acme', map { $_->[0] } @tries);
	my @wrong;
	for my $number (0 .. $#tries)
	{
		my ($statement, $expected) = @{ $tries[$number] };
		my $answer = $answers[$number];
		push @wrong, "$statement: $answer->{said}" if $answer->{said} !~ $expected;
		push @wrong, "$statement: changes what others have" if ($answer->{sum} // $untouched) ne $untouched;
		# Of beta, not of default: who shares a model with acme is told to it.
		push @wrong, "$statement: tells of beta" if $answer->{all} =~ $marks->{beta} && $name ne 'model_shares';
	}
	my $copied = error_of($node, 'checked', "SET ROLE alice; COPY $table" . ($to_insert ? " ($to_insert)" : '') . " FROM STDIN;\n\\.\n");
	push @wrong, "COPY FROM: $copied" if $copied !~ /$denied|^0A000: COPY FROM not supported with row-level security/;
	is_deeply(\@wrong, [], "$table: " . (1 + @tries) . ' ways to what beta has');
	return;
}

try_table($_) for split /\n/, ask_for(members('pg_class', 'c', 'c.oid::regclass', q{c.relkind = 'r'}));
my @inbox = ask_as($node, 'checked', 'alice', 'acme',
	q{INSERT INTO reyearn.inbox (body, label) VALUES ('mine', 'betasecret.mail')}, q{INSERT INTO reyearn.inbox (body, label) VALUES ('mine', 'nosuchsecret.mail')},
	q{DELETE FROM reyearn.inbox}, q{UPDATE reyearn.inbox SET body = 'mine'});
like($inbox[0]{said}, qr/^42704: class "betasecret\.mail" does not exist\nDETAIL:  There is no class above it either\./, 'the inbox: a label of another tenant');
is($inbox[1]{said} =~ s/nosuch/beta/gr, $inbox[0]{said}, '... is as unknown as one of nobody');
is(error_of($node, 'checked', "SET ROLE alice; COPY reyearn.inbox (body, label) FROM STDIN;\nmine\tbetasecret.mail\n\\.\n"), $inbox[0]{said}, '... with COPY too');
like($inbox[$_]{said}, qr/^42501: permission denied for view inbox$/, '... cannot be changed') for 2, 3;

# --- A membership that ends, seen by a session that has done all this before. Nothing but the statements themselves is
# done in it.

my %before = (
	q{SELECT reyearn_predict('acmesecret mail 1', 'acmesecret_model')} => 'acmesecret.mail',
	q{SELECT label FROM reyearn_predict_proba('acmesecret mail 1', 'acmesecret_model', top => 1)} => 'acmesecret.mail',
	q{SELECT reyearn.find_observation('acmesecret mail 1') > 0} => 't',
	q{SELECT reyearn.current_tenant()} => $acme,
	q{SELECT reyearn.usable_tenants()} => "{$acme}",
	q{SELECT count(*) > 0 FROM reyearn.observations} => 't',
	q{SELECT count(*) > 0 FROM reyearn.class_overview} => 't',
	q{SELECT reyearn_annotate_text('acmesecret mail 1', 'acmesecret.mail') > 0} => 't');
my $none = qr/ERROR:  42501: role "dave" may use no tenant|^\{\}$|^f$/;

for my $begin ('', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ')
{
	for my $statement (sort keys %before)
	{
		ask_for('GRANT acme TO dave');
		my $dave = session($node, 'checked');
		ask($dave, 'SET SESSION AUTHORIZATION dave');
		ask($dave, $begin) if $begin;
		is(ask($dave, $statement), $before{$statement}, "$begin, $statement: a member");
		ask_for('REVOKE acme FROM dave');
		my $answer = eval { ask($dave, $statement) } // $@;
		like($answer, $none, "$begin, $statement: a member no more");
		$dave->quit;
	}
}
ask_for('GRANT acme TO dave');

# A cursor over rows, read on after the membership has ended: rows keep coming by the rights of its opening, or they end.
# None are another tenant's.
for my $table (qw(observations annotations class_overview annotation_overview))
{
	my $dave = session($node, 'checked');
	ask($dave, "SET SESSION AUTHORIZATION dave; BEGIN; DECLARE c CURSOR FOR SELECT t::text FROM reyearn.$table AS t");
	my @rows = split /\n/, ask($dave, 'FETCH 3 FROM c');
	is(scalar(@rows), 3, "a cursor over $table: rows");
	ask_for('REVOKE acme FROM dave');
	my $more = $dave->query('FETCH ALL FROM c');
	unlike($more, $marks->{beta}, '... and when the membership has ended, none of another tenant');
	note(sprintf '%s: %d more rows', $table, scalar(split /\n/, $more));
	$dave->quit;
	ask_for('GRANT acme TO dave');
}

# --- A library without checks.

SKIP:
{
	my $unchecked = $ENV{REYEARN_UNCHECKED};
	skip('no library without checks: REYEARN_UNCHECKED', 1) if !$unchecked;
	create_database($node, 'unchecked');
	fill_database($node, 'unchecked');
	# A session loads one of the two libraries.
	$node->safe_psql('unchecked', "UPDATE pg_proc SET probin = '$unchecked' WHERE probin = '\$libdir/reyearn'");
	is($node->safe_psql('unchecked', "SELECT count(*) > 20 FROM pg_proc WHERE probin = '$unchecked'"), 't', 'a database with another library');

	# These find what others find, and take their time.
	my @tried = grep { $_->[0] !~ /^(?:parallel query|SET ROLE of a pool|SET ROLE in a transaction)$/ } @situations;
	my $wrong = run_matrix($node, 'unchecked', @tried);
	# What is wrong with the checks too proves nothing.
	my %is_wrong_anyway = map { ($_->{cell} => 1) } @{ $result->{failures} };
	my @caught = grep { !$is_wrong_anyway{ $_->{cell} } } @{ $wrong->{failures} };
	my (%by_object, %by_situation);
	for my $failure (@caught)
	{
		$by_object{ $failure->{object} }++;
		$by_situation{ $failure->{situation} }++;
	}
	cmp_ok(scalar @caught, '>', 2000, 'without checks: many cells are wrong');
	note("$_: " . ($by_situation{$_} // 0) . ' of ' . sum(values %{ $wrong->{cells}{$_} })) for sort keys %{ $wrong->{cells} };
	cmp_ok($by_situation{$_} // 0, '>', 20, "... $_") for uniq map { $_->[0] } @tried;

	my %cannot_be_caught = (
		(map { ("reyearn.$_" => 'nothing is being trained') } 'progress', 'training_now()'),
		'reyearn.tenant_id(text)' => 'names of tenants are no secret from admins',
		'reyearn.unknown_observation(bigint)' => 'says of every number that it is not there');
	is(join(', ', grep { is_over_tenants($_) && $is_there{$_} && !$by_object{$_} && !$cannot_be_caught{$_} } sort keys %objects), '',
		'... of each object that has to do with tenants');
	note("not caught: $_: $cannot_be_caught{$_}") for grep { !$by_object{$_} } sort keys %cannot_be_caught;
}

ok(is_unharmed($node), 'no process crashed');

done_testing();
