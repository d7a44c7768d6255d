#include "stacktrace/debug_texts.hpp"

#include <cstring>
#include <string_view>

#include "stacktrace/elf_sections.hpp"

namespace codewake::internal {
namespace {

/// Whether it is of this kind, also packed or of a split file.
bool is_kind(std::string_view section, std::string_view kind) {
  if (section.ends_with(".dwo")) section.remove_suffix(4);
  return section.ends_with(kind);
}

}  // namespace

void leave_out_unended_strings(Elf* elf) noexcept {
  find_section(elf, [](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    const bool has_strings = is_kind(name, "debug_str") || is_kind(name, "debug_line_str");
    if (!has_strings || header.sh_type == SHT_NOBITS) return false;
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return false;
    const std::string_view content(static_cast<const char*>(data->d_buf), data->d_size);
    data->d_size = content.rfind('\0') + 1;  // npos + 1 is 0
    return false;
  });
}

bool ends_in_debug_info(Elf* elf, const unsigned char* text) noexcept {
  return find_section(elf, [&](std::string_view name, Elf_Scn* section, const GElf_Shdr& header) {
    const bool has_entries = is_kind(name, "debug_info") || is_kind(name, "debug_types");
    if (!has_entries || header.sh_type == SHT_NOBITS) return false;
    const Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return false;
    const auto* const begin = static_cast<const unsigned char*>(data->d_buf);
    const auto* const end = begin + data->d_size;
    return text >= begin && text < end &&
           std::memchr(text, 0, static_cast<std::size_t>(end - text)) != nullptr;
  });
}

}  // namespace codewake::internal
