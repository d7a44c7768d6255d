// What happens to a module while its file is held, and while it is written.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "base/file_descriptor.hpp"
#include "leaking_module.hpp"
#include "place_programs.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/symbolizer.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;
using internal::ElfFile;
using internal::FileDescriptor;
using internal::Trust;

const std::string kLarge = "-gdwarf-5 -DCODEWAKE_LARGE";  // it is mapped

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

bool can_lease(const fs::path& file) {
  const FileDescriptor probe(file.c_str());
  return fcntl(probe.number(), F_SETLEASE, F_RDLCK) == 0 && fcntl(probe.number(), F_SETLEASE, F_UNLCK) == 0;
}

FileDescriptor open_to_write(const fs::path& file) {
  return FileDescriptor(open(file.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

void check_succeeds(const ChildResult& result) {
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
}

}  // namespace

TEST_CASE("A mapped file is not opened for writing while it is held, and not touched once it was changed") {
  const LeakingModule leaking("-gdwarf-5 -DCODEWAKE_LARGE");
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  if (!can_lease(leaking.file)) CODEWAKE_SKIP("no file may be leased here");
  const auto elf = ElfFile::open(leaking.file.string(), {});
  REQUIRE(elf != nullptr);
  CHECK(open_to_write(leaking.file).number() < 0);
  elf->let_go();
  {
    const FileDescriptor writer = open_to_write(leaking.file);
    CHECK(writer.number() >= 0);
    CHECK_FALSE(elf->hold());  // it may be cut off at any moment
    elf->let_go();
  }
  CHECK(elf->hold());
  CHECK(open_to_write(leaking.file).number() < 0);
  elf->let_go();
  fs::resize_file(leaking.file, 100);
  CHECK_FALSE(elf->hold());
}

TEST_CASE("A writer that waits for a held file causes no signal, not even a blocked one") {
  const LeakingModule leaking(kLarge);
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  if (!can_lease(leaking.file)) CODEWAKE_SKIP("no file may be leased here");
  check_succeeds(in_child([&] {
    sigset_t signals;
    sigfillset(&signals);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    const auto elf = ElfFile::open(leaking.file.string(), {});
    require(elf != nullptr, "not read");
    for (const bool again : {false, true}) {
      if (again) require(elf->hold(), "not held");
      require(open_to_write(leaking.file).number() < 0 && errno == EAGAIN, "no lease");
      sigpending(&signals);
      for (const int signal : {SIGURG, SIGIO}) require(sigismember(&signals, signal) == 0, "a signal");
      elf->let_go();
    }
  }));
}

TEST_CASE("A program that closes all descriptors meanwhile keeps those that it opens then") {
  const LeakingModule leaking(kLarge);
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  check_succeeds(in_child([&] {
    constexpr int kMost = 1000;
    const auto elf = ElfFile::open(leaking.file.string(), {});
    require(elf != nullptr, "not read");
    const auto take_all = [] {
      for (int number = 3; number < kMost; ++number) close(number);
      const int other = open("/dev/null", O_RDWR | O_CLOEXEC);
      for (int number = other + 1; number < kMost; ++number) dup2(other, number);
    };
    const auto has_all = [] {
      for (int number = 3; number < kMost; ++number) {
        if (fcntl(number, F_GETFD) < 0) return false;
      }
      return true;
    };
    take_all();
    elf->let_go();
    require(has_all(), "let_go closes a descriptor of the program");
    for (int number = 500; number < kMost; ++number) close(number);
    require(elf->hold(), "not held again");
    take_all();
    require(elf->hold(), "not held after its descriptor was closed");
    elf->let_go();
  }));
}

TEST_CASE("A module that is open for writing is copied, and has lines") {
  const LeakingModule leaking(kLarge);
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  const FileDescriptor writer = open_to_write(leaking.file);
  REQUIRE(writer.number() >= 0);
  CHECK(leaking.frame(Trust::own_run).function == "leak");
  CHECK(leaking.frame(Trust::own_run).lineno == 1);
}

TEST_CASE("Frames of a module that could not be read are looked for again") {
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  const std::string content = read_file(leaking.file);
  internal::Symbolizer symbolizer({.trust = Trust::own_run});
  void* const addresses[] = {reinterpret_cast<void*>(leaking.address + 1)};
  for (const std::size_t size : {std::size_t{0}, std::size_t{3000}}) {
    fs::resize_file(leaking.file, size);
    CHECK(symbolizer.resolve(addresses, {leaking.module()}).back().function == "");
  }
  std::ofstream(leaking.file, std::ios::binary) << content;
  CHECK(symbolizer.resolve(addresses, {leaking.module()}).back().function == "leak");
}

}  // namespace codewake::testing
