// The tokenizer against a plain slow one that goes through the whole text code point by code point: no windows, no
// blocks, no special path for ASCII.
#include "core/text/tokenize.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>

#include <algorithm>
#include <cctype>
#include <ostream>

#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;

struct Token {
  std::string text;
  std::size_t begin;
  std::size_t end;

  bool operator==(const Token&) const = default;
};

void PrintTo(const Token& token, std::ostream* out) {
  *out << testing::PrintToString(token.text) << "@" << token.begin << ".." << token.end;
}

// A text at the end of what may be read: one byte further and the address sanitizer stops the test.
class ExactText {
 public:
  explicit ExactText(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    text.copy(bytes_.get(), text.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

std::vector<Token> tokens_of(Tokenizer& tokenizer, std::string_view text) {
  const ExactText exact(text);
  std::vector<Token> tokens;
  tokenizer.tokenize(exact.view(), [&](const Word& word) {
    // What the hash function may read, it must be able to read.
    EXPECT_EQ(hash_padded_word(word.text.data(), word.text.size()), hash_word(word.text));
    tokens.push_back(Token{std::string(word.text), word.begin, word.end});
  });
  return tokens;
}

std::vector<Token> tokens_of(std::string_view text) {
  Tokenizer tokenizer;
  return tokens_of(tokenizer, text);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const Token& token : tokens_of(text)) words.push_back(token.text);
  return words;
}

using Words = std::vector<std::string>;

// ---- the slow tokenizer

struct CodePoint {
  UChar32 value;  // U+FFFD where the bytes are not valid
  bool is_valid;
  bool is_cut;  // not valid because the text ends there
  std::size_t begin;
  std::size_t end;
};

// By table 3-7 of the Unicode standard; of what is not valid, the longest beginning of a character is one code point.
CodePoint decode_at(std::string_view text, std::size_t begin) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned lead = byte(begin);
  if (lead < 0x80) return {static_cast<UChar32>(lead), true, false, begin, begin + 1};
  std::size_t trailing = 0;
  unsigned lowest = 0x80;  // of the second byte
  unsigned highest = 0xBF;
  UChar32 value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    trailing = 1;
    value = static_cast<UChar32>(lead & 0x1F);
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    trailing = 2;
    value = static_cast<UChar32>(lead & 0x0F);
    if (lead == 0xE0) lowest = 0xA0;
    if (lead == 0xED) highest = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    trailing = 3;
    value = static_cast<UChar32>(lead & 0x07);
    if (lead == 0xF0) lowest = 0x90;
    if (lead == 0xF4) highest = 0x8F;
  } else {
    return {0xFFFD, false, false, begin, begin + 1};
  }
  std::size_t at = begin + 1;
  for (; trailing > 0; --trailing, ++at) {
    if (at == text.size()) return {0xFFFD, false, true, begin, at};
    if (byte(at) < lowest || byte(at) > highest) return {0xFFFD, false, false, begin, at};
    value = value << 6 | static_cast<UChar32>(byte(at) & 0x3F);
    lowest = 0x80;
    highest = 0xBF;
  }
  return {value, true, false, begin, at};
}

std::vector<CodePoint> decode(std::string_view text) {
  std::vector<CodePoint> code_points;
  for (std::size_t at = 0; at < text.size(); at = code_points.back().end) code_points.push_back(decode_at(text, at));
  return code_points;
}

const icu::UnicodeSet& set_of(const char* pattern) {
  UErrorCode status = U_ZERO_ERROR;
  auto* set = new icu::UnicodeSet(icu::UnicodeString::fromUTF8(pattern), status);
  EXPECT_TRUE(U_SUCCESS(status)) << pattern;
  return *static_cast<const icu::UnicodeSet*>(set->freeze());  // kept until the end of the process
}

enum class Kind { kSeparator, kLetter, kJoiner, kDictionary };

