CREATE TABLE reyearn.login_keys (key_id text PRIMARY KEY);
COMMENT ON TABLE reyearn.login_keys IS 'stub';
COMMENT ON COLUMN reyearn.login_keys.key_id IS 'stub';
