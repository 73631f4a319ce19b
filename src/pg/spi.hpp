// Spi: one SPI connection, and statements run through it. Parameters are Datums with their types, so nothing is ever
// quoted or pasted into SQL.
//
// An error leaves the connection open: the (sub)transaction that ends with it closes it. So there is no destructor, and
// finish() is called on the way out that goes well.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "pg/guard.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct SpiParameter {
  Oid type;
  Datum value;
  bool is_null = false;
};

inline SpiParameter spi_int4(int value) { return {INT4OID, Int32GetDatum(value)}; }
inline SpiParameter spi_int8(std::int64_t value) { return {INT8OID, Int64GetDatum(value)}; }
inline SpiParameter spi_float8(double value) { return {FLOAT8OID, Float8GetDatum(value)}; }
inline SpiParameter spi_bool(bool value) { return {BOOLOID, BoolGetDatum(value)}; }
inline SpiParameter spi_null(Oid type) { return {type, Datum{0}, true}; }
// Allocates: throws PgError.
SpiParameter spi_text(std::string_view value);
SpiParameter spi_bytes(std::span<const std::byte> value);
SpiParameter spi_json(std::string_view value);
SpiParameter spi_int8_array(const std::vector<std::int64_t>& values);

// One row of a result. Getters throw PgError; a NULL where none is expected gives 0 or an empty text.
class SpiRow {
 public:
  SpiRow(HeapTuple row, TupleDesc descriptor) : row_(row), descriptor_(descriptor) {}

  bool is_null(int column) const;
  Datum datum(int column) const;  // columns from 1
  int int4(int column) const { return DatumGetInt32(datum(column)); }
  std::int64_t int8(int column) const { return DatumGetInt64(datum(column)); }
  double float8(int column) const { return DatumGetFloat8(datum(column)); }
  bool boolean(int column) const { return DatumGetBool(datum(column)); }
  std::string_view text(int column) const;
  std::span<const std::byte> bytes(int column) const;

 private:
  HeapTuple row_;
  TupleDesc descriptor_;
};

class Spi {
 public:
  Spi();
  void finish();

  // Runs a statement that may write and sees what the transaction has done so far. Throws PgError.
  void execute(const char* sql, std::initializer_list<SpiParameter> parameters);
  // Runs a query with the active snapshot.
  void query(const char* sql, std::initializer_list<SpiParameter> parameters);

  // The rows of the statement before.
  std::uint64_t row_count() const;
  SpiRow row(std::uint64_t number) const;

 private:
  void run(const char* sql, std::initializer_list<SpiParameter> parameters, bool is_read_only);
};

// A query read in batches, with the active snapshot.
class SpiCursor {
 public:
  SpiCursor(const char* sql, std::initializer_list<SpiParameter> parameters);

  // Fetches at most `count` rows, which replace those before; false when there are no more. With `holds_interrupts` a
  // request to end the backend waits until the fetch is over: for the time when threads run.
  bool fetch(long count, bool holds_interrupts);
  std::uint64_t row_count() const;
  SpiRow row(std::uint64_t number) const;
  void close();

 private:
  Portal portal_ = nullptr;
};

}  // namespace reyearn::pg
