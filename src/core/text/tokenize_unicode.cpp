// Words of text outside ASCII.
//
// Words are found in the text as it stands and normalised one by one, so that byte ranges need no mapping through
// normalisation, and a sign such as ™ ends a word although NFKC would turn it into letters. ICU's word rules are
// asked only where they need a dictionary: elsewhere they differ from `\w\w+` (they keep "3.14" and "can't" whole),
// and both paths must agree on ASCII.
#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include "core/error.hpp"
#include "core/text/tokenize.hpp"

namespace reyearn {

namespace {

enum class Kind {
  kSeparator,
  kLetter,      // letters, digits, underscore
  kJoiner,      // combining marks and invisible format characters: part of the word they follow
  kDictionary,  // letters of a script that is written without spaces
};

// Longest stretch given to a dictionary at once, in code points: its cost per stretch is not linear.
constexpr int kDictionaryStretch = 4096;

constexpr UChar32 kZeroWidthSpace = 0x200B;

void check(UErrorCode status, const char* what) {
  if (U_SUCCESS(status)) return;
  throw Error(ErrorCode::kInternal, std::string("ICU could not ") + what, std::string(u_errorName(status)) + ".",
              "Check that ICU's data is installed.");
}

bool needs_dictionary(UChar32 c) {
  if (c < 0x0E00) return false;
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(c, &status)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return true;
    case USCRIPT_COMMON:  // shared by kana or Han alone: prolonged and voiced sound marks, the closing mark 〆
      return uscript_hasScript(c, USCRIPT_KATAKANA) || uscript_hasScript(c, USCRIPT_HAN);
    default:
      return false;
  }
}

Kind kind_of(UChar32 c) {
  if (c < 0) return Kind::kLetter;  // not valid UTF-8
  const std::uint32_t category = U_MASK(u_charType(c));
  if (category & (U_GC_L_MASK | U_GC_M_MASK | U_GC_NL_MASK)) {  // Nl: the zero 〇
    if (needs_dictionary(c)) return Kind::kDictionary;
    return category & U_GC_M_MASK ? Kind::kJoiner : Kind::kLetter;
  }
  if (category & U_GC_N_MASK || c == '_') return Kind::kLetter;
  if (c == kZeroWidthSpace) return Kind::kSeparator;  // invisible, but there to part words
  if (category & U_GC_CF_MASK && u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return Kind::kJoiner;
  return Kind::kSeparator;
}

// The bytes without a character that is cut off at their end.
std::string_view whole_characters(std::string_view bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  auto length = static_cast<std::int32_t>(bytes.size());
  U8_TRUNCATE_IF_INCOMPLETE(data, 0, length);
  return bytes.substr(0, static_cast<std::size_t>(length));
}

// A UText that closes itself: ICU's view of UTF-8 bytes, with byte offsets as positions.
class Utf8Text {
 public:
  Utf8Text() = default;
  Utf8Text(const Utf8Text&) = delete;
  Utf8Text& operator=(const Utf8Text&) = delete;
  ~Utf8Text() { utext_close(&text_); }

  UText* open(std::string_view bytes) {
    UErrorCode status = U_ZERO_ERROR;
    utext_openUTF8(&text_, bytes.data(), static_cast<std::int64_t>(bytes.size()), &status);
    check(status, "open a text");
    return &text_;
  }

 private:
  UText text_ = UTEXT_INITIALIZER;
};

}  // namespace

struct UnicodeTokenizer::State {
  std::string_view run;
  std::size_t offset = 0;    // of the run in the input
  std::size_t position = 0;  // in the run
  // Stretch that a dictionary is dividing: [piece_begin, stretch_end), positions in the run.
  std::size_t stretch_begin = 0;
  std::size_t stretch_end = 0;
  std::size_t piece_begin = 0;
  bool is_dividing = false;
  bool is_valid = true;  // false: the word at hand may contain what is not valid UTF-8
  Utf8Text stretch;
  std::unique_ptr<icu::BreakIterator> words;
  std::string normalized;

  // Decodes the character at `at`, moves behind it.
  UChar32 decode(std::size_t& at) {
    // Lengths of runs can pass 2^31 only in theory: PostgreSQL's texts are below 1 GB.
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(run.data());
    UChar32 c;
    U8_NEXT(bytes, at, run.size(), c);
    is_valid &= c >= 0;
    return c;
  }

