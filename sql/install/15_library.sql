-- What the library knows of itself.

CREATE FUNCTION reyearn.library_info() RETURNS TABLE (name text, value text)
    AS 'MODULE_PATHNAME', 'reyearn_library_info'
    LANGUAGE C STABLE PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION reyearn.library_info() IS 'versions of the library and of what it runs with';

CREATE FUNCTION reyearn.list_parameters()
    RETURNS TABLE (name text, type text, default_value text, range text, set_for text, description text)
    AS 'MODULE_PATHNAME', 'reyearn_parameters'
    LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION reyearn.list_parameters() IS 'the parameters that models take, for the view reyearn.parameters';

CREATE VIEW reyearn.parameters WITH (security_invoker, security_barrier) AS
    SELECT name, type, default_value, range, set_for, description FROM reyearn.list_parameters();
COMMENT ON VIEW reyearn.parameters IS 'the parameters that models take, in params of reyearn_create_model, reyearn_alter_model and reyearn_train';
COMMENT ON COLUMN reyearn.parameters.name IS 'key in params';
COMMENT ON COLUMN reyearn.parameters.type IS 'type of its value in JSON';
COMMENT ON COLUMN reyearn.parameters.default_value IS 'value when it is not given, as JSON';
COMMENT ON COLUMN reyearn.parameters.range IS 'values that are accepted';
COMMENT ON COLUMN reyearn.parameters.set_for IS 'model: kept with the model; training: can also be given to a single reyearn_train';
COMMENT ON COLUMN reyearn.parameters.description IS 'what it does';
