#include "stacktrace/unwind/frame_description.hpp"

#include <cstddef>
#include <cstring>

#include "stacktrace/unwind/registers.hpp"

namespace codewake::internal {
namespace {

template <class T>
T read_at(std::uintptr_t address) noexcept {
  T value;
  std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  return value;
}

// The entry of the last function that begins at the address or before it; 0 where there is none. The index is
// sorted, both numbers of a pair count from its begin.
std::uintptr_t find_entry(const CodeModule& module, std::uintptr_t address) noexcept {
  TableReader header(module.index, module.tables_end);
  const auto version = header.take<std::uint8_t>();
  const PointerEncoding tables_encoding(header.take<std::uint8_t>());
  const PointerEncoding count_encoding(header.take<std::uint8_t>());
  const PointerEncoding pairs_encoding(header.take<std::uint8_t>());
  if (version != 1 || count_encoding.is_omitted()) return 0;
  if (pairs_encoding.code() != PointerEncoding::kSigned4FromIndex) return 0;
  if (!tables_encoding.is_omitted()) header.take_number(tables_encoding);
  const std::uint64_t count = header.take_number(count_encoding);
  constexpr std::size_t kPairBytes = 2 * sizeof(std::int32_t);
  if (header.failed() || count == 0 || count > (module.tables_end - header.at()) / kPairBytes) return 0;

  const auto number = [&](std::uint64_t pair, std::size_t offset) {
    const auto value = read_at<std::int32_t>(header.at() + pair * kPairBytes + offset);
    return module.index + static_cast<std::uintptr_t>(std::int64_t{value});
  };
  if (number(0, 0) > address) return 0;
  std::uint64_t first = 0;
  for (std::uint64_t left = count; left > 1;) {
    const std::uint64_t half = left / 2;
    first = number(first + half, 0) <= address ? first + half : first;
    left -= half;
  }
  return number(first, sizeof(std::int32_t));
}

// What follows the length of an entry, which must not be of the 64-bit format.
TableReader open_entry(const CodeModule& module, std::uintptr_t begin) noexcept {
  if (begin < module.tables_begin || begin >= module.tables_end) return {1, 0};
  TableReader length(begin, module.tables_end);
  const auto bytes = length.take<std::uint32_t>();
  if (bytes == 0 || bytes > module.tables_end - length.at()) return {1, 0};
  return {length.at(), length.at() + bytes};
}

bool read_common(const CodeModule& module, std::uintptr_t begin, FrameDescription& found,
                 bool& has_augmentation) noexcept {
  TableReader entry = open_entry(module, begin);
  const bool is_common = entry.take<std::uint32_t>() == 0;
  const auto version = entry.take<std::uint8_t>();
  if (entry.failed() || !is_common || (version != 1 && version != 3)) return false;
  const std::uintptr_t letters = entry.at();
  while (entry.take<char>() != '\0') {
  }
  found.code_alignment = entry.take_uleb();
  found.data_alignment = entry.take_sleb();
  const std::uint64_t return_address = version == 1 ? entry.take<std::uint8_t>() : entry.take_uleb();
  if (entry.failed() || return_address != Registers::kRip) return false;
  has_augmentation = read_at<char>(letters) == 'z';
  if (!has_augmentation) {
    if (read_at<char>(letters) != '\0') return false;
  } else {
    const std::uint64_t bytes = entry.take_uleb();
    TableReader data = entry;
    entry.skip(bytes);
    for (std::uintptr_t letter = letters + 1; read_at<char>(letter) != '\0'; ++letter) {
      switch (read_at<char>(letter)) {
        case 'R':
          found.encoding = PointerEncoding(data.take<std::uint8_t>());
          break;
        case 'L':
          data.skip(1);
          break;
        case 'P':
          data.take_number(PointerEncoding(data.take<std::uint8_t>()));
          break;
        case 'S':
          found.is_signal_frame = true;
          break;
        default:  // what it has of the data is not known
          return false;
      }
    }
    if (data.failed()) return false;
  }
  found.common_begin = entry.at();
  found.common_end = entry.end();
  return !entry.failed();
}

}  // namespace

bool find_frame_description(const CodeModule& module, std::uintptr_t address,
                            FrameDescription& found) noexcept {
  if (!module.has_tables()) return false;
  found = {};
  found.begin = find_entry(module, address);
  TableReader entry = open_entry(module, found.begin);
  const std::uintptr_t here = entry.at();
  const auto back_to_common = entry.take<std::uint32_t>();
  bool has_augmentation = false;
  if (entry.failed() || back_to_common == 0 ||
      !read_common(module, here - back_to_common, found, has_augmentation)) {
    return false;
  }
  found.function_begin = entry.take_pointer(found.encoding);
  found.function_end = found.function_begin + entry.take_number(found.encoding);
  if (has_augmentation) entry.skip(entry.take_uleb());
  found.own_begin = entry.at();
  found.own_end = entry.end();
  return !entry.failed() && address >= found.function_begin && address < found.function_end;
}

}  // namespace codewake::internal
