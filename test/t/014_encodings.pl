# Databases in other encodings, bytes that are no characters, and texts that are empty or huge.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time);

my $node = start_server('main');
my $locale = q{LC_COLLATE 'C' LC_CTYPE 'C'};

# The same texts in different encodings: same hashes, same images, same predictions. Mails that do not fit into LATIN1
# are left out.
my $mails = PostgreSQL::Test::Utils::tempdir() . '/latin1.tsv';
open my $in, '<:encoding(UTF-8)', "$ENV{REYEARN_SAMPLES}/emails.tsv" or die $!;
open my $out, '>:encoding(UTF-8)', $mails or die $!;
print {$out} grep { !/[^\x00-\xff]/ } <$in>;
close $_ for $in, $out;
my %outcome;
for my $encoding (qw(UTF8 LATIN1 WIN1252))
{
	my $database = lc $encoding;
	create_database($node, $database, "ENCODING '$encoding' $locale");
	$outcome{$encoding} = $node->safe_psql(
		$database, qq{
		SET client_encoding = 'UTF8';
		CREATE TABLE mails (id int GENERATED ALWAYS AS IDENTITY, label text, body text);
		\\copy mails (label, body) FROM '$mails'
		SELECT count(*) > 150, count(*) FILTER (WHERE octet_length(convert_to(body, 'UTF8')) > length(body)) > 5 FROM mails;
		SELECT count(reyearn_create_class(label)) FROM (SELECT DISTINCT label FROM mails ORDER BY label) AS one;
		SELECT count(reyearn_annotate_text(body, label)) FROM mails;
		SELECT reyearn_create_model('mail', 'email');
		SELECT score FROM reyearn_train('mail');
		SELECT md5(string_agg(encode(content_hash, 'hex'), '' ORDER BY content_hash)) FROM reyearn.observations;
		SELECT md5(string_agg(class_id || label::text, '' ORDER BY class_id)) FROM reyearn.classes;
		SELECT md5(reyearn_export_model('mail'));
		SELECT md5(string_agg(id || p.label::text || p.probability, '' ORDER BY id, p.label))
		  FROM mails, reyearn_predict_proba('Grüße, ÀÇÉ ' || body, 'mail') AS p;
		});
}
like($outcome{UTF8}, qr/^t\|t\n8\n\d+\n1\n0\.\d+\n\w{32}\n\w{32}\n\w{32}\n\w{32}$/, 'UTF8: it works');
is($outcome{LATIN1}, $outcome{UTF8}, 'LATIN1: same hashes, image and predictions as UTF8');
is($outcome{WIN1252}, $outcome{UTF8}, 'WIN1252: same hashes, image and predictions as UTF8');
is( $node->safe_psql('latin1', q{SELECT encode(reyearn.content_hash(chr(252)), 'hex') = encode(sha256('\xc3bc'), 'hex'),
		octet_length(chr(252))}),
	't|1', 'a hash is that of the UTF-8 bytes');
like(error_of($node, 'latin1', q{SET client_encoding = 'UTF8'; SELECT reyearn_create_class('mail.grün')}),
	qr/^22P02: invalid label "mail\.grün"\nDETAIL:  Character 8, "ü", is not allowed\./, 'LATIN1: messages in the right encoding');
is( $node->safe_psql('latin1', q{
		SELECT reyearn_create_model('mail ' || i, 'email') FROM generate_series(1, 30) AS i \g /dev/null
		DO $$ BEGIN PERFORM reyearn_predict('x'); EXCEPTION WHEN ambiguous_parameter THEN
		    PERFORM set_config('my.message', SQLERRM, false); END $$;
		SELECT current_setting('my.message')}),
	'there are several models, and none was named', 'LATIN1: a long list of names');

# A multi-byte encoding that is not UTF-8.
create_database($node, 'euc', "ENCODING 'EUC_JP' $locale");
my $japanese = q{
	SET client_encoding = 'UTF8';
	SELECT reyearn_create_class('x.sport'), reyearn_create_class('x.politics');
	SELECT count(reyearn_annotate_text(body, label)) FROM (VALUES ('東京で野球の試合がありました', 'x.sport'),
	    ('国会で首相が演説しました', 'x.politics'), ('サッカーの選手', 'x.sport')) AS t (body, label);
	SELECT reyearn_create_model('m', 'x');
	SELECT outcome FROM reyearn_train('m');
	SELECT md5(reyearn_export_model('m')), md5(string_agg(encode(content_hash, 'hex'), '' ORDER BY content_hash))
	  FROM reyearn.observations;
	SELECT reyearn_predict('野球の選手', 'm')};
create_database($node, 'utf', "ENCODING 'UTF8' $locale");
my $in_utf8 = $node->safe_psql('utf', $japanese);
is($node->safe_psql('euc', $japanese), $in_utf8, 'EUC_JP: same hashes and image as UTF8');
like($in_utf8, qr/x\.sport$/, '... and they mean something');

