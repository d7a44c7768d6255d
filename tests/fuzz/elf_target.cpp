// The target that resolves addresses in any ELF file.
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "codewake/utf8.hpp"
#include "fuzz/targets.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/symbolizer.hpp"

namespace codewake::testing {
namespace {

using internal::ElfFile;
using internal::FileDescriptor;
using internal::Module;
using internal::Symbolizer;
using internal::Trust;

constexpr std::size_t kMostAddresses = 16;

void require(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(what));
}

/// A file without a name that has this content.
FileDescriptor file_of(std::string_view content) {
  FileDescriptor file(memfd_create("codewake-fuzz", MFD_CLOEXEC));
  require(file.number() >= 0, "there is no file for the input");
  for (std::size_t at = 0; at < content.size();) {
    const ssize_t count = write(file.number(), content.data() + at, content.size() - at);
    require(count > 0, "the input cannot be written");
    at += static_cast<std::size_t>(count);
  }
  return file;
}

/// Where to look: at the entry, in the first functions that the symbols name, and at what the last eight
/// bytes say.
std::vector<std::uint64_t> addresses_in(const ElfFile& file, std::string_view input) {
  std::vector<std::uint64_t> addresses;
  GElf_Ehdr header;
  if (gelf_getehdr(file.elf(), &header) != nullptr) addresses.push_back(header.e_entry);
  std::uint64_t last = 0;
  if (input.size() >= sizeof last) std::memcpy(&last, input.end() - sizeof last, sizeof last);
  addresses.push_back(last);
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(file.elf(), section)) != nullptr;) {
    GElf_Shdr table;
    if (gelf_getshdr(section, &table) == nullptr || table.sh_type != SHT_SYMTAB) continue;
    Elf_Data* const data = elf_getdata(section, nullptr);
    GElf_Sym symbol;
    for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr && addresses.size() < kMostAddresses; ++i) {
      if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC) addresses.push_back(symbol.st_value + symbol.st_size / 2);
    }
  }
  return addresses;
}

void check(const Frame& frame, const Module& module) {
  require(frame.module == module.path && frame.build_id == module.build_id, "a frame is of another module");
  require(!frame.filename.empty(), "a frame has no file");
  for (const std::string* text : {&frame.filename, &frame.src, &frame.function})
    require(is_storable(*text), "a frame has text that is not UTF-8");
}

}  // namespace

void fuzz_elf(std::string_view input) {
  const FileDescriptor file = file_of(input);
  Module module;
  module.path = "/proc/self/fd/" + std::to_string(file.number());
  const auto elf = ElfFile::open(module.path, {.all = true});
  if (elf == nullptr) return;
  module.build_id = elf->build_id();
  module.end = UINTPTR_MAX;
  module.identity = module.identify();
  // No other file of the machine is looked for but those that the input names.
  Symbolizer symbolizer({.trust = Trust::own_process, .debug_roots = {}});
  for (const std::uint64_t address : addresses_in(*elf, input)) {
    if (address == UINT64_MAX) continue;  // no module has it
    void* const stack[] = {reinterpret_cast<void*>(address + 1)};
    for (const Frame& frame : symbolizer.resolve(stack, {module})) check(frame, module);
  }
}

}  // namespace codewake::testing
