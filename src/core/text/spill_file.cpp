#include "core/text/spill_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.hpp"

namespace reyearn {

namespace {

[[noreturn]] void fail(const char* what, const std::string& directory) {
  const std::string reason = std::strerror(errno);
  throw Error(ErrorCode::kIo, std::string("could not ") + what + " a temporary file in \"" + directory + "\"",
              reason + ".", "Free disk space, or raise maintenance_work_mem.");
}

// PostgreSQL removes files of this name from its temporary directory when it starts: a crash between creating and
// unlinking leaves nothing either.
constexpr const char* kNamePattern = "/pgsql_tmp.reyearn.XXXXXX";

}  // namespace

SpillFile::~SpillFile() {
  if (file_ >= 0) close(file_);
}

SpillFile::SpillFile(SpillFile&& other) noexcept
    : space_(std::move(other.space_)),
      usage_(std::move(other.usage_)),
      file_(std::exchange(other.file_, -1)),
      size_(other.size_) {}

void SpillFile::append(std::span<const std::uint8_t> bytes) {
  if (usage_->fetch_add(bytes.size()) + bytes.size() > space_.limit) {
    throw Error(ErrorCode::kLimitExceeded, "temporary files of the training exceed temp_file_limit",
                "The limit is " + std::to_string(space_.limit / 1024) + " kB.",
                "Raise temp_file_limit or maintenance_work_mem.");
  }
  if (file_ < 0) {
    std::string path = space_.directory + kNamePattern;
    file_ = mkostemp(path.data(), O_CLOEXEC);
    if (file_ < 0) fail("create", space_.directory);
    unlink(path.c_str());
  }
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", space_.directory);
    size_ += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void SpillFile::read(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", space_.directory);
    if (got == 0) throw Error(ErrorCode::kIo, "unexpected end of a temporary file in \"" + space_.directory + "\"");
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace reyearn
