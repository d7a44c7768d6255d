#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "layers/include_rules.hpp"
#include "support/temporary_folder.hpp"

using codewake::testing::Include;
using codewake::testing::violations;

namespace {

std::filesystem::path project_folder() {
  const char* folder = std::getenv("CODEWAKE_SOURCE_FOLDER");
  REQUIRE_MESSAGE(folder != nullptr,
                  "CODEWAKE_SOURCE_FOLDER is not set: run the tests by tools/test or meson test");
  return folder;
}

// Sources of the project, relative to its folder. Build folders and subprojects are not among them.
std::vector<std::filesystem::path> sources() {
  std::vector<std::filesystem::path> found;
  for (const char* top : {"libcodewake", "adapters", "tests", "tools"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(project_folder() / top)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp") continue;
      found.push_back(std::filesystem::relative(entry.path(), project_folder()));
    }
  }
  return found;
}

// What the adapters install beside the library's headers: as public as those are.
std::vector<std::string> headers_of_adapters() {
  std::vector<std::string> names;
  for (const auto& adapter : std::filesystem::directory_iterator(project_folder() / "adapters")) {
    const std::filesystem::path include = adapter.path() / "include";
    if (!std::filesystem::is_directory(include)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(include)) {
      if (entry.path().extension() == ".hpp")
        names.push_back(std::filesystem::relative(entry.path(), include).generic_string());
    }
  }
  return names;
}

// Adds the headers below the folder.
void add_headers_of(const std::filesystem::path& folder, std::vector<std::string>& own) {
  if (!std::filesystem::is_directory(project_folder() / folder)) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(project_folder() / folder)) {
    if (entry.path().extension() != ".hpp") continue;
    std::string path = std::filesystem::relative(entry.path(), project_folder()).generic_string();
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/')) {
      path.erase(0, slash + 1);
      own.push_back(path);
    }
  }
}

// How the headers of an adapter, a tool, or a folder of tests can be named: by their path, or any end of it.
std::vector<std::string> own_headers(const std::filesystem::path& file) {
  std::vector<std::string> own = headers_of_adapters();
  const auto first = file.begin();
  for (const auto& entry : std::filesystem::directory_iterator(project_folder() / *first)) {
    if (entry.path().extension() == ".hpp") own.push_back(entry.path().filename());  // shared by all of them
  }
  // The command line shows what the analysis finds.
  for (const std::filesystem::path& folder : {*first / *std::next(first), *first / "analysis"}) {
    add_headers_of(folder, own);
  }
  return own;
}

std::vector<std::string> check(const char* file, std::string_view text) {
  return violations(file, text, {"shelf.hpp", "acme/shelf.hpp"});
}

}  // namespace

TEST_CASE("every source keeps the rules about includes and size") {
  const auto files = sources();
  REQUIRE(files.size() > 30);
  for (const auto& file : files) {
    const auto found =
        violations(file, codewake::testing::read_file(project_folder() / file), own_headers(file));
    CHECK_MESSAGE(found.empty(), fmt::format("{}", fmt::join(found, "\n")));
  }
}

TEST_CASE("every public header is in the table of layers and is installed, and no other") {
  const std::filesystem::path folder = project_folder() / "libcodewake/include/codewake";
  const std::string installed = codewake::testing::read_file(folder / "meson.build");
  std::set<std::string> there = {"version"};  // made by the build
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".hpp") continue;
    const auto name = std::filesystem::relative(entry.path(), folder);
    CAPTURE(name.generic_string());
    CHECK(installed.find(fmt::format("'{}'", name.generic_string())) != std::string::npos);
    if (!name.has_parent_path()) there.insert(name.stem());
  }
  const auto known = codewake::testing::known_public_headers();
  CHECK(there == std::set<std::string>(known.begin(), known.end()));
}

TEST_CASE("includes are found with their line and their form") {
  const auto found =
      codewake::testing::includes_of("// text\n#include <map>\n\n#include \"a/b.hpp\"  // why\n");
  CHECK(found == std::vector<Include>{{"map", false, 2}, {"a/b.hpp", true, 4}});
  CHECK(codewake::testing::includes_of("").empty());
  CHECK(codewake::testing::includes_of("#include <broken\n#include \n").empty());
}

TEST_CASE("an include may point to the same layer and to lower ones, and not up") {
  const char* file = "libcodewake/src/config/reader.cpp";
  CHECK(check(file, "#include \"codewake/errors.hpp\"\n#include \"config/yaml.hpp\"\n#include <map>\n")
            .empty());
  CHECK(check(file, "#include \"store/dsn.hpp\"\n").size() == 1);
  CHECK(check(file, "#include \"codewake/process.hpp\"\n").size() == 1);
  CHECK(check("libcodewake/include/codewake/event.hpp", "#include \"codewake/store.hpp\"\n").size() == 1);
}

TEST_CASE("a public header includes public headers only") {
  CHECK(check("libcodewake/include/codewake/store.hpp", "#include \"base/clock.hpp\"\n").size() == 1);
}

TEST_CASE("a file, a header or a folder of an unknown layer is told") {
  CHECK(check("libcodewake/src/attic/old.cpp", "").size() == 1);
  CHECK(check("libcodewake/include/codewake/new.hpp", "").size() == 1);
  CHECK(check("libcodewake/src/base/clock.cpp", "#include \"helper.hpp\"\n").size() == 1);
}

TEST_CASE("an adapter and a tool include public headers and their own") {
  for (const char* file : {"adapters/acme/store.cpp", "tools/acme/main.cpp"}) {
    CAPTURE(file);
    CHECK(check(file, "#include \"shelf.hpp\"\n#include \"codewake/store.hpp\"\n#include <map>\n").empty());
    CHECK(check(file, "#include \"base/clock.hpp\"\n").size() == 1);
    CHECK(check(file, "#include \"codewake/secret.hpp\"\n").size() == 1);
  }
}

TEST_CASE("codewake headers are included in quotes, and nothing by way of the parent folder") {
  CHECK(check("tests/acme/store_test.cpp", "#include <codewake/store.hpp>\n").size() == 1);
  CHECK(check("tests/acme/store_test.cpp", "#include \"../support/skip.hpp\"\n").size() == 1);
}

TEST_CASE("a source's own header comes first") {
  CHECK(check("libcodewake/src/base/clock.cpp", "#include \"base/clock.hpp\"\n#include <map>\n").empty());
  CHECK(check("libcodewake/src/base/clock.cpp", "#include <map>\n#include \"base/clock.hpp\"\n").size() == 1);
  CHECK(check("libcodewake/src/model/digest.cpp", "#include <map>\n#include \"codewake/digest.hpp\"\n")
            .size() == 1);
}

TEST_CASE("a file of 600 lines is fine and one of 601 is too long") {
  CHECK(check("tests/acme/store_test.cpp", std::string(600, '\n')).empty());
  CHECK(check("tests/acme/store_test.cpp", std::string(601, '\n')).size() == 1);
}