  bool next_piece(Word& word);
  bool emit(std::size_t begin, std::size_t end, Word& word);
  void start_stretch(std::size_t begin, std::size_t end);
  std::size_t end_of_letters(std::size_t at, int& letters);
  std::size_t end_of_stretch(std::size_t at);
};

UnicodeTokenizer::UnicodeTokenizer() = default;
UnicodeTokenizer::~UnicodeTokenizer() = default;
UnicodeTokenizer::UnicodeTokenizer(UnicodeTokenizer&&) noexcept = default;
UnicodeTokenizer& UnicodeTokenizer::operator=(UnicodeTokenizer&&) noexcept = default;

void UnicodeTokenizer::start(std::string_view run, std::size_t offset) {
  if (!state_) state_ = std::make_unique<State>();
  state_->run = run;
  state_->offset = offset;
  state_->position = 0;
  state_->is_dividing = false;
}

bool UnicodeTokenizer::next(Word& word) {
  State& s = *state_;
  for (;;) {
    if (s.is_dividing) {
      if (s.next_piece(word)) return true;
      continue;
    }
    if (s.position >= s.run.size()) return false;
    const std::size_t begin = s.position;
    s.is_valid = true;
    switch (kind_of(s.decode(s.position))) {
      case Kind::kSeparator:
      case Kind::kJoiner:
        break;
      case Kind::kLetter: {
        int letters = 1;
        s.position = s.end_of_letters(s.position, letters);
        if (letters >= 2 && s.emit(begin, s.position, word)) return true;
        break;
      }
      case Kind::kDictionary:
        s.position = s.end_of_stretch(s.position);
        s.start_stretch(begin, s.position);
        break;
    }
  }
}

std::size_t UnicodeTokenizer::State::end_of_letters(std::size_t at, int& letters) {
  while (at < run.size()) {
    std::size_t behind = at;
    const Kind kind = kind_of(decode(behind));
    if (kind != Kind::kLetter && kind != Kind::kJoiner) break;
    letters += kind == Kind::kLetter;
    at = behind;
  }
  return at;
}

std::size_t UnicodeTokenizer::State::end_of_stretch(std::size_t at) {
  for (int count = 1; at < run.size() && count < kDictionaryStretch; ++count) {
    std::size_t behind = at;
    const Kind kind = kind_of(decode(behind));
    if (kind != Kind::kDictionary && kind != Kind::kJoiner) break;
    at = behind;
  }
  return at;
}

void UnicodeTokenizer::State::start_stretch(std::size_t begin, std::size_t end) {
  UErrorCode status = U_ZERO_ERROR;
  if (!words) {
    words.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    check(status, "create a word iterator");
  }
  words->setText(stretch.open(run.substr(begin, end - begin)), status);
  check(status, "divide a text into words");
  stretch_begin = begin;
  stretch_end = end;
  piece_begin = begin;
  is_dividing = true;
}

// The next word of the stretch; false when it is used up.
bool UnicodeTokenizer::State::next_piece(Word& word) {
  while (piece_begin < stretch_end) {
    const std::int32_t border = words->next();
    const std::size_t begin = piece_begin;
    piece_begin = border == icu::BreakIterator::DONE ? stretch_end : stretch_begin + border;
    if (emit(begin, piece_begin, word)) return true;
  }
  is_dividing = false;
  return false;
}

// Normalises bytes [begin, end) of the run into `word`; false when nothing is left of them.
bool UnicodeTokenizer::State::emit(std::size_t begin, std::size_t end, Word& word) {
  std::string_view piece = run.substr(begin, std::min(end - begin, kMaxWordBytes));
  if (piece.size() < end - begin) piece = whole_characters(piece);
  std::string repaired;
  if (!is_valid) {  // ICU's normalisation would leave it as it is; its conversion puts U+FFFD there
    icu::UnicodeString::fromUTF8(icu::StringPiece(piece.data(), static_cast<std::int32_t>(piece.size())))
        .toUTF8String(repaired);
    piece = repaired;
  }
  normalized.clear();
  if (is_ascii_text(piece)) {
    for (const char c : piece) normalized.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
  } else {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfkc_casefold = icu::Normalizer2::getNFKCCasefoldInstance(status);
    check(status, "load normalization data");
    icu::StringByteSink<std::string> sink(&normalized);
    const icu::StringPiece bytes(piece.data(), static_cast<std::int32_t>(piece.size()));
    nfkc_casefold->normalizeUTF8(0, bytes, sink, nullptr, status);
    check(status, "normalize a word");
  }
  if (normalized.size() > kMaxWordBytes) {
    normalized.resize(whole_characters(std::string_view(normalized).substr(0, kMaxWordBytes)).size());
  }
  const std::size_t length = normalized.size();
  normalized.append(kHashPadding, '\0');
  word = Word{{normalized.data(), length}, offset + begin, offset + end};
  return length > 0;
}

}  // namespace reyearn
