// The programs that are built of programs/places.cpp, by each compiler and in many ways, and what is in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/frame.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/module_symbols.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// Their files, in the order of their names: those that have `part` in their name.
std::vector<std::filesystem::path> place_programs(const std::string& part = "");

/// The folder that their source is in.
std::string place_sources();

/// Where in its file an ELF section's content is.
struct Section {
  std::string name;
  std::size_t offset;
  std::size_t size;
};

/// Those of a 64-bit file that have content.
std::vector<Section> sections_of(const std::string& file);

/// An instruction of a function, which the program names in its section .places.
struct Place {
  std::string name;
  std::uint64_t address;
};

std::vector<Place> places_in(const std::filesystem::path& program);

/// As if it were loaded at address 0; without a build-id: with the one that it has.
internal::Module module_of(const std::filesystem::path& file, std::string build_id);
internal::Module module_of(const std::filesystem::path& file);

/// What a symbolizer that knows nothing yet finds there, for a run of this user unless `options` says
/// otherwise.
std::vector<Frame> frames_at(const internal::Module& module, std::uint64_t address,
                             internal::SymbolOptions options = {.trust = internal::Trust::own_run});

/// Runs a command line, without what it says on stderr; whether it ended with 0.
bool run_quietly(const std::string& command);

/// A program in a folder of its own, stripped after its debug information had been put aside, and how it was
/// before.
struct Stripped {
  /// `debug_file`: where in the folder that is put. `root` in the folder is where debug files are looked for.
  explicit Stripped(const std::string& debug_file, const std::string& strip_options = "--strip-all");

  internal::SymbolOptions options() const {
    return {.trust = internal::Trust::own_run, .debug_roots = {(folder / "root").string()}};
  }
  /// For frames of a store.
  internal::SymbolOptions stored_options() const {
    return {.source_folders = {place_sources()}, .debug_roots = {(folder / "root").string()}};
  }

  TemporaryFolder folder;
  std::filesystem::path original;
  std::filesystem::path program;
  std::vector<Place> places;
  std::string build_id;
  bool works = false;  ///< whether there is an objcopy that does it
};

}  // namespace codewake::testing
