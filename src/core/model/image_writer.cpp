#include "core/model/image_writer.hpp"

#include <cstring>
#include <utility>

namespace reyearn {

namespace {
constexpr std::size_t kTableEnd = sizeof(ImageHeader) + kSectionCount * sizeof(SectionEntry);
}

ImageWriter::ImageWriter() : image_(kTableEnd) {}

void ImageWriter::add_bytes(SectionKind kind, std::span<const std::byte> bytes, std::size_t element_bytes) {
  const std::size_t offset = (image_.size() + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  image_.resize(offset);
  image_.insert(image_.end(), bytes.begin(), bytes.end());
  const SectionEntry entry{static_cast<std::uint32_t>(kind), static_cast<std::uint32_t>(element_bytes), offset,
                           bytes.size()};
  const std::size_t index = static_cast<std::uint32_t>(kind) - 1;
  std::memcpy(image_.data() + sizeof(ImageHeader) + index * sizeof entry, &entry, sizeof entry);
}

std::vector<std::byte> ImageWriter::seal(ImageHeader header) {
  header.magic = kImageMagic;
  header.format = kImageFormat;
  header.header_bytes = sizeof(ImageHeader);
  header.section_count = kSectionCount;
  header.total_bytes = image_.size();
  std::memcpy(image_.data(), &header, sizeof header);
  constexpr std::size_t kFirst = offsetof(ImageHeader, checksum);
  constexpr std::size_t kBehind = kFirst + sizeof(header.checksum);
  const std::uint64_t checksum = XXH3_64bits(image_.data() + kBehind, image_.size() - kBehind);
  std::memcpy(image_.data() + kFirst, &checksum, sizeof checksum);
  return std::move(image_);
}

}  // namespace reyearn
