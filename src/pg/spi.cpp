#include "pg/spi.hpp"

#include <algorithm>

#include "pg/datum.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

namespace {

constexpr int kMaxParameters = 32;

// Parameters as SPI wants them.
struct Arguments {
  explicit Arguments(std::initializer_list<SpiParameter> parameters) {
    Assert(parameters.size() <= kMaxParameters);
    for (const SpiParameter& parameter : parameters) {
      types[count] = parameter.type;
      values[count] = parameter.value;
      nulls[count] = parameter.is_null ? 'n' : ' ';
      ++count;
    }
  }

  int count = 0;
  Oid types[kMaxParameters];
  Datum values[kMaxParameters];
  char nulls[kMaxParameters];
};

}  // namespace

SpiParameter spi_text(std::string_view value) {
  return {TEXTOID, pg_call([&] { return text_datum(value); })};
}

SpiParameter spi_bytes(std::span<const std::byte> value) {
  return {BYTEAOID, pg_call([&] { return bytes_datum(value); })};
}

SpiParameter spi_json(std::string_view value) {
  return {JSONBOID, pg_call([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(c_string(value))); })};
}

SpiParameter spi_int8_array(const std::vector<std::int64_t>& values) {
  return {INT8ARRAYOID, pg_call([&] {
            auto* datums = static_cast<Datum*>(palloc(sizeof(Datum) * std::max<std::size_t>(values.size(), 1)));
            for (std::size_t i = 0; i < values.size(); ++i) datums[i] = Int64GetDatum(values[i]);
            return PointerGetDatum(construct_array(datums, static_cast<int>(values.size()), INT8OID, sizeof(int64),
                                                   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
          })};
}

bool SpiRow::is_null(int column) const {
  bool is_null;
  SPI_getbinval(row_, descriptor_, column, &is_null);
  return is_null;
}

Datum SpiRow::datum(int column) const {
  bool is_null;
  const Datum value = SPI_getbinval(row_, descriptor_, column, &is_null);
  return is_null ? Datum{0} : value;
}

std::string_view SpiRow::text(int column) const {
  const Datum value = datum(column);
  if (value == 0) return {};
  return pg_call([&] { return text_view(value); });
}

std::span<const std::byte> SpiRow::bytes(int column) const {
  const std::string_view view = text(column);
  return {reinterpret_cast<const std::byte*>(view.data()), view.size()};
}

Spi::Spi() {
  pg_call([] {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  });
}

void Spi::finish() {
  pg_call([] { SPI_finish(); });
}

void Spi::run(const char* sql, std::initializer_list<SpiParameter> parameters, bool is_read_only) {
  Arguments arguments(parameters);
  pg_call([&] {
    const int result = SPI_execute_with_args(sql, arguments.count, arguments.types, arguments.values, arguments.nulls,
                                             is_read_only, 0);
    if (result < 0) elog(ERROR, "SPI failed: %s", SPI_result_code_string(result));
  });
}

void Spi::execute(const char* sql, std::initializer_list<SpiParameter> parameters) { run(sql, parameters, false); }

void Spi::query(const char* sql, std::initializer_list<SpiParameter> parameters) { run(sql, parameters, true); }

std::uint64_t Spi::row_count() const { return SPI_processed; }

SpiRow Spi::row(std::uint64_t number) const { return {SPI_tuptable->vals[number], SPI_tuptable->tupdesc}; }

SpiCursor::SpiCursor(const char* sql, std::initializer_list<SpiParameter> parameters) {
  Arguments arguments(parameters);
  portal_ = pg_call([&] {
    return SPI_cursor_open_with_args(nullptr, sql, arguments.count, arguments.types, arguments.values, arguments.nulls,
                                     true, CURSOR_OPT_NO_SCROLL);
  });
}

bool SpiCursor::fetch(long count, bool holds_interrupts) {
  pg_call([&] {
    if (SPI_tuptable != nullptr) SPI_freetuptable(SPI_tuptable);
    if (holds_interrupts) HOLD_INTERRUPTS();
    SPI_cursor_fetch(portal_, true, count);
    if (holds_interrupts) RESUME_INTERRUPTS();  // an error has already done so
  });
  return SPI_processed > 0;
}

std::uint64_t SpiCursor::row_count() const { return SPI_processed; }

SpiRow SpiCursor::row(std::uint64_t number) const { return {SPI_tuptable->vals[number], SPI_tuptable->tupdesc}; }

void SpiCursor::close() {
  pg_call([&] { SPI_cursor_close(portal_); });
}

}  // namespace reyearn::pg