Kind kind_of(const CodePoint& c) {
  static const icu::UnicodeSet& dictionary = set_of(
      "[[[:L:][:M:][:Nl:]]&[[:sc=Hani:][:sc=Hira:][:sc=Kana:][:sc=Thai:][:sc=Laoo:][:sc=Khmr:][:sc=Mymr:]"
      "[[:sc=Zyyy:]&[[:scx=Hani:][:scx=Kana:]]]]]");
  static const icu::UnicodeSet& joiners = set_of("[[:M:][[:Cf:]&[:Default_Ignorable_Code_Point:]]-[\\u200B]]");
  static const icu::UnicodeSet& letters = set_of("[[:L:][:N:]_]");
  if (!c.is_valid) return Kind::kLetter;
  if (dictionary.contains(c.value)) return Kind::kDictionary;
  if (joiners.contains(c.value)) return Kind::kJoiner;
  return letters.contains(c.value) ? Kind::kLetter : Kind::kSeparator;
}

// The text up to `limit` bytes, without a character that is cut there.
std::string_view cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  text = text.substr(0, limit);
  const CodePoint last = decode(text).back();
  return last.is_cut ? text.substr(0, last.begin) : text;
}

// What a token must read that comes of these bytes.
std::string normalized(std::string_view bytes) {
  icu::UnicodeString text;
  for (const CodePoint& c : decode(cut(bytes, kMaxWordBytes))) text.append(c.value);
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString folded = icu::Normalizer2::getNFKCCasefoldInstance(status)->normalize(text, status);
  EXPECT_TRUE(U_SUCCESS(status));
  std::string result;
  folded.toUTF8String(result);
  return std::string(cut(result, kMaxWordBytes));
}

constexpr std::size_t kDictionaryStretch = 4096;  // code points that a dictionary gets at once

// ICU's dictionaries for Lao, Khmer and Burmese divide nonsense differently in UTF-8 and UTF-16: UTF-8 it is.
void divide_by_dictionary(std::string_view text, std::size_t begin, std::size_t end, std::vector<Token>& tokens) {
  UErrorCode status = U_ZERO_ERROR;
  static const std::unique_ptr<icu::BreakIterator> words(
      icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
  UText* stretch = utext_openUTF8(nullptr, text.data() + begin, static_cast<std::int64_t>(end - begin), &status);
  words->setText(stretch, status);
  EXPECT_TRUE(U_SUCCESS(status));
  std::size_t piece_begin = begin;
  for (std::int32_t border = words->next(); border != icu::BreakIterator::DONE; border = words->next()) {
    const std::size_t piece_end = begin + static_cast<std::size_t>(border);
    const std::string word = normalized(text.substr(piece_begin, piece_end - piece_begin));
    if (!word.empty()) tokens.push_back({word, piece_begin, piece_end});
    piece_begin = piece_end;
  }
  utext_close(stretch);
}

std::vector<Token> slow_tokens_of(std::string_view text) {
  const std::vector<CodePoint> code_points = decode(text);
  const std::size_t count = code_points.size();
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < count;) {
    const Kind kind = kind_of(code_points[i]);
    std::size_t end = i + 1;
    if (kind == Kind::kLetter) {
      std::size_t letters = 1;
      for (; end < count; ++end) {
        const Kind next = kind_of(code_points[end]);
        if (next != Kind::kLetter && next != Kind::kJoiner) break;
        letters += next == Kind::kLetter;
      }
      const std::size_t first_byte = code_points[i].begin;
      const std::size_t last_byte = code_points[end - 1].end;
      const std::string word = normalized(text.substr(first_byte, last_byte - first_byte));
      if (letters >= 2 && !word.empty()) tokens.push_back({word, first_byte, last_byte});
    } else if (kind == Kind::kDictionary) {
      for (; end < count && end - i < kDictionaryStretch; ++end) {
        const Kind next = kind_of(code_points[end]);
        if (next != Kind::kDictionary && next != Kind::kJoiner) break;
      }
      divide_by_dictionary(text, code_points[i].begin, code_points[end - 1].end, tokens);
    }
    i = end;
  }
  return tokens;
}

// An even plainer one, byte by byte, for ASCII.
std::vector<Token> slow_ascii_tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  Token open{"", 0, 0};
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const char c = at < text.size() ? text[at] : ' ';
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (is_letter) {
      if (open.text.empty()) open.begin = at;
      open.text += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      continue;
    }
    open.end = at;
    if (open.text.size() >= 2) tokens.push_back({open.text.substr(0, kMaxWordBytes), open.begin, open.end});
    open.text.clear();
  }
  return tokens;
}

