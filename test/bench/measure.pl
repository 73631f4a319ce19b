# Measures Reyearn and its peers; test/bench/run calls it. Arguments: the parts to measure.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../perl";

use Attach;
use Background;
use Bench;
use PostgreSQL::Test::Utils;
use Serving;
use Speed;
use Tenants;

my %measure = (
	predict => \&measure_predict,
	train => \&measure_train,
	load => \&measure_load,
	memory => \&measure_memory,
	call => \&measure_call,
	swap => \&measure_swap,
	first => \&measure_first,
	sessions => \&measure_sessions,
	retrain => \&measure_retrain,
	annotate => \&measure_annotate,
	idle => \&measure_idle,
	tenants => \&measure_tenants,
	attach => \&measure_attach);
my @need_pgbench = qw(call swap annotate tenants attach);

for my $part (@ARGV)
{
	die "unknown part $part; the parts are @{[ sort keys %measure ]}\n" if !$measure{$part};
}

sub load_average { return (split ' ', slurp_file('/proc/loadavg'))[0] }

say_line 'fastText is not installed: left out.' if !has_fasttext();
say_line 'No Python with scikit-learn: left out.' if !python();
if (!is_installed('pgbench'))
{
	say_line "pgbench is not installed: @need_pgbench are left out.";
	@ARGV = grep { my $part = $_; !grep { $_ eq $part } @need_pgbench } @ARGV;
}
start_bench_server();
say_line 'load average of the machine before: %s', load_average();
$measure{$_}->() for @ARGV;
say_line '';
say_line 'load average of the machine after: %s', load_average();
$server->stop;
