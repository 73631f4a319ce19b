// SQL entry points for models: names, parameters, export and import of images, facts about the library.
#include <string>

#include <unicode/uchar.h>

#include "core/error.hpp"
#include "core/version.hpp"
#include "pg/acts_as.hpp"
#include "pg/datum.hpp"
#include "pg/guard.hpp"
#include "pg/parameters.hpp"
#include "pg/serving.hpp"
#include "pg/stored_image.hpp"
#include "pg/tenants.hpp"
#include "pg/training_data.hpp"
#include "pg/training_store.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

VersionRow require_version(const ModelRow& model, int number, Snapshot snapshot) {
  const std::optional<VersionRow> version = find_version(model, number, snapshot);
  if (!version) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("version %d of model \"%s\" does not exist", number, model_name(model, snapshot)),
                    errhint("SELECT version FROM reyearn.model_versions; lists the versions.")));
  }
  if (version->is_pruned) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("version %d of model \"%s\" has no image any more", number, model_name(model, snapshot)),
                    errdetail("Only the newest versions keep their images."),
                    errhint("Choose a newer version, or raise keep_versions with reyearn_alter_model().")));
  }
  return *version;
}

// Puts a row of texts; nullptr is NULL.
template <typename... Texts>
void put_texts(ReturnSetInfo* result, Texts... texts) {
  Datum values[] = {(texts != nullptr ? text_datum(texts) : Datum{0})...};
  bool nulls[] = {(texts == nullptr)...};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

ReturnSetInfo* begin_result(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  return reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(reyearn_model_id);
PGDLLEXPORT Datum reyearn_model_id(PG_FUNCTION_ARGS) {
  check_may_read("models");
  PG_RETURN_INT64(find_own_model(optional_text(fcinfo, 0), GetActiveSnapshot()).model_id);
}

PG_FUNCTION_INFO_V1(reyearn_check_params);
PGDLLEXPORT Datum reyearn_check_params(PG_FUNCTION_ARGS) {
  const std::string_view algorithm = text_view(PG_GETARG_DATUM(0));
  const Datum params = PG_GETARG_DATUM(1);
  guard([&] {
    find_algorithm(algorithm);
    Parameters parameters;
    set_parameters(parameters, params, false);
  });
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(reyearn_parameters);
PGDLLEXPORT Datum reyearn_parameters(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = begin_result(fcinfo);
  guard([&] {
    const Parameters defaults;
    for (const ParameterSpec& spec : parameter_specs()) {
      const std::string value = spec.get(defaults);
      pg_call([&] {
        put_texts(result, spec.name, spec.type, value.c_str(), spec.range,
                  spec.belongs_to_model ? "model" : "model, training", spec.description);
      });
    }
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_library_info);
PGDLLEXPORT Datum reyearn_library_info(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = begin_result(fcinfo);
  guard([&] {
    const std::string icu = icu_version();
    pg_call([&] {
      put_texts(result, "library_version", kLibraryVersion);
      put_texts(result, "postgresql_version", PG_VERSION);
      put_texts(result, "icu_version", icu.c_str());
      put_texts(result, "unicode_version", U_UNICODE_VERSION);
      put_texts(result, "server_encoding", GetDatabaseEncodingName());
    });
  });
  return Datum{0};
}

PG_FUNCTION_INFO_V1(reyearn_export_model);
PGDLLEXPORT Datum reyearn_export_model(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"model\" must not be NULL"),
                    errhint("Name the model to export.")));
  }
  check_may_read("model_images");
  const Snapshot snapshot = GetActiveSnapshot();
  const ModelRow model = find_own_model(optional_text(fcinfo, 0), snapshot);
  const VersionRow version =
      PG_ARGISNULL(1) ? require_live_version(model, snapshot) : require_version(model, PG_GETARG_INT32(1), snapshot);
  if (static_cast<Size>(version.image_bytes) + VARHDRSZ > MaxAllocSize) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("model image is too large to be exported"),
                    errdetail("It has " INT64_FORMAT " bytes; a bytea holds 1 GB at most.", version.image_bytes),
                    errhint("Move it with pg_dump, which reads it in chunks.")));
  }
  return guard([&] {
    const std::vector<std::byte> image = load_image(version, "serving", snapshot);
    ModelView::open(image);
    return pg_call([&] { return bytes_datum(image); });
  });
}

