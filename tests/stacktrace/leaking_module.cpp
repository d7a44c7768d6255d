#include "leaking_module.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <utility>

#include "place_programs.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/symbol_table.hpp"
#include "stacktrace/symbolizer.hpp"

namespace codewake::testing {

namespace fs = std::filesystem;
using internal::Trust;

LeakingModule::LeakingModule(const std::string& flags) {
  fs::permissions(folder.path(), fs::perms(0755));
  fs::create_directory(folder / "source");
  fs::create_directory(folder / "build");
  secret = folder.write("secret", std::string(kSecret) + "\n");
  fs::permissions(secret, fs::perms(0600));
  folder.write("source/leak.cpp",
               "#include \"large.hpp\"\n#line 1 \"" + secret.string() +
                   "\"\n[[gnu::always_inline]] static inline int inner(int n) { return n * n; } "
                   "extern \"C\" int leak(int n) { return inner(n) + 1; }\n");
  // More debug information, or symbols, than are copied where mapping is allowed, and than are ever copied.
  folder.write("source/large.hpp",
               "#ifdef CODEWAKE_LARGE\nasm(\".pushsection .debug_addr,\\\"\\\",@progbits\\n"
               ".fill 5000000,1,0\\n.popsection\");\n#endif\n"
               "#ifdef CODEWAKE_HUGE\nasm(\".pushsection .debug_addr,\\\"\\\",@progbits\\n"
               ".fill 26000000,1,0\\n.popsection\");\n#endif\n"
               "#ifdef CODEWAKE_SYMBOLS\nasm(\".macro one\\n.set " +
                   std::string(100, 'x') +
                   "\\\\@,0x1000000\\n.endm\\n.rept 50000\\none\\n.endr\");\n#endif\n");
  file = folder / "build/leak.so";
  works = run_quietly("cd " + (folder / "build").string() + " && g++ " + flags +
                      " -O1 -shared -fPIC -nostdlib -Wl,--build-id -o leak.so ../source/leak.cpp");
  if (!works) return;
  const auto elf = internal::ElfFile::open(file.string(), {.all = true});
  REQUIRE(elf != nullptr);
  build_id = elf->build_id();
  const internal::SymbolTable symbols(elf->elf());
  while (symbols.find(address) != "leak" && address < 0x10000) ++address;
  ++address;  // in the midst of it
  REQUIRE(symbols.find(address) == "leak");
}

internal::Module LeakingModule::module() const {
  return module_of(file, build_id);
}

std::vector<Frame> LeakingModule::frames(Trust trust, std::vector<std::string> source_folders) const {
  internal::SymbolOptions options;
  options.trust = trust;
  options.source_folders = std::move(source_folders);
  if (trust != Trust::stored) return frames_at(module(), address, options);
  return internal::Symbolizer(options).resolve_stored(std::vector{unresolved()});
}

Frame LeakingModule::frame(Trust trust, std::vector<std::string> source_folders) const {
  return frames(trust, std::move(source_folders)).back();
}

Frame LeakingModule::unresolved() const {
  Frame frame;
  frame.filename = frame.module = file.string();
  frame.src = fmt::format("+0x{:x}", address);
  frame.build_id = build_id;
  frame.offset = address;
  return frame;
}

}  // namespace codewake::testing
