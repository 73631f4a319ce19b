# Predictions follow the transaction: what it trained or promoted answers at once, and no more after ROLLBACK, also from
# one place in the code that had predicted with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;

my $node = start_server('main', 'max_prepared_transactions = 2');
create_database($node, 'mail');

# Version 1 calls a meeting work, version 2 calls it home: what is said shows which version says it.
$node->safe_psql(
	'mail', q{
	SELECT reyearn_create_class('mail.work'), reyearn_create_class('mail.home');
	SELECT reyearn_create_model('post', 'mail', promotion => 'always');
	SELECT reyearn_annotate_text('meeting', 'mail.work'), reyearn_annotate_text('birthday', 'mail.home');
	SELECT outcome FROM reyearn_train('post');

	CREATE FUNCTION swap() RETURNS void LANGUAGE sql AS $$
	    SELECT reyearn_correct(annotation_id, CASE label WHEN 'mail.work' THEN 'mail.home' ELSE 'mail.work' END)
	      FROM reyearn.annotation_overview WHERE status = 'confirmed'
	$$;
	-- Each has one place that predicts, used again and again within a transaction.
	CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN reyearn_predict('meeting', 'post');
	END
	$$;
	CREATE FUNCTION seen_stable() RETURNS text STABLE LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN reyearn_predict('meeting', 'post');
	END
	$$;
	CREATE FUNCTION seen_row() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    found record;
	BEGIN
	    SELECT * INTO found FROM reyearn_predict_proba('meeting', 'post', top => 1);
	    RETURN found.label;
	END
	$$;
	CREATE FUNCTION seen_everywhere() RETURNS text LANGUAGE sql AS $$
	    SELECT string_agg(DISTINCT label, ' and ') FROM (VALUES (seen()), (seen_stable()), (seen_row()),
	      (reyearn_predict('meeting', 'post')::text), ((SELECT label::text FROM reyearn.predict_row('meeting', 'post')))) AS s (label)
	$$;
	});

my ($mine, $other) = map { session($node, 'mail') } 1 .. 2;

sub both_see
{
	my ($i, $they, $when) = @_;
	is(ask($mine, 'SELECT seen_everywhere()'), "mail.$i", "$when: the own session");
	is(ask($other, 'SELECT seen_everywhere()'), "mail.$they", "$when: another session");
	return;
}

# Training.
both_see('work', 'work', 'at first');
ask($mine, 'BEGIN');
both_see('work', 'work', 'in a transaction');
ask($mine, 'SELECT swap()');
is(ask($mine, q{SELECT version, outcome FROM reyearn_train('post')}), '2|promoted', 'trained in a transaction');
both_see('home', 'work', 'before COMMIT');
ask($mine, 'ROLLBACK');
both_see('work', 'work', 'after ROLLBACK');
is(ask($mine, 'SELECT count(*) FROM reyearn.model_versions'), '1', 'the version is gone');

# A failed statement takes what it trained with it.
like(error_in($mine, q{SELECT swap(), (SELECT outcome FROM reyearn_train('post')), seen(), 1 / (length(seen()) - length(seen()))}),
	qr/^22012:/, 'a statement that fails after its training');
both_see('work', 'work', 'after the failure');

ask($mine, 'BEGIN; SELECT swap()');
is(ask($mine, q{SELECT outcome FROM reyearn_train('post')}), 'promoted', 'trained again');
both_see('home', 'work', 'before COMMIT');
ask($mine, 'COMMIT');
both_see('home', 'home', 'after COMMIT');

# Savepoints.
ask($mine, 'BEGIN');
both_see('home', 'home', 'before the savepoint');
ask($mine, q{SAVEPOINT a; SELECT reyearn_promote('post', 1)});
both_see('work', 'home', 'after a promotion');
ask($mine, 'SAVEPOINT b');
both_see('work', 'home', 'after one more savepoint');
is(ask($mine, q{SELECT reyearn_promote('post', 2); SELECT seen_everywhere()}), "\nmail.home", 'promoted again');
ask($mine, 'ROLLBACK TO b');
both_see('work', 'home', 'after ROLLBACK TO b');
ask($mine, 'RELEASE b');
both_see('work', 'home', 'after RELEASE b');
ask($mine, 'ROLLBACK TO a');
both_see('home', 'home', 'after ROLLBACK TO a');
is(ask($mine, q{SELECT swap(); SELECT outcome FROM reyearn_train('post', '{"alpha": 0.5}')}), "\npromoted",
	'trained within a savepoint');
both_see('work', 'home', 'after that training');
ask($mine, 'ROLLBACK TO a');
both_see('home', 'home', 'after ROLLBACK TO a');
ask($mine, 'COMMIT');
both_see('home', 'home', 'in the end');