// ---- texts

void append_utf8(std::string& text, UChar32 c) { icu::UnicodeString(c).toUTF8String(text); }

// Ranges that meet every branch: scripts of each kind, marks, format characters, symbols that NFKC turns into
// letters, letters that it turns into several or into none.
constexpr std::pair<UChar32, UChar32> kRanges[] = {
    {0x20, 0x7E},       {'a', 'z'},         {'A', 'Z'},         {'0', '9'},         {0xA0, 0xFF},
    {0x100, 0x24F},     {0x2B0, 0x2FF},     {0x300, 0x36F},     {0x370, 0x3FF},     {0x400, 0x52F},
    {0x590, 0x5FF},     {0x600, 0x6FF},     {0x900, 0x97F},     {0xE00, 0xE5B},     {0xE80, 0xEDF},
    {0x1000, 0x109F},   {0x10A0, 0x11FF},   {0x1780, 0x17FF},   {0x1E00, 0x1FFF},   {0x2000, 0x206F},
    {0x2070, 0x209F},   {0x2100, 0x218F},   {0x2460, 0x24FF},   {0x3000, 0x303F},   {0x3040, 0x30FF},
    {0x3130, 0x318F},   {0x3300, 0x33FF},   {0x4E00, 0x9FFF},   {0xA9E0, 0xA9FF},   {0xAC00, 0xD7A3},
    {0xE000, 0xE0FF},   {0xF900, 0xFAFF},   {0xFB00, 0xFB4F},   {0xFDF0, 0xFDFF},   {0xFE00, 0xFE0F},
    {0xFF00, 0xFFEF},   {0xFFF0, 0xFFFD},   {0x10400, 0x1044F}, {0x1B000, 0x1B0FF}, {0x1D400, 0x1D7FF},
    {0x1F300, 0x1F6FF}, {0x20000, 0x200FF}, {0xE0000, 0xE007F}, {0xE0100, 0xE01EF}};

std::string random_utf8(Random& random, std::size_t characters) {
  std::string text;
  while (characters > 0) {
    const auto [first, last] = random.pick(kRanges);
    for (std::size_t n = std::min(characters, random.between(1, 12)); n > 0; --n, --characters) {
      const auto offset = static_cast<UChar32>(random.below(static_cast<std::size_t>(last - first + 1)));
      append_utf8(text, random.one_in(12) ? static_cast<UChar32>(random.below(0x110000)) : first + offset);
    }
    if (random.one_in(3)) text += ' ';
  }
  return text;
}

std::string random_bytes(Random& random, std::size_t size) {
  std::string text;
  for (; size > 0; --size) text += static_cast<char>(random.below(256));
  return text;
}

std::string random_ascii(Random& random, std::size_t size) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  std::string text;
  while (text.size() < size) {
    for (std::size_t n = random.below(random.one_in(20) ? 300 : 12); n > 0; --n) text += random.pick(kLetters);
    for (std::size_t n = random.below(4); n > 0; --n) text += static_cast<char>(random.below(128));
  }
  text.resize(size);
  return text;
}

// Flips, drops and repeats some bytes.
void damage(std::string& text, Random& random) {
  for (std::size_t n = random.below(text.size() / 10 + 2); n > 0 && !text.empty(); --n) {
    const std::size_t at = random.below(text.size());
    switch (random.below(3)) {
      case 0:
        text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text.erase(at, 1);
        break;
      case 2:
        text.insert(at, 1, static_cast<char>(random.between(0x80, 0xFF)));
        break;
    }
  }
}

// Whether both are equal; if not, only the first difference: the texts are long.
testing::AssertionResult are_equal(const std::vector<Token>& tokens, const std::vector<Token>& expected) {
  const auto at = std::mismatch(tokens.begin(), tokens.end(), expected.begin(), expected.end());
  if (at.first == tokens.end() && at.second == expected.end()) return testing::AssertionSuccess();
  const std::string none = "nothing";
  return testing::AssertionFailure() << "token " << at.first - tokens.begin() << " is "
                                     << (at.first == tokens.end() ? none : testing::PrintToString(*at.first))
                                     << ", not "
                                     << (at.second == expected.end() ? none : testing::PrintToString(*at.second));
}

