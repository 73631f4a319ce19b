// libFuzzer target for the parts of the core that read bytes of strangers: the tokenizer, ModelView::open and
// parse_signed_token.
// Not part of make check:
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc -pthread
//     test/fuzz/core_fuzz.cpp $(find src/core -name '*.cpp') -licui18n -licuuc -o /tmp/core_fuzz
//   mkdir -p /tmp/corpus && /tmp/core_fuzz -max_len=20000 -max_total_time=600 /tmp/corpus
//
// The first byte of an input chooses what the others are: a text, edits of a valid image, a whole image, or a token.
// Checksums are made right after the fact: the fuzzer could not.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/classify/predictor.hpp"
#include "core/error.hpp"
#include "core/model/linear_model.hpp"
#include "core/model/view.hpp"
#include "core/signed_token.hpp"
#include "core/text/features.hpp"
#include "core/text/tokenize.hpp"

namespace {

using namespace reyearn;
using Image = std::vector<std::byte>;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Token {
  std::string text;
  std::size_t begin;
  std::size_t end;

  bool operator==(const Token&) const = default;
};

// Words of the input are words of the output: nothing in them may be invalid any more.
bool is_valid_word(std::string_view word) {
  static Tokenizer tokenizer;  // what is not valid counts as a letter and becomes U+FFFD
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  if (word.find(kReplacement) != std::string_view::npos) return true;
  bool is_valid = true;
  tokenizer.tokenize(word,
                     [&](const Word& part) { is_valid &= part.text.find(kReplacement) == std::string_view::npos; });
  return is_valid;
}

void try_text(std::string_view text) {
  static Tokenizer tokenizer;
  std::vector<Token> tokens;
  std::size_t last_end = 0;
  tokenizer.tokenize(text, [&](const Word& word) {
    require(last_end <= word.begin && word.begin < word.end && word.end <= text.size());
    require(!word.text.empty() && word.text.size() <= kMaxWordBytes);
    require(hash_padded_word(word.text.data(), word.text.size()) == hash_word(word.text));
    last_end = word.end;
    tokens.push_back({std::string(word.text), word.begin, word.end});
  });
  for (const Token& token : tokens) require(is_valid_word(token.text));

  if (is_ascii_text(text)) {
    UnicodeTokenizer unicode;
    unicode.start(text, 0);
    std::vector<Token> others;
    for (Word word; unicode.next(word);) others.push_back({std::string(word.text), word.begin, word.end});
    require(tokens == others);
  }
  FeatureExtractor extractor({1, 2});
  std::uint64_t count = 0;
  for (const FeatureCount& feature : extractor.extract(text)) count += feature.count;
  require(count == (tokens.empty() ? 0 : 2 * tokens.size() - 1));
}

Image base_image(bool is_sparse) {
  LinearModel model;
  model.algorithm = "naive_bayes";
  const std::uint32_t classes = is_sparse ? 9 : 3;
  for (std::uint32_t c = 0; c < classes; ++c) {
    model.classes.push_back({c, "class_" + std::to_string(c)});
    model.class_scores.push_back({-1, -5});
    model.weights.push_back({{c, 1.0F}});
    for (std::uint32_t f = 9; !is_sparse && f < 20; ++f) model.weights[c].push_back({f, 0.5F});
  }
  for (std::uint32_t f = 0; f < 20; ++f) {
    model.features.push_back(hash_word("w" + std::to_string(f)));
    model.idf.push_back(1);
  }
  return model.to_image();
}

void try_image(Image image) {
  constexpr std::size_t kChecksum = offsetof(ImageHeader, checksum);
  constexpr std::size_t kBehind = kChecksum + sizeof(std::uint64_t);
  if (image.size() >= sizeof(ImageHeader)) {
    const std::uint64_t checksum = XXH3_64bits(image.data() + kBehind, image.size() - kBehind);
    std::memcpy(image.data() + kChecksum, &checksum, sizeof checksum);
  }
  image.shrink_to_fit();
  try {
    const ModelView view = ModelView::open(image);
    Predictor predictor(view);
    for (const std::string_view text :
         {"", "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 w0 x1"}) {
      require(best_class(predictor.scores(text)) < view.class_count());
    }
    for (const VocabularySlot& slot : view.slots()) {
      if (slot.idf != 0) view.find(slot.hash);
      view.find(~slot.hash);
    }
    std::vector<ModelClass> classes;
    for (std::uint32_t c = 0; c < view.class_count(); ++c)
      classes.push_back({view.class_id(c), std::string(view.label(c))});
    const Image copy = with_classes(image, classes);
    ModelView::open(copy);
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kCorruptModel || e.code() == ErrorCode::kNewerModel);
  }
}

// Four bytes an edit: place, in units of a byte, and a value of 16 bits.
void try_edits(Image image, std::span<const std::uint8_t> edits) {
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    std::uint16_t place;
    std::memcpy(&place, edits.data(), 2);
    const std::size_t at = place % (image.size() - 1);
    std::memcpy(image.data() + at, edits.data() + 2, 2);
  }
  try_image(std::move(image));
}

void try_token(std::string_view token) {
  try {
    const SignedToken parsed = parse_signed_token(token);
    require(token.size() <= kMaxTokenBytes);
    require(parsed.signed_part.size() < token.size() && token.starts_with(parsed.signed_part));
    require(parsed.header.size() + parsed.payload.size() < parsed.signed_part.size());
    require(parsed.signed_part.find_first_of("=+/ \n") == std::string_view::npos);
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kInvalidToken);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      try_text({reinterpret_cast<const char*>(rest.data()), rest.size()});
      break;
    case 1:
    case 2: {
      static const Image dense = base_image(false);
      static const Image sparse = base_image(true);
      try_edits(data[0] % 5 == 1 ? dense : sparse, rest);
      break;
    }
    case 3: {
      Image image(rest.size());
      if (!rest.empty()) std::memcpy(image.data(), rest.data(), rest.size());
      try_image(std::move(image));
      break;
    }
    case 4:
      try_token({reinterpret_cast<const char*>(rest.data()), rest.size()});
      break;
  }
  return 0;
}
