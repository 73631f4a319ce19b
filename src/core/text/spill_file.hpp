// SpillFile: bytes that did not fit into memory. The file is unlinked as soon as it is open, so that nothing is left
// behind whatever happens to the process. Appending is for one thread; reading is for any number.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace reyearn {

// Where temporary files go, and how much all of them may take together.
struct SpillSpace {
  std::string directory = "/tmp";
  std::uint64_t limit = UINT64_MAX;  // bytes
};

class SpillFile {
 public:
  // Bytes written so far by the files that share a limit.
  using Usage = std::shared_ptr<std::atomic<std::uint64_t>>;

  // Creates nothing until the first append.
  SpillFile(SpillSpace space, Usage usage) : space_(std::move(space)), usage_(std::move(usage)) {}
  ~SpillFile();
  SpillFile(SpillFile&& other) noexcept;
  SpillFile& operator=(SpillFile&&) = delete;
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  std::uint64_t size() const { return size_; }
  // Throws Error: kIo, for a full disk for example; kLimitExceeded beyond the limit.
  void append(std::span<const std::uint8_t> bytes);
  void read(std::uint64_t offset, std::span<std::uint8_t> bytes) const;

 private:
  SpillSpace space_;
  Usage usage_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace reyearn
