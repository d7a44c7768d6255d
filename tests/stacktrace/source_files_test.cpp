#include "stacktrace/source_files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"

using codewake::internal::locate_source;
using codewake::internal::SourceFiles;
using codewake::testing::TemporaryFolder;

TEST_CASE("A relative path is looked for from the folders above the module") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "build/tools/demo");
  std::filesystem::create_directories(folder / "source");
  const std::string source = folder.write("source/a.cpp", "x").string();
  const std::string module = (folder / "build/tools/demo/program").string();
  CHECK(locate_source("../source/a.cpp", module) == source);
  CHECK(locate_source("../../../source/a.cpp", module) == source);
  CHECK(locate_source("../source/b.cpp", module) == "../source/b.cpp");
  CHECK(locate_source("../source", module) == "../source");
  CHECK(locate_source("a.cpp", "") == "a.cpp");
  CHECK(locate_source("a.cpp", "relative/module.so") == "a.cpp");
  CHECK(locate_source("/elsewhere/a.cpp", module) == "/elsewhere/a.cpp");
}

TEST_CASE("Steps into folders and out again are taken off an absolute path") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "build/elsewhere");
  std::filesystem::create_directory_symlink(folder / "build/elsewhere", folder / "link");
  const std::string source = folder.write("a.cpp", "x").string();
  const std::string base = folder.path().string();
  CHECK(locate_source(base + "/build/../a.cpp", "/program") == source);
  CHECK(locate_source(base + "/./a.cpp", "/program") == source);
  CHECK(locate_source("/gone/build/../a.cpp", "/program") == "/gone/a.cpp");
  const std::string beside = folder.write("build/b.cpp", "x").string();
  CHECK(locate_source(base + "/link/../b.cpp", "/program") == base + "/link/../b.cpp");
}

TEST_CASE("A line is found by its number and trimmed") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.cpp", "first\n\t second  \r\n\n   \nlast").string();
  SourceFiles files;
  CHECK(files.line(path, 1) == "first");
  CHECK(files.line(path, 2) == "second");
  CHECK(files.line(path, 3) == "");
  CHECK(files.line(path, 4) == "");
  CHECK(files.line(path, 5) == "last");
}

TEST_CASE("A line that is not there is empty") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.cpp", "first\n").string();
  const std::string empty = folder.write("empty.cpp", "").string();
  SourceFiles files;
  CHECK(files.line(path, 0) == "");
  CHECK(files.line(path, 2) == "");
  CHECK(files.line(path, 4'000'000'000) == "");
  CHECK(files.line(empty, 1) == "");
}

TEST_CASE("What is no readable regular file has no lines") {
  const TemporaryFolder folder;
  const std::filesystem::path pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  SourceFiles files;
  CHECK(files.line((folder / "missing").string(), 1) == "");
  CHECK(files.line(folder.path().string(), 1) == "");
  CHECK(files.line(pipe.string(), 1) == "");
  CHECK(files.line("/dev/zero", 1) == "");
  CHECK(files.line("", 1) == "");
}

TEST_CASE("A file is read up to the bound and not beyond") {
  const TemporaryFolder folder;
  const std::string head = "head\n";
  const std::string fits = head + std::string(SourceFiles::kMaxBytes - head.size(), 'x');
  SourceFiles files;
  CHECK(files.line(folder.write("fits.cpp", fits).string(), 1) == "head");
  CHECK(files.line(folder.write("large.cpp", fits + "x").string(), 1) == "");
}

TEST_CASE("A long line is cut between characters") {
  const TemporaryFolder folder;
  const std::string full(SourceFiles::kMaxLineBytes, 'x');
  const std::string split = std::string(SourceFiles::kMaxLineBytes - 1, 'x') + "ü";
  SourceFiles files;
  CHECK(files.line(folder.write("full.cpp", full).string(), 1) == full);
  CHECK(files.line(folder.write("long.cpp", full + "y").string(), 1) == full);
  CHECK(files.line(folder.write("split.cpp", split).string(), 1) == full.substr(1));
}

TEST_CASE("More files than are kept are read again") {
  const TemporaryFolder folder;
  SourceFiles files;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < 2 * SourceFiles::kMaxFiles; ++i) {
      const std::string text = "line of " + std::to_string(i);
      CHECK(files.line(folder.write(std::to_string(i) + ".cpp", text + "\n").string(), 1) == text);
    }
  }
}
