# Keys and tokens for reyearn_login.
#
# Keys are made by the openssl command, and so are signatures: "openssl dgst -sign" signs with the key it is given, in DER
# for an EC key, which raw_signature() turns into the 64 bytes that a token has. Claims are given as JSON text.

package Tokens;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;
use Reyearn;
use Time::HiRes qw(time);

our @EXPORT = qw(has_openssl openssl make_key key_file public_key private_key signature_of raw_signature json header payload signed_part token token_with token_under);

my $directory = PostgreSQL::Test::Utils::tempdir();

# Whether the library of a server with the extension can verify tokens.
sub has_openssl
{
	my ($node, $database) = @_;
	return error_of($node, $database, q{SELECT reyearn.check_public_key('')}) !~ /^0A000: tokens cannot be verified\n/;
}

sub openssl
{
	my ($input, @arguments) = @_;
	my ($output, $error);
	IPC::Run::run([ 'openssl', @arguments ], '<', \$input, '>', \$output, '2>', \$error)
	  or die "openssl @arguments: $error";
	return $output;
}

sub key_file { my ($name) = @_; return "$directory/$name.pem" }
sub private_key { my ($name) = @_; return slurp_file(key_file($name)) }

# A pair of keys, its private half in a file; returns the public half in PEM.
sub make_key
{
	my ($name, @options) = @_;
	@options = qw(EC -pkeyopt ec_paramgen_curve:P-256) if !@options;
	openssl('', 'genpkey', '-algorithm', @options, '-out', key_file($name));
	return public_key($name);
}

sub public_key
{
	my ($name, @options) = @_;
	return openssl('', 'pkey', '-in', key_file($name), '-pubout', @options);
}

sub signature_of
{
	my ($name, $message) = @_;
	return openssl($message, 'dgst', '-sha256', '-sign', key_file($name));
}

sub raw_signature
{
	my ($der) = @_;
	my ($r, $s) = $der =~ /^\x30.\x02(.)/s ? unpack('x3 C/a x C/a', $der) : die 'not a signature';
	return join '', map { substr("\0" x 32 . $_, -32) } $r, $s;
}

# A JSON object of claims; undef leaves one out.
sub json
{
	my (%claims) = @_;
	return '{' . join(',', map { qq{"$_":$claims{$_}} } grep { defined $claims{$_} } sort keys %claims) . '}';
}
sub header { return json(alg => '"ES256"', typ => '"JWT"', kid => '"main"', @_) }
sub payload { return json(iss => '"auth"', aud => '"mail"', exp => int(time) + 600, tenant => '"acme"', @_) }

# What is signed, and a token with the signature that `sign` makes of that: by default, key main's.
sub signed_part { return join '.', map { encode_base64url($_) } @_ }
sub token
{
	my ($header, $payload, $sign) = @_;
	my $message = signed_part($header, $payload);
	$sign //= sub { raw_signature(signature_of('main', @_)) };
	return "$message." . encode_base64url($sign->($message));
}
sub token_with { return token(header(), payload(@_)) }
sub token_under { return token(header(@_), payload()) }

1;
