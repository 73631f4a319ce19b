-- Sharing: a tenant lets another one predict with a model, and nothing else. The other names it tenant/name.

CREATE TABLE reyearn.model_shares (
    tenant_id     int          NOT NULL DEFAULT reyearn.current_tenant(),
    model_id      bigint       NOT NULL,
    to_tenant_id  int          NOT NULL REFERENCES reyearn.tenants ON DELETE CASCADE,
    shared_by     name         NOT NULL DEFAULT reyearn.acting_role(),
    time_created  timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, model_id, to_tenant_id),
    FOREIGN KEY (tenant_id, model_id) REFERENCES reyearn.models ON DELETE CASCADE
);
CREATE INDEX model_shares_to ON reyearn.model_shares (to_tenant_id, tenant_id, model_id);
COMMENT ON TABLE  reyearn.model_shares IS 'models that other tenants may predict with';
COMMENT ON COLUMN reyearn.model_shares.tenant_id IS 'tenant that owns the model';
COMMENT ON COLUMN reyearn.model_shares.model_id IS 'the model';
COMMENT ON COLUMN reyearn.model_shares.to_tenant_id IS 'tenant that may predict with it';
COMMENT ON COLUMN reyearn.model_shares.shared_by IS 'role that shared it';
COMMENT ON COLUMN reyearn.model_shares.time_created IS 'when it was shared';

CREATE FUNCTION reyearn.tenant_id(name text) RETURNS int
    AS 'MODULE_PATHNAME', 'reyearn_tenant_id'
    LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION reyearn.tenant_id(text) IS
    'number of the tenant of that name, also of one that the caller may not use; an error when there is none';

CREATE FUNCTION reyearn.check_share(model text, tenant text) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id CONSTANT int := reyearn.tenant_id(tenant);
BEGIN
    IF model IS NULL OR tenant IS NULL THEN
        RAISE null_value_not_allowed USING
            MESSAGE = format('"%s" must not be NULL', CASE WHEN model IS NULL THEN 'model' ELSE 'tenant' END);
    ELSIF id = reyearn.current_tenant() THEN
        RAISE invalid_parameter_value USING MESSAGE = format('model "%s" belongs to tenant "%s" itself', model, tenant);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION reyearn.check_share(text, text) IS 'number of the tenant that a model is shared with, or an error';

CREATE FUNCTION reyearn_share_model(model text, tenant text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other CONSTANT int := reyearn.check_share(model, tenant);
BEGIN
    INSERT INTO reyearn.model_shares (tenant_id, model_id, to_tenant_id)
    VALUES (reyearn.current_tenant(), reyearn.model_id(model), other)
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION reyearn_share_model(text, text) IS
    'let another tenant predict with a model: it sees labels and probabilities rounded to 3 decimals, and names the model tenant/name';

CREATE FUNCTION reyearn.delete_share_of(tenant_id int, model_id bigint, to_tenant_id int) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM reyearn.model_shares AS s WHERE s.tenant_id = $1 AND s.model_id = $2 AND s.to_tenant_id = $3;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION reyearn.delete_share_of(int, bigint, int) IS 'no longer shares a model of a tenant with another; false: it did not';

CREATE FUNCTION reyearn.delete_share(model_id bigint, to_tenant_id int) RETURNS boolean
    AS 'MODULE_PATHNAME', 'reyearn_as_owner'
    LANGUAGE C STRICT;
COMMENT ON FUNCTION reyearn.delete_share(bigint, int) IS 'delete_share_of the caller''s tenant, as the owner of the extension';

CREATE FUNCTION reyearn_unshare_model(model text, tenant text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other CONSTANT int := reyearn.check_share(model, tenant);
BEGIN
    IF NOT reyearn.delete_share(reyearn.model_id(model), other) THEN
        RAISE undefined_object USING MESSAGE = format('model "%s" is not shared with tenant "%s"', model, tenant);
    END IF;
END
$$;
COMMENT ON FUNCTION reyearn_unshare_model(text, text) IS 'no longer let another tenant predict with a model';

CREATE FUNCTION reyearn.list_shared_models(OUT model text, OUT time_shared timestamptz) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'reyearn_list_shared_models'
    LANGUAGE C STABLE ROWS 10;
COMMENT ON FUNCTION reyearn.list_shared_models() IS
    'models that other tenants share with the caller''s, for the view reyearn.shared_models';

CREATE VIEW reyearn.shared_models WITH (security_invoker, security_barrier) AS
    SELECT s.model, s.time_shared FROM reyearn.list_shared_models() AS s;
COMMENT ON VIEW reyearn.shared_models IS 'models of other tenants that one may predict with';
COMMENT ON COLUMN reyearn.shared_models.model IS 'tenant and name of the model: what reyearn_predict takes';
COMMENT ON COLUMN reyearn.shared_models.time_shared IS 'since when';