# SQL_ASCII: whatever bytes there are, also those that are no UTF-8.
create_database($node, 'bytes', "ENCODING 'SQL_ASCII' $locale");
$node->safe_psql(
	'bytes', q{
	CREATE TABLE texts (id int GENERATED ALWAYS AS IDENTITY, kind text, body text);
	-- Cut off, stray, overlong, surrogate, too large, never used; alone, in words, in long runs, at the end.
	INSERT INTO texts (kind, body)
	SELECT 'x.odd', replace(form, '?', bytes)
	  FROM unnest(ARRAY[e'\xff', e'\xc3', e'\x80', e'\xe2\x82', e'\xf0\x9f\x8e', e'\xc0\xaf', e'\xed\xa0\x80', e'\xf5\x80\x80\x80',
	                    e'\xfe\xff', e'\xf8\x88\x80\x80\x80', repeat(e'\xff', 5000), repeat(e'\x80', 200000),
	                    repeat(e'\xe2\x82', 50000)]) AS bytes,
	       unnest(ARRAY['?', 'word? ?word wo?rd', e'gr\xc3\xbcn? caf\xc3\xa9', e'\xe6\x9d\xb1?\xe4\xba\xac', 'end ?']) AS form;
	INSERT INTO texts (kind, body)
	SELECT 'x.random', convert_from(decode(translate(string_agg(md5(i || '.' || j), ''), '0', '8'), 'hex'), 'SQL_ASCII')
	  FROM generate_series(1, 200) AS i, generate_series(1, 1 + i % 50) AS j GROUP BY i;
	INSERT INTO texts (kind, body) SELECT 'x.plain', 'plain words number ' || i FROM generate_series(1, 100) AS i;
	SELECT count(reyearn_create_class(kind)) FROM (SELECT DISTINCT kind FROM texts) AS k;
	});
my $session = session($node, 'bytes');
is(ask($session, q{SELECT count(*) > 300, count(DISTINCT id) = count(*) FROM
	(SELECT reyearn_annotate_text(body, kind) AS id FROM texts) AS a}), 't|t', 'SQL_ASCII: bytes are stored');
is(ask($session, q{SELECT count(*) FROM reyearn.observations WHERE content_hash <> sha256(convert_to(body, 'SQL_ASCII'))}),
	'0', '... with the hash of the bytes');
