// The suite itself under test: each check must fail for a store with the defect that it is there for, and
// pass without.
#include "mutants.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "codewake/testing/store_conformance.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

ChildResult run_suite(const std::string& defect, std::string_view sentence) {
  std::string filter = "--test-case=Mutant: " + std::string(sentence);
  std::ranges::replace(filter, ',', '?');  // a comma would begin another filter
  return in_child([&] {
    execl(CODEWAKE_MUTANTS_PROGRAM, CODEWAKE_MUTANTS_PROGRAM, defect.c_str(), filter.c_str(), nullptr);
  });
}

void check_caught(const std::string& defect, std::string_view sentence) {
  const ChildResult with_defect = run_suite(defect, sentence);
  INFO(with_defect.out, with_defect.err);
  CHECK(with_defect.exit_code == 1);
  // doctest names a case only where it fails.
  CHECK(with_defect.out.find("TEST CASE:  Mutant: " + std::string(sentence)) != std::string::npos);
  CHECK(with_defect.out.find("CRASHED") == std::string::npos);
}

#define CODEWAKE_CAUGHT(defect, sentence)                            \
  TEST_CASE("a store that " defect " fails the conformance suite") { \
    check_caught(defect, sentence);                                  \
  }
CODEWAKE_MUTANTS(CODEWAKE_CAUGHT)

TEST_CASE("a store without a defect passes the conformance suite") {
  const ChildResult result = run_suite("none", "*");
  INFO(result.out, result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out.find("SKIPPED") == std::string::npos);
}

#define CODEWAKE_SENTENCE(store, storage, sentence, check) sentence,
#define CODEWAKE_CAUGHT_BY(defect, sentence) sentence,
TEST_CASE("every check of the conformance suite has a defect that it catches") {
  std::set<std::string> checks = {CODEWAKE_STORE_CONFORMANCE_EVERY(CODEWAKE_SENTENCE, , )};
  for (const char* sentence : {CODEWAKE_MUTANTS(CODEWAKE_CAUGHT_BY)}) checks.erase(sentence);
  std::string left;
  for (const std::string& sentence : checks) left += sentence + "; ";
  CHECK(left == "");
}

}  // namespace
}  // namespace codewake::testing
