# Logins by token: which tokens are accepted, for how long, and that nothing but a token makes a login.
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use FindBin;
use lib "$FindBin::Bin/../perl";
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(time usleep);
use Tokens;

my $main_key = make_key('main');

my $node = start_server('main');
create_database($node, 'mail');
plan skip_all => 'the library was built without OpenSSL' if !has_openssl($node, 'mail');
$node->safe_psql('mail', 'CREATE ROLE app LOGIN; GRANT EXECUTE ON FUNCTION reyearn_login TO app');
my $super = session($node, 'mail');
my $app = $node->background_psql('mail', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
$app->query('\set VERBOSITY verbose');
ask($super, q{INSERT INTO reyearn.tenants (tenant_id, name) VALUES (7, 'acme'), (8, 'globex'), (9, 'Čapek "&" 子')});
ask($super, qq{INSERT INTO reyearn.login_keys (key_id, public_key, issuer, audience) VALUES ('main', '$main_key', 'auth', 'mail')});

sub login { return "SELECT reyearn_login(\$t\$$_[0]\$t\$)" }

# The tenant that a token is good for, and what the setting is then.
sub login_by
{
	my ($token) = @_;
	return ask($super, "BEGIN; " . login($token) . "; SHOW reyearn.login; COMMIT");
}
sub accepted
{
	my ($token, $what, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like(login_by($token), $expected // qr/^acme\n7 \d+$/, "accepted: $what");
}

# Refused by a role that has no other rights, with that detail.
sub refused
{
	my ($token, $detail, $what) = @_;
	my $error = error_in($app, login($token));
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($error, qr/^28000: token is not valid\nDETAIL:  \Q$detail\E\nHINT:  [A-Z].*\.$/, "refused: $what");
}

# The good case.
my $expires = int(time) + 600;
my $token = token_with(exp => $expires);
is(login_by($token), "acme\n7 " . ($expires + 30 - 946684800) . '000000', 'a good token: the tenant, and until when');
is(ask($app, 'BEGIN; ' . login($token) . '; COMMIT'), 'acme', 'it takes no rights but to call the function');
is(ask($super, 'BEGIN READ ONLY; ' . login($token) . '; COMMIT'), 'acme', 'nor a transaction that may write');
is(error_in($super, 'SELECT reyearn_login(NULL)'), qq{22004: "token" must not be NULL\nHINT:  Give a JSON Web Token.}, 'NULL');
accepted(token_under(typ => undef), 'no typ');
accepted(token_under(typ => '"jwt"'), 'typ in small letters');
accepted(token_under(x5c => '["junk"]', jku => '"http://example.com"', jwk => '{"kty":"oct","k":"AA"}', b64 => 'true'),
	'a header that offers keys: nobody looks');
accepted(token_with(iat => '"?"', sub => 'null', other => '[{"a":[1,2]}]'), 'claims that say nothing to us');
accepted(token_with(tenant => '"\u010capek \"&\" \u5b50"'), 'escapes in JSON', qr/^Čapek "&" 子\n9 /);
accepted(token_with(tenant => '"Čapek \"&\" 子"'), 'UTF-8 in JSON', qr/^Čapek "&" 子\n9 /);
accepted(token(" \n" . header() . "\t", " " . payload() . "\r\n"), 'white space around JSON');

# The header. What it says of the algorithm does not decide how it is verified.
my $algorithm = 'Its "alg" is not "ES256".';
for my $alg ('"none"', '"None"', '"HS256"', '"RS256"', '"ES384"', '"ES256K"', '"es256"', '" ES256"', '"ES256\u0020"', '""', '256', 'null',
	'["ES256"]', '{"ES256":1}', undef)
{
	refused(token_under(alg => $alg), $algorithm, 'alg ' . ($alg // 'missing'));
}
for my $alg ('"none"', '"ES256"')
{
	my $unsigned = signed_part(header(alg => $alg), payload());
	refused("$unsigned.", 'Its signature has 0 bytes, one of ES256 has 64.', "alg $alg without a signature");
}
refused(token(header(alg => '"none"'), payload(), sub { 'x' x 64 }), $algorithm, 'alg none with junk');
my $hmac = sub { hmac_sha256($_[0], $main_key) };
refused(token(header(alg => '"HS256"'), payload(), $hmac), 'Its signature has 32 bytes, one of ES256 has 64.',
	'HS256 with the public key as its secret');
refused(token(header(alg => '"HS256"'), payload(), sub { $hmac->($_[0]) x 2 }), $algorithm, '... and of the right size');
make_key('rsa', 'RSA');
refused(token(header(alg => '"RS256"'), payload(), sub { signature_of('rsa', $_[0]) }),
	'Its signature has 256 bytes, one of ES256 has 64.', 'RS256');
refused(token(header(alg => '"none","alg":"ES256","alg":"none"'), payload()), $algorithm, 'alg twice: the last counts');
accepted(token(header(alg => '"none","alg":"ES256"'), payload()), '... here too');

my $unknown_key = 'Its "kid" is not among the keys.';
for my $kid ('"other"', '"MAIN"', '"main "', '"main\u0001"', q{"' OR true --"}, q{"main' OR '1'='1"}, '"\"main\""', '"%"', '"$1"', '"\\\\"',
	q{"'; DROP TABLE reyearn.login_keys; --"})
{
	refused(token_under(kid => $kid), $unknown_key, "kid $kid");
}
refused(token_under(kid => $_), 'Its "kid" is not a text.', "kid $_") for '""', '1', 'null', '["main"]';
refused(token_under(kid => undef), 'It has no "kid".', 'no kid');
refused(token_under(crit => $_), 'It has "crit": extensions that must be understood, and none is.', "crit $_")
  for '["exp"]', '[]', 'null', '"b64"';
refused(token_under(typ => $_), 'Its "typ" is not "JWT".', "typ $_") for '"JWS"', '"JWTX"', '"JW"', '""', '1', 'null', '["JWT"]';

# The signature.
my $wrong_signature = 'Its signature was not made with the key that "kid" names.';
my $other_key = make_key('other');
refused(token(header(), payload(), sub { raw_signature(signature_of('other', $_[0])) }), $wrong_signature,
	'signed with another key');
refused(token(header(), payload(), sub { raw_signature(signature_of('main', "$_[0]x")) }), $wrong_signature,
	'the signature of something else');
for my $r (0, 1, 255)
{
	for my $s (0, 1, 255)
	{
		refused(token(header(), payload(), sub { chr($r) x 32 . chr($s) x 32 }), $wrong_signature, "r of bytes $r, s of bytes $s");
	}
}
my $order = pack 'H*', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
my $half = pack 'H*', '7f' . '0' x 62;
refused(token(header(), payload(), sub { $_[0] = $_ }), $wrong_signature, 'numbers as large as the order of the curve')
  for $order . $order, $order . $half, $half . $order;
my $der = '';
$der = signature_of('main', signed_part(header(), payload())) while length($der) == 64;
refused(signed_part(header(), payload()) . '.' . encode_base64url($der), 'Its signature has ' . length($der) . ' bytes, one of ES256 has 64.',
	'a signature in DER');
refused($token =~ s/\..*?\./'.' . encode_base64url(payload(tenant => '"globex"')) . '.'/er, $wrong_signature,
	'another payload under the same signature');
refused($token =~ s/^[^.]*/encode_base64url(header(typ => '"JWt"'))/er, $wrong_signature, 'a header with one bit changed');
refused($token =~ s/\.[^.]*\./'.' . encode_base64url(payload(exp => $expires) =~ s{acme}{acmd}r) . '.'/er, $wrong_signature,
	'a payload with one bit changed');
refused(token(header(), 'no JSON', sub { 'x' x 64 }), $wrong_signature, 'nothing is said of what nobody has signed');

# Each single bit of a token, wherever that leaves base64url: not one of them may be changed.
my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my %place = map { $alphabet[$_] => $_ } 0 .. 63;
my @changed;
for my $at (grep { substr($token, $_, 1) ne '.' } 0 .. length($token) - 1)
{
	for my $bit (0 .. 5)
	{
		my $changed = $token;
		substr($changed, $at, 1) = $alphabet[ $place{ substr($token, $at, 1) } ^ 1 << $bit ];
		push @changed, $changed;
	}
}
ask($super, q{
	CREATE FUNCTION refusal(token text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN reyearn_login(token);
	EXCEPTION WHEN invalid_authorization_specification THEN
	    RETURN SQLSTATE;
	END
	$$});
my $all = "'{" . join(',', $token, @changed) . "}'::text[]";
is(ask($super, "SELECT count(*) FROM unnest($all) AS t WHERE refusal(t) = '28000'"), scalar @changed, 'changes of single bits, all refused');

# The form.
refused('', 'It does not have three parts joined by dots: it has 1.', 'the empty text');
refused('garbage', 'It does not have three parts joined by dots: it has 1.', 'garbage');
refused($token =~ s/\.[^.]*$//r, 'It does not have three parts joined by dots: it has 2.', 'two parts');
refused("$token.", 'It does not have three parts joined by dots: it has 4.', 'four parts');
my $base64url = 'is not in base64url: A-Z, a-z, 0-9, - and _, without padding.';
refused("$token==", "Its signature $base64url", 'padding');
refused($token =~ s/\./=./r, "Its header $base64url", 'padding of the header');
refused(" $token", "Its header $base64url", 'a space before');
refused("$token\n", "Its signature $base64url", 'a line end after');
refused("é$token", "Its header $base64url", 'a character beyond ASCII');
for my $part (0, 1)
{
	my $name = ('header', 'payload')[$part];
	for my $json ('', '{', 'null', '[]', '1', '"ES256"', '{}x', header() . '}', '{"alg":"ES256",}', "{'alg':'ES256'}", '{"a":"\u0000"}',
		'{"\u0000":1}', '{"a":"\ud800"}', "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\0\"}", "{}\0", "\xef\xbb\xbf{}",
		'{"a":1e999999}', '{"a":NaN}', '[' x 5000, '{"a":' x 1000)
	{
		(my $shown = substr $json, 0, 30) =~ s/([^ -~])/sprintf '\x%02x', ord $1/ge;
		refused(token($part == 0 ? ($json, payload()) : (header(), $json)), "Its $name is not a JSON object.", "$name $shown");
	}
}

# Its size: the payload is padded in JSON and in base64url until the token is as long as wanted.
sub token_of_size
{
	my ($size) = @_;
	my $header_size = length encode_base64url(header());
	for my $padding (0 .. 8)
	{
		my $padded = sub { header(typ => '"JWT"' . ' ' x $padding) };
		my $left = $size - 88 - length encode_base64url($padded->());
		next if $left % 4 == 1;
		my $bytes = int($left * 3 / 4);
		my $payload = payload();
		return token($padded->(), $payload . ' ' x ($bytes - length $payload));
	}
	die;
}
my $longest = token_of_size(8192);
is(length $longest, 8192, 'a token of 8192 bytes');
accepted($longest, 'a token of 8192 bytes');
$longest = token_of_size(8193);
is(length $longest, 8193, 'a token of 8193 bytes');
refused($longest, 'It is longer than 8192 bytes.', 'a token of 8193 bytes');
like(error_in($app, q{SELECT reyearn_login(repeat('e30.', 10000000))}), qr/^28000: .*\nDETAIL:  It is longer than 8192 bytes\./,
	'refused: 40 MB');

# Claims.
my $issuer = 'Its "iss" is not the issuer of its key.';
refused(token_with(iss => $_), $issuer, "iss $_") for '"other"', '"auth "', '"AUTH"', '"auth\u0020"';
refused(token_with(iss => $_), 'Its "iss" is not a text.', "iss $_") for '""', '1', 'null', '["auth"]', '{"auth":1}';
my $audience = 'Its "aud" is not the audience of its key.';
refused(token_with(aud => $_), $audience, "aud $_") for '"other"', '""', '"mail "', '[]', '["mai","l"]', '["MAIL",""]';
refused(token_with(aud => $_), 'Its "aud" is neither a text nor an array of texts.', "aud $_")
  for '1', 'null', '{"mail":1}', '{}', '["mail",1]', '["mail",null]', '[["mail"]]', '[{"mail":1}]';
accepted(token_with(aud => $_), "aud $_") for '["mail"]', '["other","mail"]', '["mail","mail"]';
refused(token_with($_ => undef), qq{It has no "$_".}, "no $_") for qw(iss aud exp tenant);
for my $claim (qw(exp nbf))
{
	refused(token_with($claim => $_), qq{Its "$claim" is not a number.}, "$claim $_")
	  for '"' . (int(time) + 600) . '"', 'null', 'true', '[' . time . ']', '{}';
	refused(token_with($claim => $_), qq{Its "$claim" is not a time.}, "$claim $_")
	  for '1e300', '-1e300', '1e400', '1e20', '9223372036854775807', '9224318016000', '-1e13', '1' . '0' x 1000;
}
my $expired = 'It has expired.';
refused(token_with(exp => $_), $expired, "exp $_") for 0, -1, 1, '1e9', '-0.5';
accepted(token_with(exp => $_), "exp $_") for '4e9', '4000000000.123456789', '9e12', '4.000000000e+9', time + 0.5;
accepted(token_with(exp => int(time) - 20), 'expired, within the leeway');
refused(token_with(exp => time - 30), $expired, 'expired 30 s ago');
refused(token_with(exp => int(time) - 31), $expired, 'expired 31 s ago');
accepted(token_with(nbf => $_), "nbf $_") for 0, -1, int(time), time + 30, int(time) + 25;
refused(token_with(nbf => int(time) + 45), 'It is not valid yet.', 'not valid before 45 s from now');
refused(token_with(nbf => '4e9', exp => '5e9'), 'It is not valid yet.', 'valid in a far future');
refused(token_with(exp => '4e9,"exp":1'), $expired, 'exp twice: the last counts');
accepted(token_with(tenant => '"globex","tenant":"acme"'), 'tenant twice: the last counts');

my $no_tenant = 'Its "tenant" is none that its key may speak for.';
refused(token_with(tenant => $_), $no_tenant, "tenant $_") for '"nobody"', '"ACME"', '"acme "', q{"' OR true --"}, '"7"';
refused(token_with(tenant => $_), 'Its "tenant" is not a text.', "tenant $_") for '""', '7', 'null', '["acme"]', 'true';

# It is the clock that counts, also within a transaction that began in time.
my $short = token_with(exp => time - 27);
ask($super, 'BEGIN');
is(ask($super, login($short)), 'acme', 'a token that is about to expire');
usleep(3_200_000);
like(error_in($super, login($short)), qr/^28000: .*\nDETAIL:  It has expired\.\n/, '... and three seconds later in the same transaction');
ask($super, 'ROLLBACK');

# A key for one tenant only. What it may not speak for and what does not exist look the same.
ask($super, qq{INSERT INTO reyearn.login_keys VALUES ('acme', '$other_key', 'acme''s own', 'mail', 7)});
sub token_of_acme
{
	my $sign = sub { raw_signature(signature_of('other', @_)) };
	return token(header(kid => '"acme"'), payload(iss => q{"acme's own"}, @_), $sign);
}
accepted(token_of_acme(), 'a key for one tenant');
refused(token_of_acme(tenant => '"globex"'), $no_tenant, 'another tenant than the key is for');
refused(token_of_acme(tenant => '"nobody"'), $no_tenant, '... and one that does not exist');
refused(token_of_acme(iss => '"auth"'), $issuer, 'the issuer of another key');
refused(token(header(kid => '"acme"'), payload()), $wrong_signature, 'signed with a key that exists, not with the one named');

# Keys are taken back at once, also for transactions that began before.
ask($super, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($super, login(token_of_acme())), 'acme', 'a key that is still there');
$node->safe_psql('mail', q{DELETE FROM reyearn.tenants WHERE tenant_id = 7});
like(error_in($super, login(token_of_acme())), qr/DETAIL:  \Q$unknown_key\E/, '... gone with its tenant');
ask($super, 'ROLLBACK');
refused($token, $no_tenant, 'a tenant that is gone');
ask($super, q{INSERT INTO reyearn.tenants (tenant_id, name) VALUES (7, 'acme')});

# Keys: who may see them, and which are refused.
for my $sql (q{SELECT * FROM reyearn.login_keys}, q{DELETE FROM reyearn.login_keys}, q{SELECT reyearn.check_public_key('x')},
	qq{INSERT INTO reyearn.login_keys VALUES ('mine', '$other_key', 'me', 'mail')})
{
	like(error_in($app, $sql), qr/^42501: permission denied for schema reyearn/, "the role of the application: $sql");
	ask($super, 'GRANT USAGE ON SCHEMA reyearn TO app');
	like(error_in($app, $sql), qr/^42501: permission denied for (table login_keys|function check_public_key)/, "... with the schema: $sql");
	ask($super, 'REVOKE USAGE ON SCHEMA reyearn FROM app');
}
my $insert = q{INSERT INTO reyearn.login_keys VALUES ('k', $k$%s$k$, 'auth', 'mail')};
sub key_refused
{
	my ($key, $detail, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like(error_in($super, sprintf($insert, $key)), qr/^22023: public key is not valid\nDETAIL:  \Q$detail\E\nHINT:  Give /,
		"no key: $what");
	return;
}
my $no_pem = 'It does not begin with "-----BEGIN PUBLIC KEY-----" and end with "-----END PUBLIC KEY-----".';
my $private = 'It is a private key, which only those who sign may have.';
key_refused('', 'It is empty.', 'empty');
key_refused(" \n", 'It is empty.', 'blank');
key_refused('garbage', $no_pem, 'garbage');
key_refused($main_key =~ s/-----END.*//sr, $no_pem, 'cut off');
key_refused("$main_key$other_key", 'It is more than one key.', 'two keys');
key_refused("# key\n$main_key", $no_pem, 'with something before it');
key_refused($main_key =~ s/\n./\n!/r, 'What is between its first and last line is not in base64.', 'no base64');
key_refused($main_key =~ s/\n/\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n/r, 'It has a header, as encrypted keys have.', 'encrypted');
key_refused($main_key =~ s/M/A/r, 'It is not an encoded public key.', 'no key in it');
key_refused('x' x 8193, 'It is longer than 8192 bytes.', 'long');
key_refused(private_key('main'), $private, 'a private key');
key_refused(openssl(private_key('main'), 'ec'), $private, 'a private key in the older form');
key_refused(openssl(private_key('main'), qw(pkcs8 -topk8 -passout pass:x)), $private, 'an encrypted private key');
key_refused(openssl('', qw(req -x509 -subj /CN=x -key), key_file('main')), $no_pem, 'a certificate');
my %foreign = (
	'RSA' => [ 'It is a key for RSA, not for ECDSA on P-256 (prime256v1).', 'RSA' ],
	'Ed25519' => [ 'It is a key for ED25519, not for ECDSA on P-256 (prime256v1).', 'ED25519' ],
	'P-384' => [ 'It is on the curve secp384r1, not on P-256 (prime256v1).', qw(EC -pkeyopt ec_paramgen_curve:P-384) ],
	'P-521' => [ 'It is on the curve secp521r1, not on P-256 (prime256v1).', qw(EC -pkeyopt ec_paramgen_curve:P-521) ],
	'secp256k1' => [ 'It is on the curve secp256k1, not on P-256 (prime256v1).', qw(EC -pkeyopt ec_paramgen_curve:secp256k1) ],
	'explicit curve' => [ 'It does not name its curve; that must be P-256 (prime256v1).', qw(EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit) ]);
for my $kind (sort keys %foreign)
{
	my ($detail, @options) = @{ $foreign{$kind} };
	key_refused(make_key($kind, @options), $detail, $kind);
}
my $point = '-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
-----END PUBLIC KEY-----';
key_refused($point, 'It is not an encoded public key.', 'a point that is not on the curve');
like(error_in($super, qq{INSERT INTO reyearn.login_keys VALUES ('', '$other_key', 'auth', 'mail')}), qr/^23514: .*key_id/, 'an empty key_id');
like(error_in($super, qq{INSERT INTO reyearn.login_keys VALUES ('k', '$other_key', '', 'mail')}), qr/^23514: .*issuer/, 'an empty issuer');
like(error_in($super, qq{INSERT INTO reyearn.login_keys VALUES ('k', '$other_key', 'auth', '')}), qr/^23514: .*audience/, 'an empty audience');
ask($super, 'BEGIN; ' . sprintf($insert, $_) . '; ROLLBACK')
  for "\n $main_key\n\n", $main_key =~ s/\n/\r\n/gr, public_key('main', qw(-ec_conv_form compressed));

# A key that has come by the check is no better off.
ask($super, 'ALTER TABLE reyearn.login_keys DROP CONSTRAINT login_keys_public_key_check');
for my $kind ('RSA', 'P-384', 'secp256k1', 'Ed25519')
{
	ask($super, sprintf($insert, public_key($kind)));
	like(error_in($super, login(token_under(kid => '"k"'))), qr/^22023: public key is not valid\nDETAIL:  \Q$foreign{$kind}[0]\E/,
		"$kind, when verifying");
	ask($super, q{DELETE FROM reyearn.login_keys WHERE key_id = 'k'});
}
ask($super, 'ALTER TABLE reyearn.login_keys ADD CONSTRAINT login_keys_public_key_check CHECK (reyearn.check_public_key(public_key))');

# How long a login lasts.
my $globex = token_with(tenant => '"globex"');
my $show = q{SELECT split_part(current_setting('reyearn.login'), ' ', 1)};
my $nobody = '';
sub shows { my ($expected, $what) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return is(ask($super, $show), $expected, $what) }
shows($nobody, 'no login');
ask($super, 'BEGIN; ' . login($token));
shows(7, 'a login');
ask($super, 'SAVEPOINT a; ' . login($globex));
shows(8, 'another in its place');
ask($super, 'ROLLBACK TO a');
shows(7, 'ROLLBACK TO SAVEPOINT: the first again');
ask($super, login($globex) . '; RELEASE a');
shows(8, 'RELEASE keeps it');
ask($super, 'COMMIT');
shows($nobody, 'COMMIT ends it');
ask($super, 'BEGIN; SAVEPOINT a; ' . login($token) . '; ROLLBACK TO a');
shows($nobody, 'ROLLBACK TO SAVEPOINT: none again');
ask($super, login($token));
like(error_in($super, 'SAVEPOINT b; ' . login('junk')), qr/^28000/, 'a token that is refused');
ask($super, 'ROLLBACK TO b');
shows(7, '... leaves the login that was there');
ask($super, 'ROLLBACK');
shows($nobody, 'ROLLBACK ends it');
ask($super, 'BEGIN; ' . login($token) . '; COMMIT AND CHAIN');
shows($nobody, 'COMMIT AND CHAIN ends it');
ask($super, 'COMMIT');
ask($super, 'BEGIN');
is(ask($super, "SELECT refusal('$token'), refusal('junk'), refusal('$globex'), refusal('junk')"), 'acme|28000|globex|28000',
	'logins in subtransactions of functions');
shows(8, '... the last that succeeded');
ask($super, 'RESET ALL');
shows(8, 'RESET ALL leaves it');
ask($super, 'COMMIT; DISCARD ALL');
ask($super, '\set VERBOSITY verbose');
shows($nobody, 'DISCARD ALL');
is(login_by($globex) =~ s/ .*//r, "globex\n8", '... does no harm to the next');
is(ask($super, "$show WHERE reyearn_login('$token') = 'acme'"), '7', 'a login for one statement');
shows($nobody, '... ends with it');
for my $in_block (0, 1)
{
	my $sql = login($token) . ';';
	$sql = "BEGIN;\n$sql\nCOMMIT;" if $in_block;
	$node->psql('mail', $sql, stderr => \my $warning, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	is($warning =~ /WARNING:  25P01: login ends with this statement\nHINT:  .*BEGIN/ ? 1 : 0, 1 - $in_block, $in_block ? '... not in a block' : '... with a warning');
}

# Parallel workers have it, with both what the leader had before and after.
ask($super, 'CREATE TABLE texts AS SELECT i FROM generate_series(1, 20000) AS i; ALTER TABLE texts SET (parallel_workers = 2); ANALYZE texts');
my $parallel = q{SELECT min(x), max(x) FROM (SELECT split_part(current_setting('reyearn.login'), ' ', 1) AS x FROM texts WHERE i > 0) AS t};
ask($super, 'BEGIN; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_leader_participation = off');
like(ask($super, "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) $parallel"), qr/Workers Launched: [12]/, 'a parallel query');
is(ask($super, $parallel), '|', 'workers without a login');
ask($super, login($token));
is(ask($super, $parallel), '7|7', 'workers have the login of their leader');
ask($super, 'SAVEPOINT a; ' . login($globex));
is(ask($super, $parallel), '8|8', '... and another');
ask($super, 'ROLLBACK TO a');
is(ask($super, $parallel), '7|7', '... and the first again');
ask($super, 'ROLLBACK');

# Nothing else makes a login, not even a superuser: neither outside nor within one.
my $forged = "'8 999999999999999999'";
my $cannot = qq{55P02: parameter "reyearn.login" cannot be set\nDETAIL:  It holds what a token has proved.\nHINT:  Call reyearn_login() with a token.};
my @attempts = (
	"SET reyearn.login = $forged",
	"SET SESSION reyearn.login = $forged",
	"SET LOCAL reyearn.login = $forged",
	"SELECT set_config('reyearn.login', $forged, true)",
	"SELECT set_config('reyearn.login', $forged, false)",
	"UPDATE pg_settings SET setting = $forged WHERE name = 'reyearn.login'",
	"ALTER ROLE app SET reyearn.login = $forged",
	"ALTER ROLE ALL SET reyearn.login = $forged",
	"ALTER ROLE app IN DATABASE mail SET reyearn.login = $forged",
	"ALTER DATABASE mail SET reyearn.login = $forged",
	"CREATE FUNCTION forge() RETURNS text LANGUAGE sql SET reyearn.login = $forged AS 'SELECT 1::text'",
	"ALTER FUNCTION refusal SET reyearn.login = $forged",
	'SET reyearn.login = x', "SET reyearn.login = '8'", "SET reyearn.login = ' '");
for my $sql (@attempts)
{
	my $expected = $sql =~ /pg_settings/ ? '' : $cannot;    # it is not shown there
	for my $login ('', login($token))
	{
		ask($super, "BEGIN; $login");
		is(error_in($super, "SAVEPOINT a; $sql"), $expected, ($login ? 'in a login: ' : '') . $sql);
		ask($super, 'ROLLBACK TO a');
		shows($login ? 7 : '', '... changes nothing');
		ask($super, 'ROLLBACK');
	}
}
for my $sql ('ALTER FUNCTION refusal SET reyearn.login FROM CURRENT', 'ALTER ROLE app SET reyearn.login FROM CURRENT',
	'ALTER DATABASE mail SET reyearn.login FROM CURRENT',
	'CREATE FUNCTION keep() RETURNS text LANGUAGE sql SET reyearn.login FROM CURRENT AS $$SELECT 1::text$$')
{
	ask($super, 'BEGIN; ' . login($token));
	is(error_in($super, $sql), $cannot, "a login is not kept: $sql");
	ask($super, 'ROLLBACK');
}
like(error_in($super, "ALTER SYSTEM SET reyearn.login = $_"), qr/^55P02: parameter "reyearn.login" cannot be changed/, "ALTER SYSTEM: $_")
  for $forged, "''";
ask($super, 'BEGIN; ' . login($token) . '; RESET reyearn.login');
shows($nobody, 'a superuser can end a login');
ask($super, 'ROLLBACK');

# Others may not even look. A right to set it gives none.
my $no_right = qr/^42501: permission denied to set parameter "reyearn.login"/;
ask($app, 'BEGIN; ' . login($token) . '; SAVEPOINT a');
for my $sql (grep { !/ROLE|DATABASE|FUNCTION|pg_settings/ } @attempts, 'RESET reyearn.login', "SET reyearn.login = ''")
{
	like(error_in($app, $sql), $no_right, "the role of the application: $sql");
	ask($app, 'ROLLBACK TO a');
}
for my $sql ('SHOW reyearn.login', q{SELECT current_setting('reyearn.login')}, q{SELECT current_setting('reyearn.login', true)})
{
	like(error_in($app, $sql), qr/^42501: must be superuser or have privileges of pg_read_all_settings to examine "reyearn.login"/, "... $sql");
	ask($app, 'ROLLBACK TO a');
}
is(ask($app, q{SELECT count(*) FROM pg_settings WHERE name = 'reyearn.login'}), '0', '... pg_settings');
ask($app, 'ROLLBACK');
ask($super, 'GRANT SET ON PARAMETER reyearn.login TO app');
is(error_in($app, "SET reyearn.login = $forged"), $cannot, 'with the right to set the parameter');
ask($super, 'REVOKE SET ON PARAMETER reyearn.login FROM app');

# Before the library is there any name will do for a setting. What it holds then is dropped when the library comes.
my $load = q{LOAD 'reyearn'};
my $dropped = q{SELECT 'value: ' || current_setting('reyearn.login')};
sub is_dropped
{
	my ($what, $sql, @options) = @_;
	my $output;
	{
		local $ENV{PGOPTIONS} = $options[0] if @options;
		$node->psql('mail', "$sql; $dropped; $load; $dropped", stdout => \$output, stderr => \my $error);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($output, qr/^value: 8 9+\nvalue: $/m, "$what: dropped when the library is loaded");
}
is_dropped('SET', "SET reyearn.login = $forged");
is_dropped('SET LOCAL', "BEGIN; SAVEPOINT a; SET LOCAL reyearn.login = $forged");
is_dropped('options', 'SELECT 1', '-c reyearn.login=8\ 999999999999999999');
my $without = sub { $node->psql('mail', "SET session_replication_role = origin; $_[0]", stderr => \my $error); return $error };
for my $place ('ROLE ALL', 'DATABASE mail', 'ROLE CURRENT_USER IN DATABASE mail')
{
	is($without->("ALTER $place SET reyearn.login = $forged"), '', "ALTER $place in a session without the library");
	is_dropped("ALTER $place", 'SELECT 1');
	is($node->safe_psql('mail', "BEGIN; SET LOCAL force_parallel_mode = on; $load; " . $dropped), 'value: ', '... in workers too')
	  if $node->safe_psql('postgres', 'SHOW server_version_num') < 160000;
	$without->("ALTER $place RESET reyearn.login");
}
$node->append_conf('postgresql.conf', "reyearn.login = $forged");
$node->reload;
is_dropped('postgresql.conf', 'SELECT 1');

# The same with the library there from the start.
$super->quit;
$app->quit;
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'reyearn'});
$node->restart;
is($node->safe_psql('mail', $dropped), 'value: ', 'postgresql.conf, with the library preloaded');
$node->adjust_conf('postgresql.conf', 'reyearn.login', undef);
$node->restart;
{
	local $ENV{PGOPTIONS} = '-c reyearn.login=8\ 999999999999999999';
	$node->psql('mail', 'SELECT 1', stderr => \my $error);
	like($error, qr/FATAL:  parameter "reyearn.login" cannot be set/, 'options, with the library preloaded');
}
$super = session($node, 'mail');
accepted(token_with(), 'after a restart');

# Objects of others on the search_path are not looked at.
ask($super, q{
	CREATE SCHEMA hostile;
	CREATE FUNCTION hostile.same_text(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
	CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.same_text);
	CREATE TEMP TABLE login_keys (no text);
	CREATE TEMP TABLE tenants (no text);
	SET search_path = hostile, public, pg_catalog});
accepted(token_with(), 'a hostile search_path');
ask($super, 'RESET search_path; DROP TABLE pg_temp.login_keys, pg_temp.tenants');

# Many of them, good and bad, in one session: nothing is left.
my $bad = token(header(), payload(), sub { 'x' x 64 });
my $loop = qq{DO \$\$ BEGIN FOR i IN 1 .. 1000 LOOP PERFORM refusal('$token'), refusal('$bad'), refusal('junk'); END LOOP; END \$\$};
my $pid = ask($super, 'SELECT pg_backend_pid()');
ask($super, $loop) for 1 .. 2;
my $before = memory_of($pid);
ask($super, $loop) for 1 .. 3;
cmp_ok(memory_of($pid) - $before, '<', 1024, '3,000 logins, 6,000 refused: memory in kB');
$super->quit;

# Dumped and restored, with the tenants.
my $keys = q{SELECT string_agg(k::text, ';' ORDER BY key_id) FROM reyearn.login_keys AS k};
$node->safe_psql('mail', qq{INSERT INTO reyearn.login_keys VALUES ('acme', '$other_key', 'acme''s own', 'mail', 7)});
my $dump = PostgreSQL::Test::Utils::tempdir() . '/mail.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('mail') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'restored');
is($node->safe_psql('copy', $keys), $node->safe_psql('mail', $keys), 'the same keys');
is($node->safe_psql('copy', 'BEGIN; ' . login(token_of_acme())), 'acme', 'which do the same');

# Databases in other encodings: tokens are in UTF-8 everywhere.
for my $encoding ('LATIN1', 'SQL_ASCII')
{
	my $database = "in_\L$encoding";
	create_database($node, $database, "ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	my $cafe = $encoding eq 'LATIN1' ? '\351' : '\303\251';
	$node->safe_psql($database, qq{
		INSERT INTO reyearn.tenants (tenant_id, name) VALUES (7, 'caf' || convert_from('$cafe'::bytea, '$encoding'));
		INSERT INTO reyearn.login_keys VALUES ('main', '$main_key', 'auth', 'mail')});
	$super = session($node, $database);
	ask($super, q{SET client_encoding = 'UTF8'}) if $encoding eq 'LATIN1';
	accepted(token_with(tenant => '"café"'), "$encoding: a name in UTF-8", qr/^café\n7 /);
	accepted(token_with(tenant => '"caf\u00e9"'), "$encoding: an escape", qr/^café\n7 /) if $encoding eq 'LATIN1';
	for my $tenant ('"caf\u5b50"', $encoding eq 'LATIN1' ? '"caf子"' : "\"caf\xe9\"")
	{
		like(error_in($super, login(token_with(tenant => $tenant))), qr/^28000: .*\nDETAIL:  Its payload is not a JSON object\./,
			"$encoding: what it has no characters for");
	}
	$super->quit;
}

ok(is_unharmed($node), 'no process crashed');

done_testing();