void expect_like_the_slow_one(Tokenizer& tokenizer, const std::string& text) {
  ASSERT_TRUE(are_equal(tokens_of(tokenizer, text), slow_tokens_of(text)));
}

// ---- what a word is

TEST(Tokenize, SplitsLikeScikitLearn) {
  EXPECT_EQ(words_of("don't"), Words({"don"}));
  EXPECT_EQ(words_of("3.14"), Words({"14"}));
  EXPECT_EQ(words_of("Hello, World!"), Words({"hello", "world"}));
  EXPECT_EQ(words_of("a b c"), Words());
  EXPECT_EQ(words_of("e-mail: first.last@example.com"), Words({"mail", "first", "last", "example", "com"}));
  EXPECT_EQ(words_of("snake_case __init__ _"), Words({"snake_case", "__init__"}));
  EXPECT_EQ(words_of("I'm 42 years-old"), Words({"42", "years", "old"}));
  EXPECT_EQ(words_of("C++ is OK"), Words({"is", "ok"}));
  EXPECT_EQ(words_of("U.S.A. x2"), Words({"x2"}));
  EXPECT_EQ(words_of("tab\tnew\nline"), Words({"tab", "new", "line"}));
  EXPECT_EQ(words_of("naïve café"), Words({"naïve", "café"}));
  EXPECT_EQ(words_of("l'été à l'œuvre"), Words({"été", "œuvre"}));
  EXPECT_EQ(words_of("Привет, МИР!"), Words({"привет", "мир"}));
  EXPECT_EQ(words_of("100,000.50 €20"), Words({"100", "000", "50", "20"}));
}

TEST(Tokenize, GivesTheByteRangeOfEachWord) {
  EXPECT_EQ(tokens_of("Hello, big  World"), (std::vector<Token>{{"hello", 0, 5}, {"big", 7, 10}, {"world", 12, 17}}));
}

TEST(Tokenize, KeepsByteOffsetsOfCombiningMarks) {
  EXPECT_EQ(tokens_of("Cafe\u0301 noir"), (std::vector<Token>{{"caf\u00E9", 0, 6}, {"noir", 7, 11}}));
}

TEST(Tokenize, IgnoresMarksThatFollowNoLetter) {
  EXPECT_EQ(tokens_of("\u0301\u0302 \u0301ab"), (std::vector<Token>{{"ab", 7, 9}}));
}

TEST(Tokenize, CountsALetterWithItsMarksAsOneCharacter) {
  EXPECT_EQ(words_of("e\u0301\u0302 \u00E9 e\u0301e"), Words({"\u00E9e"}));
}

TEST(Tokenize, LeavesOutSoftHyphensAndJoiners) {
  EXPECT_EQ(tokens_of("co\u00ADoperate z\u200Dy \uFEFFbom"),
            (std::vector<Token>{{"cooperate", 0, 11}, {"zy", 12, 17}, {"bom", 21, 24}}));
}

TEST(Tokenize, SplitsAtZeroWidthSpaces) {
  EXPECT_EQ(tokens_of("ab\u200Bcd"), (std::vector<Token>{{"ab", 0, 2}, {"cd", 5, 7}}));
}

TEST(Tokenize, UndoesLigaturesSharpSAndCompatibilityForms) {
  EXPECT_EQ(words_of("e\uFB03cient STRASSE straße ＡＢＣ１２ \u212Belvin 10\u212A"),
            Words({"efficient", "strasse", "strasse", "abc12", "\u00E5elvin", "10k"}));
}

TEST(Tokenize, FoldsCaseOutsideAscii) {
  EXPECT_EQ(words_of("ÄÖÜ ΣΑΣ ДОМ ſt İi"), Words({"äöü", "σασ", "дом", "st", "i\u0307i"}));
}

TEST(Tokenize, EndsWordsAtSymbolsThatNormaliseToLetters) {
  EXPECT_EQ(tokens_of("Brand\u2122name"), (std::vector<Token>{{"brand", 0, 5}, {"name", 8, 12}}));
  EXPECT_EQ(words_of("50\u20AC 20\u00B0 ab\U0001F600cd"), Words({"50", "20", "ab", "cd"}));
}