# Exception blocks: one call of one function that predicts at one place.
$node->safe_psql(
	'mail', q{
	CREATE FUNCTION tries(change text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	    said text := '';
	BEGIN
	    FOR i IN 1 .. 7 LOOP
	        BEGIN
	            IF i IN (2, 4) THEN
	                EXECUTE change;
	            END IF;
	            said := said || ' ' || split_part(reyearn_predict('meeting', 'post')::text, '.', 2);
	            IF i IN (2, 4, 6) THEN
	                said := said || '(' || split_part((SELECT label::text FROM reyearn_predict_proba('meeting', 'post', 1)), '.', 2) || ')';
	                RAISE EXCEPTION 'no';
	            END IF;
	        EXCEPTION WHEN raise_exception THEN
	            said := said || '-';
	        END;
	    END LOOP;
	    RETURN said;
	END
	$$;
	});
is(ask($mine, q{SELECT tries($$SELECT reyearn_promote('post', 1)$$)}),
	' home work(work)- home work(work)- home home(home)- home',
	'a promotion taken back by an exception block');
is(ask($mine, q{SELECT tries($$SELECT swap(), reyearn_train('post')$$)}),
	' home work(work)- home work(work)- home home(home)- home',
	'a training taken back by an exception block');
is(ask($mine, q{BEGIN; SELECT tries($$SELECT reyearn_promote('post', 1)$$), seen(); ROLLBACK}),
	' home work(work)- home work(work)- home home(home)- home|mail.home',
	'the same in a transaction block');

# A change that nobody takes back, in the middle of one function.
is( ask($mine, q{
		BEGIN;
		DO $$
		DECLARE
		    said text := '';
		BEGIN
		    FOR i IN 1 .. 4 LOOP
		        said := said || ' ' || split_part(reyearn_predict('meeting', 'post')::text, '.', 2);
		        PERFORM reyearn_promote('post', 1 + i % 2);
		    END LOOP;
		    PERFORM set_config('my.said', said, false);
		END
		$$;
		SELECT current_setting('my.said');
		ROLLBACK}),
	' home home work home',
	'one place sees each promotion of its own function');
both_see('home', 'home', 'after its ROLLBACK');

# A procedure that commits and rolls back: one place, several transactions.
$node->safe_psql(
	'mail', q{
	CREATE PROCEDURE moves(INOUT said text) LANGUAGE plpgsql AS $$
	BEGIN
	    FOR i IN 1 .. 6 LOOP
	        said := said || ' ' || split_part(reyearn_predict('meeting', 'post')::text, '.', 2);
	        PERFORM reyearn_promote('post', 1 + (i + 1) % 2);
	        said := said || '/' || seen();
	        IF i % 3 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
	    END LOOP;
	END
	$$;
	});
is( ask($mine, q{CALL moves('')}),
	' home/mail.work home/mail.home home/mail.work work/mail.home work/mail.work work/mail.home',
	'one place in a procedure with COMMIT and ROLLBACK');
both_see('home', 'home', 'after the procedure');

# Two-phase commit.
ask($mine, q{BEGIN; SELECT reyearn_promote('post', 1)});
both_see('work', 'home', 'before PREPARE TRANSACTION');
ask($mine, q{PREPARE TRANSACTION 'promotion'});
both_see('home', 'home', 'after PREPARE TRANSACTION');
like(error_in($other, q{SET lock_timeout = '100ms'; SELECT reyearn_promote('post', 1)}), qr/^55P03:/,
	'the model stays locked');
ask($other, q{RESET lock_timeout; COMMIT PREPARED 'promotion'});
both_see('work', 'work', 'after COMMIT PREPARED');

# REPEATABLE READ keeps its version, whatever else happens in it.
ask($mine, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT seen_everywhere()');
ask($other, q{SELECT reyearn_promote('post', 2)});
both_see('work', 'home', 'REPEATABLE READ while another session promotes');
ask($mine, 'CREATE TEMP TABLE something (i int); INSERT INTO something VALUES (1)');
both_see('work', 'home', 'REPEATABLE READ after it wrote');
ask($mine, 'SAVEPOINT a; DROP TABLE something; ROLLBACK TO a');
both_see('work', 'home', 'REPEATABLE READ after ROLLBACK TO SAVEPOINT');
ask($mine, 'COMMIT');
both_see('home', 'home', 'after REPEATABLE READ');

# A transaction that touches no table sees the flip at its next statement, though one place predicts.
ask($mine, 'BEGIN');
for my $round (1 .. 4)
{
	my $expected = $round % 2 ? 'home' : 'work';
	is(ask($mine, q{SELECT seen(), reyearn_predict('meeting', 'post')}), "mail.$expected|mail.$expected",
		"READ COMMITTED, statement $round");
	ask($other, "SELECT reyearn_promote('post', " . ($round % 2 ? 1 : 2) . ')');
}
ask($mine, 'COMMIT');

# A cursor WITH HOLD, of one version although it is read after the transaction.
ask($mine, q{BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT i, reyearn_predict('meeting', 'post') FROM generate_series(1, 3) AS i});
is(ask($mine, 'FETCH c'), '1|mail.home', 'a cursor, first row');
ask($other, q{SELECT reyearn_promote('post', 1)});
ask($mine, 'COMMIT');
is(ask($mine, 'FETCH ALL FROM c'), "2|mail.home\n3|mail.home", 'a cursor, the others after COMMIT');
ask($mine, 'CLOSE c');
both_see('work', 'work', 'after the cursor');

# One statement with several places and many rows: one version, while another session promotes without pause.
my $stop = 0;
my $flips = $node->background_psql('mail');
$flips->{stdin} .= join("\n", map { "SELECT reyearn_promote('post', " . (1 + $_ % 2) . ');' } 1 .. 300) . "\n\\echo 'the end'\n";
$flips->{run}->pump_nb;
my ($mixed, $statements, %versions) = (0, 0);
until ($flips->{stdout} =~ /the end/)
{
	my $answer = ask($mine, q{
		SELECT count(DISTINCT label), min(label) FROM (
		    SELECT reyearn_predict('meeting', 'post')::text FROM generate_series(1, 300)
		    UNION ALL SELECT seen_stable() FROM generate_series(1, 300)
		    UNION ALL SELECT p.label::text FROM generate_series(1, 300), reyearn_predict_proba('meeting', 'post', 1) AS p) AS all_of_them (label)});
	my ($count, $label) = split(/\|/, $answer);
	$mixed++ if $count != 1;
	$versions{$label}++;
	$statements++;
	$flips->{run}->pump_nb;
}
is($mixed, 0, 'each statement saw one version');
note("$statements statements during 300 promotions: ", explain(\%versions));
$flips->quit;

$_->quit for $mine, $other;
ok(is_unharmed($node), 'no process crashed');

done_testing();
