# The SQL in the documentation runs, and prints what the documentation says: every ```sql block of a page is run in
# order in a database of its own, and compared with the plain ``` block that follows it, if there is one.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
client_min_messages = warning
shared_preload_libraries = 'reyearn'
END
$node->start;

# Space at line ends and empty lines do not count.
sub tidy
{
	my ($text) = @_;
	return join "\n", map { s/\s+$//r } grep { /\S/ } split /\n/, $text;
}

# [sql, expected output or undef, line] of each block.
sub blocks
{
	my ($page) = @_;
	my @blocks;
	my $text = slurp_file($page);
	while ($text =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/gms)
	{
		my ($sql, $expected) = ($1, $2);
		my $line = 1 + (() = substr($text, 0, $-[0]) =~ /\n/g);
		push @blocks, [ $sql, $expected, $line ];
	}
	return @blocks;
}

for my $page ('README.md', glob 'docs/*.md')
{
	my @blocks = blocks($page);
	next unless @blocks;
	my $database = $page =~ s/\W/_/gr;
	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"));
	for my $block (@blocks)
	{
		my ($sql, $expected, $line) = @$block;
		my ($output, $errors);
		IPC::Run::run [
			'psql', '--no-psqlrc', '--quiet', '-P', 'footer=off', '-P', 'pager=off', '-v', 'ON_ERROR_STOP=1',
			'-d', $node->connstr($database)
		  ],
		  '<', \$sql, '>', \$output, '2>', \$errors;
		is($errors, '', "$page, line $line: runs");
		is(tidy($output), tidy($expected), "$page, line $line: prints what the page says") if defined $expected;
	}
}

# The reference names every function, view and setting.
my $reference = slurp_file('docs/reference.md');
$node->safe_psql('postgres', 'CREATE EXTENSION reyearn CASCADE');
my $names = $node->safe_psql(
	'postgres', q{
	SELECT DISTINCT proname::text FROM pg_proc WHERE proname ~ '^reyearn_'
	UNION SELECT name FROM pg_settings WHERE name ~ '^reyearn\.'
	UNION SELECT name FROM reyearn.parameters});
for my $name (split /\n/, $names)
{
	ok($reference =~ /`\Q$name\E\b/, "docs/reference.md names $name");
}

$node->stop;
done_testing();