TEST(Tokenize, KnowsDigitsOfOtherScripts) {
  EXPECT_EQ(words_of("\u0661\u0662\u0663 x\u00B2"), Words({"\u0661\u0662\u0663", "x2"}));
}

TEST(Tokenize, GivesNoWordWhenNothingIsLeftAfterNormalising) {
  EXPECT_EQ(words_of("\u115F\u1160\u3164"), Words());  // Hangul fillers: letters, all of them ignorable
}

TEST(Tokenize, DividesChineseByDictionary) {
  EXPECT_EQ(tokens_of("我爱北京天安门"),
            (std::vector<Token>{{"我", 0, 3}, {"爱", 3, 6}, {"北京", 6, 12}, {"天安门", 12, 21}}));
}

TEST(Tokenize, DividesJapaneseByDictionary) {
  EXPECT_EQ(words_of("私は東京でコーヒーを飲む"), Words({"私", "は", "東京", "で", "コーヒー", "を", "飲む"}));
}

TEST(Tokenize, KeepsSharedJapaneseMarksInTheirWords) {
  EXPECT_EQ(words_of("ﾃﾞｰﾀ ﾊﾞﾅﾅ"), Words({"データ", "バナナ"}));  // ﾞ and ｰ belong to no script
  EXPECT_EQ(words_of("〆切"), Words({"〆", "切"}));
  EXPECT_EQ(words_of("二〇"), Words({"二", "〇"}));  // a number, not a letter
}

TEST(Tokenize, DividesThaiByDictionary) { EXPECT_EQ(words_of("ฉันรักภาษาไทย"), Words({"ฉัน", "รัก", "ภาษา", "ไทย"})); }

TEST(Tokenize, DividesMixedScriptsAtTheirBorders) {
  EXPECT_EQ(tokens_of("iPhone15を買う x東y"),
            (std::vector<Token>{{"iphone15", 0, 8}, {"を", 8, 11}, {"買う", 11, 17}, {"東", 19, 22}}));
}

TEST(Tokenize, TreatsWhatIsNotUtf8AsLetters) {
  EXPECT_EQ(tokens_of("caf\xE9 x"), (std::vector<Token>{{"caf\uFFFD", 0, 4}}));
  EXPECT_EQ(tokens_of("\xFF\xFE ab"), (std::vector<Token>{{"\uFFFD\uFFFD", 0, 2}, {"ab", 3, 5}}));
  EXPECT_EQ(tokens_of("\xFF"), (std::vector<Token>{}));                                      // one letter
  EXPECT_EQ(tokens_of("\xE2\x82"), (std::vector<Token>{}));                                  // one character, cut off
  EXPECT_EQ(tokens_of("a\xE2\x82"), (std::vector<Token>{{"a\uFFFD", 0, 3}}));                // at the end of the text
  EXPECT_EQ(tokens_of("\xED\xA0\x80"), (std::vector<Token>{{"\uFFFD\uFFFD\uFFFD", 0, 3}}));  // a surrogate
  EXPECT_EQ(tokens_of("\xC0\xAF"), (std::vector<Token>{{"\uFFFD\uFFFD", 0, 2}}));            // an overlong slash
  EXPECT_EQ(tokens_of("\xF4\x90\x80\x80"), (std::vector<Token>{{"\uFFFD\uFFFD\uFFFD\uFFFD", 0, 4}}));
}

TEST(Tokenize, TreatsNulAsSeparator) {
  EXPECT_EQ(tokens_of(std::string_view("ab\0cd", 5)), (std::vector<Token>{{"ab", 0, 2}, {"cd", 3, 5}}));
}

TEST(Tokenize, GivesNothingForAnEmptyText) { EXPECT_EQ(tokens_of(""), std::vector<Token>{}); }

// ---- like the slow one

TEST(Tokenize, AgreesWithTheSlowOneOnEveryByteAndPairOfBytes) {
  Tokenizer tokenizer;
  for (int first = 0; first < 256; ++first) {
    expect_like_the_slow_one(tokenizer, std::string(1, static_cast<char>(first)));
    for (int second = 0; second < 256; ++second) {
      const char pair[] = {static_cast<char>(first), static_cast<char>(second)};
      expect_like_the_slow_one(tokenizer, std::string(pair, 2));
    }
  }
}

