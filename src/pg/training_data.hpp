// What a training reads from the database: the model's definition, the examples, the live version, and the texts.
//
// All but the definition is read with the active snapshot, which the caller takes after he has locked the model and
// keeps: the texts then belong to the examples, whatever others commit meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/classify/training.hpp"
#include "pg/catalog.hpp"
#include "pg/spi.hpp"

#include "pg/postgres.hpp"

namespace reyearn::pg {

struct ModelDefinition {
  ModelRow id;
  std::string name;
  Oid owner = InvalidOid;
  std::optional<std::int64_t> label_root_id;
  std::string algorithm;
  Parameters parameters;
  Promotion promotion;
};

// Locks the model against another training until the end of the transaction, and reads it.
// Throws PgError, Error(kUnknownName) when it has been dropped meanwhile.
ModelDefinition lock_model(Spi& spi, const ModelRow& id);

// Fills in classes and examples. Throws PgError, Error(kNotEnoughData) for a model without root over several types.
void read_examples(Spi& spi, const ModelDefinition& model, TrainingRequest& request);

// The live version with its images. Throws PgError, Error.
std::optional<LiveVersion> read_live_version(Spi& spi, const ModelDefinition& model);

// Ids of the news that the training takes in.
std::vector<std::int64_t> read_news(Spi& spi, const ModelDefinition& model);

// Reads the texts of the examples.
class TextReader {
 public:
  // Starts the query and fetches the first rows, which may take long and can be interrupted as usual: make it before
  // threads are started.
  TextReader(const ModelDefinition& model, const TrainingRequest& request);

  // Hands all texts to `emit`. Threads may run. Throws PgError, Error(kCancelled).
  void read(const EmitText& emit, const ShouldStop& should_stop);
  void close();

 private:
  void emit_batch(const EmitText& emit, const ShouldStop& should_stop);
  std::uint32_t row_of(std::int64_t observation_id) const;

  std::vector<std::pair<std::int64_t, std::uint32_t>> rows_;  // observation → example
  SpiCursor cursor_;
  bool has_rows_ = false;
  MemoryContext text_context_ = nullptr;
};

}  // namespace reyearn::pg
