// Tokenizer: text → words, each with its normalised form and its byte range in the input.
//
// A word is a maximal run of letters, digits and underscores of at least two characters (scikit-learn's default
// `\w\w+`); combining marks and invisible format characters belong to the word they follow. Its normalised form
// is lower case, for text outside ASCII NFKC with full case folding. Runs of scripts written without spaces
// (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are divided by ICU's dictionaries, and there one character can
// be a word. A byte that is not valid UTF-8 counts as a letter and is normalised to U+FFFD.
//
// Words longer than kMaxWordBytes are cut there: no input makes memory grow.
//
// A Tokenizer keeps buffers and, once it met such a script, an ICU break iterator: make one a thread and reuse it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/should_stop.hpp"
#include "core/text/ascii_scan.hpp"
#include "core/text/hash.hpp"

namespace reyearn {

inline constexpr std::size_t kMaxWordBytes = 1024;

struct Word {
  std::string_view text;  // normalised; followed by kHashPadding readable bytes; valid until the next word
  std::size_t begin;      // byte range in the input
  std::size_t end;
};

// Words of a run that has characters outside ASCII; see tokenize_unicode.cpp.
class UnicodeTokenizer {
 public:
  UnicodeTokenizer();
  ~UnicodeTokenizer();
  UnicodeTokenizer(UnicodeTokenizer&&) noexcept;
  UnicodeTokenizer& operator=(UnicodeTokenizer&&) noexcept;

  // Takes a run of bytes without ASCII separators that begins at byte `offset` of the input.
  void start(std::string_view run, std::size_t offset);
  // The next word of the run; false at its end.
  bool next(Word& word);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Tokenizer {
 public:
  // Calls sink(const Word&) for each word of `text`, in order. A long text asks `should_stop` between its windows, and
  // throws what stop_if_asked does.
  template <typename Sink>
  void tokenize(std::string_view text, Sink&& sink, const ShouldStop& should_stop = {}) {
    std::size_t begin = 0;
    while (begin < text.size()) {
      begin += window(text, begin, sink, should_stop);
      if (begin < text.size()) stop_if_asked(should_stop);
    }
  }

 private:
  static constexpr std::size_t kWordsPerQuestion = 1024;

  // Handles the runs that end within one window that starts at `begin`; returns how far it came.
  template <typename Sink>
  std::size_t window(std::string_view text, std::size_t begin, Sink& sink, const ShouldStop& should_stop) {
    const std::string_view part = text.substr(begin, AsciiScan::kWindow);
    const bool is_last = begin + part.size() == text.size();
    scan_.scan(part, is_last);
    for (std::size_t i = 0; i < scan_.run_count(); ++i) {
      const std::size_t first = scan_.run_begin(i);
      const std::size_t end = scan_.run_end(i);
      if (scan_.is_ascii(first, end)) {
        const std::size_t length = std::min(end - first, kMaxWordBytes);
        if (length >= 2) sink(Word{{scan_.lower(first), length}, begin + first, begin + end});
      } else {
        unicode_words(text.substr(begin + first, end - first), begin + first, sink, should_stop);
      }
    }
    if (scan_.consumed() > 0) return scan_.consumed();
    return long_run(text, begin, sink, should_stop);
  }

  template <typename Sink>
  void unicode_words(std::string_view run, std::size_t offset, Sink& sink, const ShouldStop& should_stop) {
    unicode_.start(run, offset);
    Word word;
    for (std::size_t count = 1; unicode_.next(word); ++count) {
      sink(word);
      if (count % kWordsPerQuestion == 0) stop_if_asked(should_stop);
    }
  }

  // A run longer than a window: an ASCII one is one word, cut; another is left to ICU, which needs no window.
  template <typename Sink>
  std::size_t long_run(std::string_view text, std::size_t begin, Sink& sink, const ShouldStop& should_stop) {
    const std::size_t length = run_length(text.substr(begin));
    const std::string_view run = text.substr(begin, length);
    if (is_ascii_text(run)) {
      sink(Word{{scan_.lower(0), kMaxWordBytes}, begin, begin + length});
    } else {
      unicode_words(run, begin, sink, should_stop);
    }
    return length;
  }

  AsciiScan scan_;
  UnicodeTokenizer unicode_;
};

}  // namespace reyearn
