# Errors by the thousand in one session: each keeps its SQLSTATE and its texts, no memory, file or thread is left behind,
# and everything works afterwards. So does memory over many predictions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main');
create_database($node, 'mail');
$node->safe_psql(
	'mail', q{
	SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home,tone.kind,tone.rude,big.a,big.b,none.x}'::text[]) AS l;
	SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home'),
	       reyearn_annotate_text('please', 'tone.kind');
	SELECT count(reyearn_annotate_text(body || ' n' || i, 'big.' || substr('ab', 1 + i % 2, 1)))
	  FROM (SELECT i, string_agg('w' || (hashint4(i * 16 + j) & 4095), ' ') AS body
	          FROM generate_series(1, 2500) AS i, generate_series(1, 12) AS j GROUP BY i) AS t;
	SELECT reyearn_create_model('post', 'mail', promotion => 'always'), reyearn_create_model('one class', 'tone'),
	       reyearn_create_model('nothing', 'none'), reyearn_create_model('all'),
	       reyearn_create_model('big', 'big', params => '{"ngram_range": [1, 3]}', promotion => 'never');
	SELECT outcome FROM reyearn_train('post');
	CREATE TABLE image AS SELECT reyearn_export_model('post') AS bytes;

	-- Resident memory of the backend and what PostgreSQL knows of it, in kB.
	CREATE FUNCTION resident() RETURNS int LANGUAGE sql AS $$
	    SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmRSS:\s+(\d+) kB'))[1]::int
	$$;
	CREATE FUNCTION contexts() RETURNS int LANGUAGE sql AS $$
	    SELECT (sum(total_bytes) / 1024)::int FROM pg_backend_memory_contexts
	$$;

	-- Fails as often as told, in turn with each of the statements; returns how often it was not the error expected, and an
	-- example.
	CREATE FUNCTION torture(statements text[], expected text[], rounds int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    wrong int := 0;
	    example text;
	    state text;
	    message text;
	    detail text;
	    hint text;
	BEGIN
	    FOR round IN 1 .. rounds LOOP
	        FOR i IN 1 .. cardinality(statements) LOOP
	            BEGIN
	                state := NULL;
	                EXECUTE statements[i];
	            EXCEPTION WHEN OTHERS THEN
	                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
	                    hint = PG_EXCEPTION_HINT;
	            END;
	            IF format('%s: %s', state, message) IS DISTINCT FROM expected[i] OR hint = '' THEN
	                wrong := wrong + 1;
	                example := format('%s gives %s: %s, %s, %s', statements[i], state, message, detail, hint);
	            END IF;
	        END LOOP;
	    END LOOP;
	    RETURN wrong || coalesce(', such as ' || example, '');
	END
	$$;
	});

my @errors = (
	[ q{SELECT reyearn_predict('x', 'unknown')}, '42704: model "unknown" does not exist' ],
	[ q{SELECT * FROM reyearn_predict_proba('x', 'unknown')}, '42704: model "unknown" does not exist' ],
	[ q{SELECT reyearn_predict('x')}, '42P08: there are several models, and none was named' ],
	[ q{SELECT reyearn_predict('x', 'big')}, '55000: model "big" has no live version' ],
	[ q{SELECT * FROM reyearn_predict_proba('x', 'post', top => 0)}, '22023: "top" must be at least 1' ],
	[ q{SELECT * FROM reyearn_predict_proba('x', 'post', depth => -1)}, '22023: "depth" must be at least 1' ],
	[ q{SELECT reyearn_predict_with('\x00', 'x')}, 'XX001: model image is damaged' ],
	[ q{SELECT reyearn_predict_with(set_byte(bytes, 600, 77), 'x') FROM image}, 'XX001: model image is damaged' ],
	[ q{SELECT reyearn_import_model('new', set_byte(bytes, 600, 77)) FROM image}, 'XX001: model image is damaged' ],
	[ q{SELECT reyearn_export_model('post', 77)}, '42704: version 77 of model "post" does not exist' ],
	[ q{SELECT reyearn_create_class('a..b')}, '22P02: invalid label "a..b"' ],
	[ q{SELECT reyearn_create_class(repeat('x', 300))}, '22P02: invalid label "' . 'x' x 300 . '"' ],
	[ q{SELECT reyearn_annotate(1, 'mail.grün')}, '22P02: invalid label "mail.grün"' ],
	[ q{SELECT reyearn_train('post', '{"alpha": "much"}')}, '22023: invalid value for parameter "alpha"' ],
	[ q{SELECT reyearn_train('post', '{"ngram_range": [2, 1]}')}, '22023: invalid value for parameter "ngram_range"' ],
	[ q{SELECT reyearn_train('post', '{"nonsense": [[[1]]]}')}, '42704: unknown parameter "nonsense"' ],
	[ q{SELECT reyearn_train('post', '[1]')}, '22023: "params" must be a JSON object' ],
	[ q{SELECT reyearn_train('post', '{"holdout": 0.5}')}, '22023: parameter "holdout" cannot be set for one training' ],
	[ q{SELECT reyearn_train('one class')}, '55000: there is only one class to learn' ],
	[ q{SELECT reyearn_train('nothing')}, '55000: there is nothing to learn from' ],
	[ q{SELECT reyearn_train('all')}, '55000: model "all" has no label root, and there are several types' ],
	[ q{SELECT reyearn_train('post', NULL)}, '22004: "params" must not be NULL' ],
	[ q{SELECT reyearn_train('post', wait => false)}, '55000: training in the background is switched off' ]);

