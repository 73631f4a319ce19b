#include "pg/datum.hpp"

#include <cstring>

#include "pg/postgres.hpp"

namespace reyearn::pg {

std::string_view text_view(Datum datum) {
  const text* value = DatumGetTextPP(datum);
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

std::span<const std::byte> bytes_view(Datum datum) {
  const std::string_view view = text_view(datum);
  return {reinterpret_cast<const std::byte*>(view.data()), view.size()};
}

std::string_view utf8_view(Datum datum) {
  const std::string_view view = text_view(datum);
  if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII) return view;
  const char* converted = pg_server_to_any(view.data(), static_cast<int>(view.size()), PG_UTF8);
  // Text that needs no conversion comes back as it is, without a terminating zero.
  if (converted == view.data()) return view;
  return converted;
}

std::string_view optional_text(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument)) return {};
  return text_view(PG_GETARG_DATUM(argument));
}

TupleDesc row_type(FunctionCallInfo fcinfo) {
  TupleDesc descriptor;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) elog(ERROR, "not a composite type");
  return BlessTupleDesc(descriptor);
}

Datum column_of(const TriggerData* trigger, HeapTuple row, const char* column) {
  const TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
  bool is_null;
  return heap_getattr(row, SPI_fnumber(descriptor, column), descriptor, &is_null);
}

Datum text_datum(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

Datum bytes_datum(std::span<const std::byte> bytes) {
  auto* value = static_cast<bytea*>(palloc(VARHDRSZ + bytes.size()));
  SET_VARSIZE(value, VARHDRSZ + bytes.size());
  std::memcpy(VARDATA(value), bytes.data(), bytes.size());
  return PointerGetDatum(value);
}

Datum ltree_datum(std::string_view label) {
  // No element takes more than its length and a header, each aligned.
  std::size_t levels = 1;
  for (const char c : label) levels += c == '.';
  auto* value = static_cast<ltree*>(palloc0(LTREE_HDRSIZE + label.size() + levels * (LEVEL_HDRSIZE + MAXIMUM_ALIGNOF)));
  value->numlevel = static_cast<uint16>(levels);
  ltree_level* level = LTREE_FIRST(value);
  for (std::size_t begin = 0; begin <= label.size();) {
    const std::size_t dot = label.find('.', begin);
    const std::size_t end = dot == std::string_view::npos ? label.size() : dot;
    level->len = static_cast<uint16>(end - begin);
    std::memcpy(level->name, label.data() + begin, end - begin);
    level = LEVEL_NEXT(level);
    begin = end + 1;
  }
  SET_VARSIZE(value, reinterpret_cast<char*>(level) - reinterpret_cast<char*>(value));
  return PointerGetDatum(value);
}

std::string_view label_of(Datum ltree_value) {
  const auto* value = reinterpret_cast<ltree*>(PG_DETOAST_DATUM(ltree_value));
  auto* label = static_cast<char*>(palloc(VARSIZE(value) + value->numlevel));
  char* end = label;
  const ltree_level* level = LTREE_FIRST(value);
  for (int i = 0; i < value->numlevel; ++i) {
    if (i > 0) *end++ = '.';
    std::memcpy(end, level->name, level->len);
    end += level->len;
    level = LEVEL_NEXT(level);
  }
  return {label, static_cast<std::size_t>(end - label)};
}

char* c_string(std::string_view text) { return pnstrdup(text.data(), text.size()); }

}  // namespace reyearn::pg
