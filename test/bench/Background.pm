# What training in the background costs: how soon a new version answers, what annotating takes, what idling takes.

package Background;

use strict;
use warnings;

use Bench;
use DataSets;
use Exporter 'import';
use POSIX ();
use PostgreSQL::Test::Utils;
use Reyearn;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(measure_retrain measure_annotate measure_idle);

use constant { SECONDS => 10, CLIENTS => 2, IDLE_SECONDS => $ENV{IDLE_SECONDS} // 60 };

sub train_in_background
{
	my ($workers) = @_;
	sql('postgres', $_) for "ALTER SYSTEM SET reyearn.max_workers = $workers", 'SELECT pg_reload_conf()';
	return;
}

# From the commit of the last annotation that a model waits for to the first answer of another session, which asks all
# the time.

sub seconds_until_answer
{
	my ($set) = @_;
	my $last = sql($set, 'SELECT count(*) FROM reyearn.annotations') + 1;
	my ($annotator, $reader) = map { session($server, $set) } 1, 2;
	my ($root) = sql($set, q{SELECT subpath(label, 0, 1) FROM train LIMIT 1});
	ask($annotator, "SELECT reyearn_create_model('m', '$root', retrain_after => $last, retrain_delay => '0')");
	sleep 1;    # the worker that looks finds nothing due
	ask($annotator, q{SELECT reyearn_annotate_text('the last text of all', label) FROM train LIMIT 1});
	my $start = time;
	1 while error_in($reader, q{SELECT reyearn_predict('what is this', 'm')}) ne '';
	my $seconds = time - $start;
	$_->quit for $annotator, $reader;
	return ($last, $seconds);
}

sub measure_retrain
{
	train_in_background(2);
	say_line '';
	say_line '%-46s %9s %9s', 'commit of an annotation until the new answer', 'texts', 'seconds';
	my %load = (
		'AG News, a part' => sub {
			create_set($server, 'part');
			copy_files($server, 'part', 'train', 'ag_news_5k.train');
			sql('part', 'DELETE FROM train WHERE ctid NOT IN (SELECT ctid FROM train LIMIT 1000)');
			annotate_training_texts($server, 'part');
			return 'part';
		},
		'SpamAssassin, whole mails' => sub { load_spamassassin($server); return 'spamassassin' },
		'TweetEval emoji' => sub { load_set($server, 'emoji', train => ['tweeteval_emoji.train'], test => ['tweeteval_emoji.test']); return 'emoji' });
	say_line '%-46s %9d %9.2f', $_, seconds_until_answer($load{$_}->()) for sort keys %load;
	train_in_background(0);
	return;
}

# Annotations of one text each: without a model, with one that is told by a flag, with one that is told by NOTIFY too; and
# rows of a plain table.

sub per_second
{
	my ($statement, $options) = @_;
	my $script = script('annotate', "\\set n random(1, 1000000000)\n$statement\n");
	local $ENV{PGOPTIONS} = $options // '';
	my ($said) = run_command([ pgbench('annotate', '-T', SECONDS, '-c', CLIENTS, '-f', $script) ]);
	my ($rate) = $said =~ /tps = ([\d.]+)/;
	return $rate;
}

sub measure_annotate
{
	create_database($server, 'annotate');
	sql(
		'annotate', q{
		SELECT reyearn_create_class('a.one'), reyearn_create_class('a.two');
		CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text, body text, at timestamptz DEFAULT now())});
	my $annotate = q{SELECT reyearn_annotate_text('text number ' || :n || ' of many', CASE :n % 2 WHEN 0 THEN 'a.one' ELSE 'a.two' END);};
	train_in_background(2);
	say_line '';
	say_line '%-46s %9s', CLIENTS . ' clients, annotations a second', '';
	say_line '%-46s %9.0f', 'rows of a plain table', per_second(q{INSERT INTO plain (label, body) VALUES ('a.one', 'text number ' || :n || ' of many');});
	say_line '%-46s %9.0f', 'no model learns from them', per_second($annotate);
	sql('annotate', q{SELECT reyearn_create_model('m')});
	say_line '%-46s %9.0f', 'a model does, reyearn.notify off', per_second($annotate, '-c reyearn.notify=off');
	say_line '%-46s %9.0f', 'a model does, reyearn.notify on', per_second($annotate);
	say_line '%-46s %9d', 'trainings meanwhile', sql('annotate', 'SELECT count(*) FROM reyearn.runs');
	train_in_background(0);
	return;
}

# Nothing happens: CPU of the launcher, and of the postmaster with the workers that have come and gone.

sub cpu_milliseconds
{
	my ($pid, $with_children) = @_;
	my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //r;
	my $ticks = $fields[11] + $fields[12] + ($with_children ? $fields[13] + $fields[14] : 0);
	return 1000 * $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub measure_idle
{
	create_database($server, 'idle');
	train_in_background(2);
	sleep 5;
	my $launcher = sql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'reyearn launcher'});
	my ($postmaster) = slurp_file($server->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @before = (cpu_milliseconds($launcher), cpu_milliseconds($postmaster, 1));
	sleep IDLE_SECONDS;
	my @after = (cpu_milliseconds($launcher), cpu_milliseconds($postmaster, 1));
	say_line '';
	say_line '%-46s %9.0f', 'idle for ' . IDLE_SECONDS . ' s: launcher, ms of CPU', $after[0] - $before[0];
	say_line '%-46s %9.0f', 'postmaster and its workers, ms of CPU', $after[1] - $before[1];
	say_line '%-46s %9.1f', 'private memory of the launcher, MB', memory_of($launcher) / 1024;
	train_in_background(0);
	return;
}

1;
