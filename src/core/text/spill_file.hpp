// SpillFile: bytes that did not fit into memory. The file is unlinked as soon as it is open, so that nothing is left
// behind whatever happens to the process. Appending is for one thread; reading is for any number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace reyearn {

class SpillFile {
 public:
  // Creates nothing until the first append.
  explicit SpillFile(std::string directory) : directory_(std::move(directory)) {}
  ~SpillFile();
  SpillFile(SpillFile&& other) noexcept;
  SpillFile& operator=(SpillFile&&) = delete;
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  std::uint64_t size() const { return size_; }
  // Throws Error(kIo), for a full disk for example.
  void append(std::span<const std::uint8_t> bytes);
  void read(std::uint64_t offset, std::span<std::uint8_t> bytes) const;

 private:
  std::string directory_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace reyearn