TEST(Tokenize, AgreesWithTheSlowOneOnEveryCodePoint) {
  Tokenizer tokenizer;
  std::string text;
  for (UChar32 c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0x40000) c = 0xE0000;  // nothing is assigned in between
    if (c == 0xE1000) c = 0x10FF00;
    text += 'x';
    append_utf8(text, c);  // also surrogates, which become U+FFFD
    append_utf8(text, c);
    text += ' ';
    if (text.size() < 20000 && c != 0x10FFFF) continue;
    expect_like_the_slow_one(tokenizer, text);
    text.clear();
  }
}

TEST(Tokenize, AgreesWithTheSlowOnesOnRandomAscii) {
  Random random(1);
  Tokenizer tokenizer;
  for (int round = 0; round < 1500; ++round) {
    const std::string text = random_ascii(random, random.below(random.one_in(10) ? 20000 : 700));
    const std::vector<Token> tokens = tokens_of(tokenizer, text);
    ASSERT_TRUE(are_equal(tokens, slow_ascii_tokens_of(text)));
    if (round >= 200) continue;
    ASSERT_TRUE(are_equal(tokens, slow_tokens_of(text)));
  }
}

TEST(Tokenize, AgreesWithTheSlowOneOnRandomBytes) {
  Random random(2);
  Tokenizer tokenizer;
  for (int round = 0; round < 400; ++round) {
    expect_like_the_slow_one(tokenizer, random_bytes(random, random.below(random.one_in(10) ? 10000 : 300)));
  }
}

TEST(Tokenize, AgreesWithTheSlowOneOnRandomUtf8) {
  Random random(3);
  Tokenizer tokenizer;
  for (int round = 0; round < 600; ++round) {
    expect_like_the_slow_one(tokenizer, random_utf8(random, random.below(random.one_in(10) ? 4000 : 200)));
  }
}

TEST(Tokenize, AgreesWithTheSlowOneOnDamagedUtf8) {
  Random random(4);
  Tokenizer tokenizer;
  for (int round = 0; round < 600; ++round) {
    std::string text = random_utf8(random, random.below(200));
    damage(text, random);
    expect_like_the_slow_one(tokenizer, text);
  }
}

// ---- borders of windows and blocks

TEST(Tokenize, FindsRunsAtEveryAlignmentAroundAWindow) {
  Tokenizer tokenizer;
  for (std::size_t begin = AsciiScan::kWindow - 140; begin <= AsciiScan::kWindow + 3; ++begin) {
    std::string before(begin, '.');
    before.replace(begin - 8, 7, ".ab.c.d");
    for (const std::size_t length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129}) {
      for (const std::string_view behind : {"", " ", " cd", "\u00E9 cd"}) {
        const std::string text = before + std::string(length, 'Q') + std::string(behind);
        const std::vector<Token> expected =
            behind.starts_with('\xC3') ? slow_tokens_of(text) : slow_ascii_tokens_of(text);
        ASSERT_TRUE(are_equal(tokens_of(tokenizer, text), expected)) << begin << " " << length << " " << behind;
      }
    }
  }
}

TEST(Tokenize, FindsAsManyRunsAsAWindowCanHold) {
  Tokenizer tokenizer;
  for (const std::string_view filler : {"a ", " a", "ab ", "_\n"}) {
    for (std::size_t size = AsciiScan::kWindow - 3; size <= 2 * AsciiScan::kWindow + 3;
         size += size % 64 < 60 ? 61 : 1) {
      std::string text;
      while (text.size() < size) text += filler;
      text.resize(size);
      ASSERT_TRUE(are_equal(tokens_of(tokenizer, text), slow_ascii_tokens_of(text))) << size;
    }
  }
}

TEST(Tokenize, FindsCharactersThatStraddleAWindow) {
  Tokenizer tokenizer;
  for (const std::string_view word :
       {"é\u0301è", "北京天安门", "ภาษาไทย", "\U0001D400\U0001D401", "ab\xE2\x82", "\xFF\xFF"}) {
    for (std::size_t begin = AsciiScan::kWindow - 40; begin <= AsciiScan::kWindow + 1; ++begin) {
      for (const std::string_view behind : {"", " ", "cd ef"}) {
        std::string text(begin, ' ');
        text += word;
        text += behind;
        expect_like_the_slow_one(tokenizer, text);
      }
    }
  }
}