// The labels of an image in the order of its classes: what reyearn_import_model needs before it can store it.
PG_FUNCTION_INFO_V1(reyearn_image_labels);
PGDLLEXPORT Datum reyearn_image_labels(PG_FUNCTION_ARGS) {
  const std::span<const std::byte> bytes = bytes_view(PG_GETARG_DATUM(0));
  return guard([&] {
    const std::vector<std::byte> image = copy_of(bytes);
    const ModelView view = ModelView::open(image);
    return pg_call([&] {
      const auto count = static_cast<int>(view.class_count());
      auto* labels = static_cast<Datum*>(palloc(sizeof(Datum) * view.class_count()));
      for (int c = 0; c < count; ++c) labels[c] = text_datum(view.label(static_cast<std::uint32_t>(c)));
      return PointerGetDatum(construct_array(labels, count, TEXTOID, -1, false, TYPALIGN_INT));
    });
  });
}

PG_FUNCTION_INFO_V1(reyearn_image_algorithm);
PGDLLEXPORT Datum reyearn_image_algorithm(PG_FUNCTION_ARGS) {
  const std::span<const std::byte> bytes = bytes_view(PG_GETARG_DATUM(0));
  return guard([&] {
    const std::vector<std::byte> image = copy_of(bytes);
    const std::string_view algorithm = ModelView::open(image).algorithm();
    return pg_call([&] { return text_datum(algorithm); });
  });
}

// Stores an image as a new version of a model of the caller's tenant, its classes being the given ones.
PG_FUNCTION_INFO_V1(reyearn_store_image);
PGDLLEXPORT Datum reyearn_store_image(PG_FUNCTION_ARGS) {
  check_may_read("models");
  const ModelRow id{current_tenant(), PG_GETARG_INT64(0), {}};
  const std::span<const std::byte> bytes = bytes_view(PG_GETARG_DATUM(1));
  const bool is_new = PG_GETARG_BOOL(3);
  const Oid owner = extension_owner();
  Datum* class_ids;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &class_ids,
                    nullptr, &count);
  const int version = guard([&] {
    const std::vector<std::byte> image = copy_of(bytes);
    const ModelView view = ModelView::open(image);
    std::vector<ModelClass> classes;
    for (std::uint32_t c = 0; c < view.class_count() && c < static_cast<std::uint32_t>(count); ++c) {
      classes.push_back({DatumGetInt64(class_ids[c]), std::string(view.label(c))});
    }
    const ActsAs acting(owner);
    Spi spi;
    const ModelDefinition model = lock_model(spi, id);
    const int stored = store_imported_version(spi, model, with_classes(image, classes));
    if (is_new) delete_news(spi, model, read_news(spi, model));
    spi.finish();
    return stored;
  });
  PG_RETURN_INT32(version);
}

// What a tenant may have only so much of.
PG_FUNCTION_INFO_V1(reyearn_count_models);
PGDLLEXPORT Datum reyearn_count_models(PG_FUNCTION_ARGS) { PG_RETURN_INT64(count_models(PG_GETARG_INT32(0))); }

PG_FUNCTION_INFO_V1(reyearn_image_bytes);
PGDLLEXPORT Datum reyearn_image_bytes(PG_FUNCTION_ARGS) { PG_RETURN_INT64(bytes_of_images(PG_GETARG_INT32(0))); }

// What other tenants share with the caller's.
PG_FUNCTION_INFO_V1(reyearn_list_shared_models);
PGDLLEXPORT Datum reyearn_list_shared_models(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = begin_result(fcinfo);
  const auto put = [](const char* name, TimestampTz since, void* into) {
    auto* const set = static_cast<ReturnSetInfo*>(into);
    Datum values[] = {text_datum(name), TimestampTzGetDatum(since)};
    bool nulls[] = {false, false};
    tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
  };
  visit_shared_models(current_tenant(), GetActiveSnapshot(), put, result);
  return Datum{0};
}

}  // extern "C"

}  // namespace reyearn::pg
