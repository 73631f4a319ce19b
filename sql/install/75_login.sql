-- Logins by token: one role of the database stands for many tenants, and each transaction proves which one it acts for.

CREATE FUNCTION reyearn.check_public_key(public_key text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_check_public_key'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION reyearn.check_public_key(text) IS
    'true for a public key on P-256 in PEM; an error that says what is wrong for anything else';

-- Whoever writes here speaks for every tenant: nothing is granted on it to anybody.
CREATE TABLE reyearn.login_keys (
    key_id        text         COLLATE "C" PRIMARY KEY CHECK (key_id <> ''),
    public_key    text         NOT NULL CHECK (reyearn.check_public_key(public_key)),
    issuer        text         NOT NULL CHECK (issuer <> ''),
    audience      text         NOT NULL CHECK (audience <> ''),
    tenant_id     int          REFERENCES reyearn.tenants ON DELETE CASCADE,
    time_created  timestamptz  NOT NULL DEFAULT now()
);
COMMENT ON TABLE  reyearn.login_keys IS 'keys that tokens for reyearn_login are verified with; for the owner of the extension alone';
COMMENT ON COLUMN reyearn.login_keys.key_id IS 'name of the key: what a token has as kid';
COMMENT ON COLUMN reyearn.login_keys.public_key IS 'public key on P-256 in PEM; whoever has its private half signs with ES256';
COMMENT ON COLUMN reyearn.login_keys.issuer IS 'what its tokens must have as iss';
COMMENT ON COLUMN reyearn.login_keys.audience IS 'what its tokens must have as aud, or among it: names this database';
COMMENT ON COLUMN reyearn.login_keys.tenant_id IS 'the only tenant that its tokens may be for; NULL: any';
COMMENT ON COLUMN reyearn.login_keys.time_created IS 'when the key was added';

CREATE FUNCTION reyearn_login(token text) RETURNS text
    AS 'MODULE_PATHNAME', 'reyearn_login'
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION reyearn_login(text) IS
    'lets the rest of this transaction act for the tenant that the token names: a JSON Web Token signed with ES256 by a key of reyearn.login_keys. Returns the name of the tenant';