TEST(Tokenize, FindsRunsAtEveryAlignmentOfTheTextItself) {
  const std::string text = "x Ab_9 " + std::string(70, 'z') + " é1 \xFF\xFF yY";
  Tokenizer tokenizer;
  std::vector<char> memory(text.size() + 64);
  for (std::size_t shift = 0; shift < 64; ++shift) {
    text.copy(memory.data() + shift, text.size());
    std::vector<Token> tokens;
    tokenizer.tokenize({memory.data() + shift, text.size()}, [&](const Word& word) {
      tokens.push_back({std::string(word.text), word.begin, word.end});
    });
    ASSERT_TRUE(are_equal(tokens, slow_tokens_of(text))) << shift;
  }
}

TEST(Tokenize, FindsRunsOfEveryLengthAroundAWindow) {
  Tokenizer tokenizer;
  for (std::size_t length = AsciiScan::kWindow - 66; length <= AsciiScan::kWindow + 66; ++length) {
    for (const std::string_view before : {"", " ", "ab "}) {
      for (const std::string_view behind : {"", " ", " ab"}) {
        const std::string text = std::string(before) + std::string(length, 'X') + std::string(behind);
        ASSERT_TRUE(are_equal(tokens_of(tokenizer, text), slow_ascii_tokens_of(text))) << length;
      }
    }
  }
}

TEST(Tokenize, FindsRunsOfSeveralWindows) {
  Random random(5);
  Tokenizer tokenizer;
  const std::string_view pieces[] = {"é", "x", "北京", "ไทย", "\xFF", "e\u0301", "_"};
  for (int round = 0; round < 60; ++round) {
    std::string text(random.below(70), ' ');
    const std::string_view one = random.pick(pieces);
    const std::size_t size = random.between(AsciiScan::kWindow - 100, 3 * AsciiScan::kWindow);
    const bool is_mixed = random.one_in(2);
    while (text.size() < size) text += is_mixed ? random.pick(pieces) : one;
    text += " tail";
    expect_like_the_slow_one(tokenizer, text);
  }
}

TEST(Tokenize, GivesDictionariesStretchesOfThisLength) {
  // Longer than one stretch: where it is cut, no dictionary can see the word.
  for (const std::size_t characters : {4094, 4095, 4096, 4097, 4098, 8192, 9001}) {
    std::string text;
    for (std::size_t i = 0; i < characters; ++i) text += i % 3 == 0 ? "天" : i % 3 == 1 ? "安" : "门";
    Tokenizer tokenizer;
    expect_like_the_slow_one(tokenizer, text);
  }
}

TEST(Tokenize, CutsWordsAtTheirLongestLength) {
  for (const std::size_t length : {kMaxWordBytes - 1, kMaxWordBytes, kMaxWordBytes + 1, kMaxWordBytes * 9}) {
    const std::vector<Token> tokens = tokens_of(std::string(length, 'A') + " b");
    ASSERT_EQ(tokens.size(), 1u);
    EXPECT_EQ(tokens[0], (Token{std::string(std::min(length, kMaxWordBytes), 'a'), 0, length}));
  }
}

TEST(Tokenize, CutsLongWordsBetweenCharacters) {
  for (const std::string_view character : {"é", "\uFDFA", "\U0001D400", "ж\u0301"}) {  // U+FDFA: 3 bytes, then 33
    for (const std::string_view before : {"", "x", "xx", "xxx"}) {
      std::string text(before);
      while (text.size() < 2 * kMaxWordBytes) text += character;
      const std::vector<Token> tokens = tokens_of(text);
      ASSERT_EQ(tokens.size(), 1u);
      EXPECT_EQ(tokens[0].end, text.size());
      EXPECT_LE(tokens[0].text.size(), kMaxWordBytes);
      EXPECT_GE(tokens[0].text.size() + 33, kMaxWordBytes / 4);
      for (const CodePoint& c : decode(tokens[0].text)) ASSERT_NE(c.value, 0xFFFD);
    }
  }
}

