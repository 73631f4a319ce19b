// ImageWriter: lays sections out behind a header and seals the whole with its checksum.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/model/format.hpp"

namespace reyearn {

class ImageWriter {
 public:
  ImageWriter();

  // Sections are added in the order of SectionKind, each once.
  template <typename Element>
  void add(SectionKind kind, std::span<const Element> elements) {
    add_bytes(kind, std::as_bytes(elements), sizeof(Element));
  }

  // Fills in the fields of the header that describe the image as a whole; the writer is used up.
  std::vector<std::byte> seal(ImageHeader header);

 private:
  void add_bytes(SectionKind kind, std::span<const std::byte> bytes, std::size_t element_bytes);

  std::vector<std::byte> image_;
};

}  // namespace reyearn
