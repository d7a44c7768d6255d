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

std::vector<std::string> corpus(std::string_view name) {
  const std::filesystem::path folder = codewake::testing::test_data("../fuzz/corpus") / name;
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) files.push_back(file.path());
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

void replay(std::string_view name, void (*target)(std::string_view)) {
  const std::vector<std::string> inputs = corpus(name);
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
  replay("config", codewake::testing::fuzz_config);
}

TEST_CASE("The DSN parser holds its promises for the fuzzer's inputs and thousands that are like them") {
  replay("dsn", codewake::testing::fuzz_dsn);
}

TEST_CASE(
    "Records of a journal hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay("records", codewake::testing::fuzz_records);
}

TEST_CASE("Trace events hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay("trace_events", codewake::testing::fuzz_trace_events);
}

TEST_CASE("Headers of traces hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay("headers", codewake::testing::fuzz_headers);
}

TEST_CASE("A dead run's files hold their promises for the fuzzer's inputs and thousands that are like them") {
  replay("journal", codewake::testing::fuzz_journal);
}

TEST_CASE(
    "A dead run's folder is recovered, whatever the fuzzer's inputs and thousands that are like them hold") {
  replay("run_folder", codewake::testing::fuzz_run_folder);
}

TEST_CASE("The analysis holds its promises for the fuzzer's traces and thousands that are like them") {
  replay("history", codewake::testing::fuzz_history);
}