TEST(Tokenize, CutsTheSameWordAlikeOnBothPaths) {
  const std::string word(kMaxWordBytes + 100, 'a');
  const std::vector<Token> ascii = tokens_of(word);
  const std::vector<Token> unicode = tokens_of(word + "é");
  ASSERT_EQ(ascii.size(), 1u);
  ASSERT_EQ(unicode.size(), 1u);
  EXPECT_EQ(ascii[0].text, unicode[0].text);
}

// ---- promises of the interface

TEST(Tokenize, GivesAscendingRangesWhoseBytesNormaliseToTheWord) {
  Random random(6);
  Tokenizer tokenizer;
  for (int round = 0; round < 300; ++round) {
    std::string text = random_utf8(random, random.below(300));
    if (random.one_in(2)) damage(text, random);
    std::size_t last_end = 0;
    for (const Token& token : tokens_of(tokenizer, text)) {
      ASSERT_LE(last_end, token.begin);
      ASSERT_LT(token.begin, token.end);
      ASSERT_LE(token.end, text.size());
      ASSERT_EQ(token.text, normalized(std::string_view(text).substr(token.begin, token.end - token.begin)));
      last_end = token.end;
    }
  }
}

TEST(Tokenize, TakesAsciiAlikeOnTheUnicodePath) {
  Random random(7);
  UnicodeTokenizer unicode;
  Tokenizer tokenizer;
  for (int round = 0; round < 300; ++round) {
    const std::string text = random_ascii(random, random.below(500));
    const std::size_t offset = random.below(1000);
    unicode.start(text, offset);
    std::vector<Token> tokens;
    for (Word word; unicode.next(word);) {
      ASSERT_EQ(hash_padded_word(word.text.data(), word.text.size()), hash_word(word.text));
      tokens.push_back({std::string(word.text), word.begin - offset, word.end - offset});
    }
    ASSERT_TRUE(are_equal(tokens, tokens_of(tokenizer, text)));
  }
}

TEST(Tokenize, ForgetsATextThatWasGivenUpInTheMiddle) {
  Tokenizer tokenizer;
  struct Enough {};
  for (const std::string_view text : {"北京天安门 ab cd", "ab cd ef"}) {
    EXPECT_THROW(tokenizer.tokenize(text, [](const Word&) { throw Enough(); }), Enough);
    EXPECT_EQ(tokens_of(tokenizer, "xy 北京"), (std::vector<Token>{{"xy", 0, 2}, {"北京", 3, 9}}));
  }
}

TEST(Tokenize, WorksAfterItWasMoved) {
  Tokenizer first;
  EXPECT_EQ(tokens_of(first, "北京 é1").size(), 2u);
  Tokenizer second(std::move(first));
  EXPECT_EQ(tokens_of(second, "北京 é1").size(), 2u);
}

TEST(Tokenize, TakesFiftyMegabytesWithoutMoreMemory) {
  std::string text;
  text.reserve(std::size_t{51} << 20);
  while (text.size() < std::size_t{44} << 20) text += "The quick brown fox, ";
  text.append(std::size_t{4} << 20, 'x');
  while (text.size() < std::size_t{50} << 20) text += "é";
  text += ' ';
  for (int i = 0; i < 100000; ++i) text += "天安门";
  const auto used = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  Tokenizer tokenizer;
  tokenizer.tokenize("天安门 é1", [](const Word&) {});  // ICU loads its data once
  const std::size_t before = used();
  std::size_t most = 0;
  std::size_t words = 0;
  tokenizer.tokenize(text, [&](const Word&) {
    if (++words % 10000 == 0) most = std::max(most, used());
  });
  EXPECT_GT(words, 8000000u);
  if (test::kUnderSanitizer) return;  // mallinfo is of glibc's malloc
  EXPECT_LT(most, before + (std::size_t{1} << 20));
}

TEST(Tokenize, AgreesOnLengthsOfRuns) {
  Random random(8);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    const bool is_letter = byte >= 0x80 || (std::isalnum(byte) != 0) || byte == '_';
    EXPECT_EQ(run_length(one), is_letter ? 1u : 0u) << byte;
    EXPECT_EQ(is_ascii_text(one), byte < 0x80) << byte;
  }
  EXPECT_EQ(run_length("ab_9\xC3 x"), 5u);
  EXPECT_EQ(run_length(""), 0u);
}

}  // namespace

}  // namespace reyearn