is(ask($session, q{SELECT count(*) FROM (SELECT reyearn_observe(body) FROM texts) AS again; SELECT count(*) FROM reyearn.observations})
	=~ s/\n.*//r, ask($session, 'SELECT count(*) FROM texts'), '... and found again');
is(ask($session, 'SELECT count(*) FROM reyearn.observations'), ask($session, 'SELECT count(*) FROM texts'), '... once each');
ask($session, q{SELECT reyearn_create_model('m', 'x', promotion => 'always', params => '{"ngram_range": [1, 2]}')});
my %images;
for my $threads (1, 3)
{
	is(ask($session, qq{SET reyearn.training_threads = $threads; BEGIN; SELECT outcome FROM reyearn_train('m')}), 'promoted',
		"... and learned from, $threads threads");
	$images{$threads} = ask($session, q{SELECT md5(reyearn_export_model('m'))});
	ask($session, $threads == 1 ? 'ROLLBACK' : 'COMMIT');
}
is($images{1}, $images{3}, '... always in the same way');
my $predictions = q{SELECT count(*), md5(string_agg(id || label::text || probability, '' ORDER BY id, label))
	FROM texts, reyearn_predict_proba(body || e' \xff', 'm')};
my $first = ask($session, $predictions);
is(ask($session, $predictions), $first, '... and predicted');
is($node->safe_psql('bytes', $predictions), $first, '... in another session too');
is( ask($session, q{SELECT count(*) FROM texts WHERE reyearn_predict(body, 'm') <> reyearn_predict_with(reyearn_export_model('m'), body)}),
	'0', '... also from an exported image');
is(ask($session, q{SELECT kind, count(*) > 0 FROM texts WHERE reyearn_predict(body, 'm')::text = kind GROUP BY kind ORDER BY kind}),
	"x.odd|t\nx.plain|t\nx.random|t", '... with some success');
like(error_in($session, q{SELECT reyearn_create_class(e'x.\xff')}), qr/^22P02: invalid label/, 'SQL_ASCII: a label of bytes');
like(error_in($session, q{SELECT reyearn_predict('a', e'\xff\xc3')}), qr/^42704: model/, 'SQL_ASCII: a model of bytes');
$session->quit;

# Texts without a word.
create_database($node, 'odd');
$session = session($node, 'odd');
ask($session, q{
	SELECT reyearn_create_class('x.a'), reyearn_create_class('x.b');
	SELECT reyearn_create_model('m', 'x', promotion => 'always');
	SELECT reyearn_annotate_text('', 'x.a'), reyearn_annotate_text('?!… —', 'x.b'), reyearn_annotate_text(e' \n\t', 'x.a')});
like(error_in($session, q{SELECT reyearn_train('m')}),
	qr/^55000: the annotated texts contain no words\nDETAIL:  .+\nHINT:  .+/, 'only texts without words: an error');
ask($session, q{SELECT reyearn_annotate_text('some words', 'x.a'), reyearn_annotate_text('other ones', 'x.b')});
is(ask($session, q{SELECT outcome, examples FROM reyearn_train('m')}), 'promoted|5', 'some texts without words');
for my $body (q{''}, q{'?!… —'}, q{e' \n\t'}, q{'x'}, q{repeat('.', 10000000)}, q{repeat(' ', 10000000)}, q{e'\u200b\u0301'})
{
	is( ask($session, "SELECT reyearn_predict($body), (SELECT count(*) || '|' || round(sum(probability)::numeric, 5) FROM reyearn_predict_proba($body))"),
		'x.a|2|1.00000', "the prior for $body");
}
is(ask($session, q{SELECT reyearn_predict(NULL) IS NULL, (SELECT count(*) FROM reyearn_predict_proba(NULL))}), 't|0',
	'nothing for NULL');
$session->quit;

# Huge texts. What a backend takes at most, counted in sizes of the text, with room for its fixed costs. Observing is
# PostgreSQL's matter: it copies a value it stores several times.
my $fixed = 150;
my %sizes = (observe => 10, predict => 5);
my %huge = (
	'few words' => [ 50, 'these are the words of a long text ' ],
	'many words' => [ 50, '' ],
	'one word' => [ 20, 'xxxxxxxxxx' ],
	'words outside ASCII' => [ 20, 'Grüße aus Köln, 東京都 ' ],
	'one word outside ASCII' => [ 20, 'üüüüüüüüüü' ],
	'no spaces' => [ 5, '東京都の' ]);

sub peak
{
	my ($sql) = @_;
	my $session = session($node, 'odd');
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	my $answer = ask($session, $sql);
	my ($peak) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
	$session->quit;
	return ($answer, $peak / 1024);
}

$node->safe_psql('odd', 'CREATE TABLE huge (kind text, body text)');
for my $kind (sort keys %huge)
{
	my ($megabytes, $part) = @{ $huge{$kind} };
	$node->safe_psql('odd', "INSERT INTO huge SELECT '$kind', " . ($part eq ''
		? "string_agg(md5(i::text), ' ') FROM generate_series(1, $megabytes * 1048576 / 33) AS i"
		: "repeat('$part', $megabytes * 1048576 / octet_length('$part'))"));
	my ($answer, $peak) = peak(qq{SELECT reyearn_annotate_text(body, 'x.a') > 0 FROM huge WHERE kind = '$kind'});
	is($answer, 't', "$kind, $megabytes MB: observed and annotated");
	cmp_ok($peak, '<', $fixed + $sizes{observe} * $megabytes, "$kind: memory of observing");
	note(sprintf("%s, observe: %.0f MB", $kind, $peak));
	($answer, $peak) = peak(qq{SELECT reyearn_predict(body, 'm') FROM huge WHERE kind = '$kind'});
	like($answer, qr/^x\.[ab]$/, "$kind: predicted");
	cmp_ok($peak, '<', $fixed + $sizes{predict} * $megabytes, "$kind: memory of predicting");
	note(sprintf("%s, predict: %.0f MB", $kind, $peak));
}

# All of them at once. The distinct words are features, more than a million, each of which takes memory of its own.
my ($answer, $peak) = peak(q{SET reyearn.training_threads = 2; SELECT outcome, examples FROM reyearn_train('m')});
is($answer, 'promoted|' . (5 + keys %huge), 'huge texts: learned from');
note(sprintf('train: %.0f MB', $peak));
cmp_ok($peak, '<', 1200, 'huge texts: memory of training');

# A text that takes long can be given up.
$session = session($node, 'odd');
ask($session, q{INSERT INTO huge VALUES ('longest', repeat('東京都の', 9000000)); SELECT reyearn_predict('x', 'm');
	SET statement_timeout = '1s'});
my $start = time;
like(error_in($session, q{SELECT reyearn_predict(body, 'm') FROM huge WHERE kind = 'longest'}), qr/^57014:/,
	'a prediction of 100 MB is cancelled');
cmp_ok(time - $start, '<', 4, '... at once');
is(ask($session, q{SET statement_timeout = 0; SELECT reyearn_predict('x', 'm');
	SELECT reyearn_annotate_text(body, 'x.a') > 0 FROM huge WHERE kind = 'longest'; SET statement_timeout = '3s'}),
	"x.a\nt", '... and the session goes on');
$start = time;
like(error_in($session, q{SELECT outcome FROM reyearn_train('m')}), qr/^57014:/, 'a training with it is cancelled');
cmp_ok(time - $start, '<', 6, '... at once');
$session->quit;

ok(is_unharmed($node), 'no process crashed');

done_testing();