sub in_sql { return 'ARRAY[' . join(', ', map { "\$s\$$_\$s\$" } @_) . ']'; }

my $session = session($node, 'mail');
ask($session, q{SET reyearn.training_threads = 3; SET maintenance_work_mem = '1MB'});
my $pid = ask($session, 'SELECT pg_backend_pid()');
sub torture
{
	my ($rounds) = @_;
	return ask($session, 'SELECT torture(' . in_sql(map { $_->[0] } @errors) . ', ' . in_sql(map { $_->[1] } @errors) . ", $rounds)");
}

# What a session holds: kB of memory of two kinds, and threads.
sub holds
{
	my @numbers = split(/\|/, ask($session, 'SELECT resident(), contexts()'));
	return (@numbers, scalar(() = glob("/proc/$pid/task/*")));
}

# What may be added to resident memory: the allocator's fragmentation, not something for each error.
my $slack = 12 * 1024;

sub check_holds
{
	my ($what, @before) = @_;
	my @after = holds();
	note("$what: resident $before[0] -> $after[0] kB, contexts $before[1] -> $after[1] kB");
	cmp_ok($after[0], '<', $before[0] + $slack, "$what: resident memory");
	cmp_ok($after[1], '<', $before[1] + 512, "$what: memory contexts");
	is($after[2], 1, "$what: threads");
	my @temporary = grep { (readlink($_) // '') =~ /pgsql_tmp/ } glob("/proc/$pid/fd/*");
	is(scalar(@temporary), 0, "$what: temporary files");
	return;
}

sub check_works
{
	my ($what) = @_;
	is(ask($session, q{SELECT reyearn_predict('birthday', 'post')}), 'mail.home', "$what: predicts");
	is(ask($session, q{BEGIN; SELECT outcome FROM reyearn_train('post', '{"seed": 7}'); SELECT reyearn_predict('birthday', 'post'); ROLLBACK}),
		"promoted\nmail.home", "$what: trains");
	return;
}

is(torture(20), '0', 'each error is as it should be');
check_works('at first');
my @before = holds();
is(torture(250), '0', scalar(@errors) * 250 . ' errors');
check_holds('errors', @before);
check_works('after the errors');

# PostgreSQL's errors while C++ objects are alive and threads run: raised by a policy for one of the rows that the
# training reads, by a trigger for what it writes.
$node->safe_psql(
	'mail', q{
	CREATE ROLE trainer;
	SELECT reyearn_grant('trainer', 'trainer');
	CREATE FUNCTION fail_at(place int) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
	    PERFORM set_config('my.calls', (current_setting('my.calls')::int + 1)::text, false);
	    IF current_setting('my.calls')::int = place THEN
	        RAISE EXCEPTION 'call %', place USING ERRCODE = 'R0001', DETAIL = 'It is due.', HINT = 'None.';
	    END IF;
	    RETURN true;
	END
	$$;
	CREATE POLICY failing ON reyearn.observations AS RESTRICTIVE USING (fail_at(current_setting('my.place')::int));
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	    RAISE EXCEPTION 'call %', current_setting('my.place') USING ERRCODE = 'R0001', DETAIL = 'It is due.', HINT = 'None.';
	END
	$$;
	});
sub train_and_fail
{
	my ($place) = @_;
	return ask($session, qq{
		SET my.calls = 0; SET my.place = $place;
		SELECT torture(ARRAY[\$s\$SELECT reyearn_train('big')\$s\$], ARRAY['R0001: call $place'], 1)});
}
ask($session, 'SET ROLE trainer');
is(ask($session, q{SET my.calls = 0; SET my.place = 0; BEGIN; SELECT outcome, current_setting('my.calls')::int >= 2 * 2500
	FROM reyearn_train('big'); ROLLBACK}), 'kept|t', 'the policy is asked for each text, twice');
my @places = (1, 500, 2499, 2500, 2501, 3200, 3501, 3700, 4200, 4501, 4700, 4999, 5000);
is(train_and_fail($_), "0", "an error at call $_") for @places;
ask($session, 'RESET ROLE');
check_works('after these errors');
@before = holds();
for my $round (1 .. 8)
{
	ask($session, 'SET ROLE trainer');
	my @wrong = grep { train_and_fail($_) ne "0" } @places;
	is_deeply(\@wrong, [], "errors while rows are read, round $round");
	ask($session, 'RESET ROLE');
}
check_holds('errors while rows are read', @before);
check_works('after them');

for my $table (qw(model_versions model_images experiments runs run_labels))
{
	ask($session, "CREATE TRIGGER fail BEFORE INSERT ON reyearn.$table FOR EACH ROW EXECUTE FUNCTION fail()");
	@before = holds();
	is( ask($session, qq{SET my.place = 42; SELECT torture(ARRAY[\$s\$SELECT reyearn_train('post', '{"seed": 42}')\$s\$], ARRAY['R0001: call 42'], 60)}),
		'0', "errors while $table is written");
	check_holds("errors while $table is written", @before);
	ask($session, "DROP TRIGGER fail ON reyearn.$table");
}
check_works('after the triggers');

# Cancelled trainings, caught within the statement, which then goes on.
ask($session, q{
	CREATE FUNCTION cancelled() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    said text := '';
	BEGIN
	    BEGIN
	        LOOP
	            PERFORM reyearn_train('big', format('{"seed": %s}', (random() * 1e9)::int)::jsonb);
	        END LOOP;
	    EXCEPTION WHEN query_canceled THEN
	        said := SQLERRM || ', ';
	    END;
	    SELECT said || outcome INTO said FROM reyearn_train('post', format('{"seed": %s}', (random() * 1e9)::int)::jsonb);
	    RETURN said || ', ' || reyearn_predict('birthday', 'post')::text;
	END
	$$});
my $caught = 0;
for my $round (1 .. 60)
{
	@before = holds() if $round == 21;
	ask($session, 'BEGIN; SET LOCAL statement_timeout = ' . (20 + $round % 20 * 20));
	$caught++ if ask($session, 'SELECT cancelled()') eq
	  'canceling statement due to statement timeout, promoted, mail.home';
	ask($session, 'ROLLBACK');
}
is($caught, 60, 'cancelled trainings, each caught by its statement');
check_holds('cancelled trainings', @before);
check_works('after the cancelled trainings');

# Predictions: many in one statement, many statements.
sub growth
{
	my ($call) = @_;
	my ($count, @growth) = split(/\|/, ask($session, qq{
		SELECT count(label), max(contexts) FILTER (WHERE i = 20000) - max(contexts) FILTER (WHERE i = 2000),
		       max(resident) FILTER (WHERE i = 20000) - max(resident) FILTER (WHERE i = 2000)
		  FROM (SELECT i, $call AS label, CASE WHEN i IN (2000, 20000) THEN resident() END AS resident,
		               CASE WHEN i IN (2000, 20000) THEN contexts() END AS contexts
		          FROM generate_series(1, 20000) AS i OFFSET 0) AS p}));
	is($count, 20000, "$call, 20,000 times");
	return @growth;
}
# PostgreSQL itself keeps some memory of each call of a function that returns a table: as much as for this one.
my @of_a_table = growth(q{(SELECT key FROM jsonb_each(jsonb_build_object('birthday', i)) ORDER BY value LIMIT 1)});
for my $call (q{reyearn_predict('birthday ' || i, 'post')}, q{reyearn_predict(repeat('birthday ', i % 100), 'post')},
	q{(SELECT label FROM reyearn_predict_proba('birthday ' || i, 'post') ORDER BY probability DESC LIMIT 1)},
	q{(SELECT label FROM reyearn.predict_row('birthday ' || i, 'post'))},
	q{reyearn_predict_with((SELECT bytes FROM image), 'birthday ' || i)})
{
	my @growth = growth($call);
	my @usual = $call =~ /proba/ ? @of_a_table : (0, 0);
	cmp_ok($growth[0], '<', $usual[0] + 256, '... memory contexts');
	cmp_ok($growth[1], '<', $usual[1] + 4096, '... resident memory');
}
for my $call (q{reyearn_predict('birthday %d', 'post')}, q{(SELECT count(*) FROM reyearn_predict_proba('birthday %d', 'post'))})
{
	ask($session, join('', "\\o /dev/null\n", map { "SELECT " . sprintf($call, $_) . ";\n" } 1 .. 2000) . '\o');
	@before = holds();
	$session->{timeout}->start;
	ask($session, join('', "\\o /dev/null\n", map { "SELECT " . sprintf($call, $_) . ";\n" } 1 .. 20000) . '\o');
	check_holds("20,000 statements with $call", @before);
}

$session->quit;
ok(is_unharmed($node), 'no process crashed');

done_testing();
