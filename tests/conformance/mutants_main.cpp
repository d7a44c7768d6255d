// Runs the conformance suite on MemoryStore with a defect. Usage: conformance_mutants DEFECT [DOCTEST
// OPTION…]
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "codewake/testing/store_conformance.hpp"
#include "memory_store.hpp"
#include "mutant_store.hpp"

namespace codewake::testing {
namespace {

std::string defect_of_this_run;

CODEWAKE_STORE_CONFORMANCE("Mutant", [] {
  static int number = 0;
  auto storage = std::make_shared<MutantStorage>();
  storage->name = "mutant " + std::to_string(++number);
  storage->defect = defect_of_this_run;
  const auto held = std::make_shared<MemoryStore>(std::vector<std::string>{storage->name});
  return Storage{.open = [held, storage] { return open_mutant(storage); },
                 .refuse_key = [storage](std::string_view key) { storage->refused_key = key; }};
})

}  // namespace
}  // namespace codewake::testing

int main(int argc, char** argv) {
  if (argc < 2 || !codewake::testing::is_defect(argv[1])) {
    std::fputs("usage: conformance_mutants DEFECT [DOCTEST OPTION...]\n", stderr);
    return 2;
  }
  codewake::testing::defect_of_this_run = argv[1];
  doctest::Context context(argc, argv);
  return context.run();
}
