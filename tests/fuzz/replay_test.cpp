#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/targets.hpp"
#include "support/temporary_folder.hpp"

using codewake::testing::read_file;

namespace {

constexpr int kMutations = 3000;
constexpr std::uint64_t kSeed = 20'240'229;

std::filesystem::path corpus_folder(std::string_view name) {
  return codewake::testing::test_data("../fuzz/corpus") / name;
}

std::vector<std::string> inputs_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    // Of an ELF file that was built with it, not for the fuzzer: its split debug file.
    if (file.is_regular_file() && file.path().extension() != ".dwo") files.push_back(file.path());
  }
  std::ranges::sort(files);  // a folder has no order of its own, and the mutations depend on it
  std::vector<std::string> inputs;
  for (const std::filesystem::path& file : files) inputs.push_back(read_file(file));
  return inputs;
}

// The same changes on every machine: the standard fixes what this engine gives, but not what a distribution
// makes of it.
class Mutator {
 public:
  explicit Mutator(std::vector<std::string> inputs) : inputs_(std::move(inputs)) {}

  std::string next() {
    std::string text = inputs_[below(inputs_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) {
    return static_cast<std::size_t>(engine_() % std::max<std::size_t>(bound, 1));
  }

  void change(std::string& text) {
    static constexpr std::string_view kPieces[] = {":", " ", "\n", "\t",  ",", "%",  "%00",  "@",  "/",
                                                   "[", "]", "{",  "}",   "'", "\"", "&a",   "*a", "|",
                                                   "-", "~", "!x", "<<:", "?", "#",  "---\n"};
    const std::size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 1:
        text.erase(at, 1 + below(8));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), below(32)));
        break;
      default: {
        const std::string& other = inputs_[below(inputs_.size())];
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
      }
    }
  }

  std::vector<std::string> inputs_;
  std::mt19937_64 engine_{kSeed};
};

void replay(const std::filesystem::path& folder, void (*target)(std::string_view)) {
  const std::vector<std::string> inputs = inputs_in(folder);
  REQUIRE(inputs.size() >= 10);
  for (const std::string& input : inputs) {
    CAPTURE(input);
    CHECK_NOTHROW(target(input));
  }
  Mutator mutator(inputs);
  for (int i = 0; i < kMutations; ++i) {
    const std::string input = mutator.next();
    CAPTURE(input);
    CHECK_NOTHROW(target(input));
  }
}

}  // namespace

TEST_CASE("The configuration holds its promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("config"), codewake::testing::fuzz_config);
}

TEST_CASE("The DSN parser holds its promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("dsn"), codewake::testing::fuzz_dsn);
}

TEST_CASE(
    "Records of a journal hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("records"), codewake::testing::fuzz_records);
}

TEST_CASE("Trace events hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("trace_events"), codewake::testing::fuzz_trace_events);
}

TEST_CASE("Headers of traces hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("headers"), codewake::testing::fuzz_headers);
}

TEST_CASE("A dead run's files hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay(corpus_folder("journal"), codewake::testing::fuzz_journal);
}

TEST_CASE(
    "A dead run's folder is recovered, whatever the fuzzer's inputs and thousands that are like them hold") {
  replay(corpus_folder("run_folder"), codewake::testing::fuzz_run_folder);
}

TEST_CASE("The analysis holds its promises for the fuzzer's traces and thousands that are like them") {
  replay(corpus_folder("history"), codewake::testing::fuzz_history);
}

TEST_CASE("An ELF file holds its promises for what a compiler writes and thousands that are like it") {
  const char* const folder = std::getenv("CODEWAKE_FUZZ_SEEDS");
  REQUIRE_MESSAGE(folder != nullptr,
                  "CODEWAKE_FUZZ_SEEDS is not set: run this test by tools/test or meson test");
  replay(folder, codewake::testing::fuzz_elf);
}
