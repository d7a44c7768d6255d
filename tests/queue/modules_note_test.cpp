// The note that says where the code of a run lay, as another user may have written it.
#include "queue/modules_note.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace codewake::testing {
namespace {

using internal::Module;
using internal::read_modules;
using internal::write_modules;
using Limits = internal::ModulesNoteLimits;

Module module_at(std::uintptr_t begin, std::string path = "/usr/lib/a.so",
                 std::string build_id = "0123abcd") {
  Module module;
  module.path = std::move(path);
  module.build_id = std::move(build_id);
  module.base = begin;
  module.begin = begin;
  module.end = begin + 0x1000;
  module.identity = module.identify();
  return module;
}

bool is_same(const Module& a, const Module& b) {
  return a.path == b.path && a.build_id == b.build_id && a.base == b.base && a.begin == b.begin &&
         a.end == b.end && a.identity == b.identity;
}

std::string entry(const std::string& path, const std::string& rest = R"("base":1,"begin":1,"end":2)") {
  return R"({"path":")" + path + R"(","build_id":"ab",)" + rest + "}";
}

}  // namespace

TEST_CASE("A note of modules reads back as it was written") {
  const std::vector<Module> modules = {module_at(0x1000),
                                       module_at(UINTPTR_MAX - 0x1000, "/a \"b\"\n\xC3\xBC", "")};
  const std::vector<Module> read = read_modules(write_modules(modules));
  REQUIRE(read.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(is_same(read[i], modules[i]));
  CHECK(read_modules(write_modules({})).empty());
}

TEST_CASE("A note tells when modules came and went") {
  Module early = module_at(0x1000), late = module_at(0x1000, "/late");
  early.until = late.since = 3;
  const std::vector<Module> read = read_modules(write_modules({late}, {early}));
  REQUIRE(read.size() == 2);
  CHECK(read[0].since == 3);
  CHECK(read[0].until == Module::kLoaded);
  CHECK(read[1].since == 0);
  CHECK(read[1].until == 3);
  for (const char* times : {R"("since":-1,"until":-1)", R"("since":"1","until":null)",
                            R"("since":0,"until":99999999999999)", R"("since":[],"until":{})"}) {
    CAPTURE(times);
    const auto odd =
        read_modules("[" + entry("/a", std::string(R"("base":1,"begin":1,"end":2,)") + times) + "]");
    REQUIRE(odd.size() == 1);
    CHECK(odd[0].since == 0);
    CHECK(odd[0].until == Module::kLoaded);
  }
}

TEST_CASE("What is no note of modules gives none") {
  for (const char* note :
       {"", "{", "[", "]", "{}", "1", "\"a\"", "null", "[1,2]", "[[]]", "[{}]", "[] []", "[{\"path\":1}]"}) {
    CAPTURE(note);
    CHECK(read_modules(note).empty());
  }
  const std::string whole = write_modules({module_at(1), module_at(2)});
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(read_modules(whole.substr(0, size)).empty());
}

TEST_CASE("An entry of a note that says something else than a module is left out, and no other") {
  const std::string good = entry("/good");
  for (const std::string& bad :
       {entry("/bad", R"("base":-1,"begin":1,"end":2)"), entry("/bad", R"("base":1.5,"begin":1,"end":2)"),
        entry("/bad", R"("base":"1","begin":1,"end":2)"), entry("/bad", R"("begin":1,"end":2)"),
        entry("/bad", R"("base":1,"begin":1,"end":[2])"),
        entry("/bad", R"("base":1,"begin":1,"end":{"end":2})"),
        entry("/bad", R"("base":1,"begin":1,"end":2,"path":null)"), std::string("7"),
        std::string("[\"path\"]"), entry("/bad", R"("base":1,"begin":1,"end":2,"build_id":"AB")"),
        entry("/bad", R"("base":1,"begin":1,"end":2,"build_id":"../..")")}) {
    CAPTURE(bad);
    const std::vector<Module> read = read_modules("[" + good + "," + bad + "," + good + "]");
    REQUIRE(read.size() == 2);
    for (const Module& module : read) CHECK(module.path == "/good");
  }
  // What a later version may add is passed over.
  CHECK(read_modules("[" + entry("/good", R"("base":1,"begin":1,"end":2,"new":{"path":"/x"})") + "]")
            .at(0)
            .path == "/good");
}

TEST_CASE("A path and a build-id are read up to their bounds and not beyond") {
  const auto reads = [](std::size_t path, std::size_t digits) {
    return read_modules("[" +
                        entry(std::string(path, 'p'), R"("base":1,"begin":1,"end":2,"build_id":")" +
                                                          std::string(digits, 'a') + "\"") +
                        "]")
               .size() == 1;
  };
  CHECK(reads(Limits::kPathBytes, Limits::kBuildIdDigits));
  CHECK_FALSE(reads(Limits::kPathBytes + 1, Limits::kBuildIdDigits));
  CHECK_FALSE(reads(Limits::kPathBytes, Limits::kBuildIdDigits + 1));
}

TEST_CASE("Of too many modules the first are written and read") {
  std::vector<Module> modules;
  for (std::size_t i = 0; i < Limits::kModules + 1; ++i)
    modules.push_back(module_at(i + 1, "/" + std::to_string(i)));
  const std::vector<Module> written = read_modules(write_modules(modules));
  CHECK(written.size() == Limits::kModules);
  std::string note = "[";
  for (const Module& module : modules) note += entry(module.path) + ",";
  note.back() = ']';
  const std::vector<Module> read = read_modules(note);
  REQUIRE(read.size() == Limits::kModules);
  CHECK(read.back().path == "/" + std::to_string(Limits::kModules - 1));
}

TEST_CASE("A note is written and read up to its bound and not beyond") {
  const std::string one = "[" + entry("/good") + "]";
  const std::string fits = one + std::string(Limits::kTextBytes - one.size(), ' ');
  CHECK(read_modules(fits).size() == 1);
  CHECK(read_modules(fits + " ").empty());
  // Paths whose text is four times as long as they are.
  const std::vector<Module> long_paths(600, module_at(1, "/" + std::string(Limits::kPathBytes - 1, '\x01')));
  const std::string written = write_modules(long_paths);
  CHECK(written.size() <= Limits::kTextBytes);
  const std::vector<Module> read = read_modules(written);
  CHECK(read.size() > 100);
  CHECK(read.size() < long_paths.size());
}

TEST_CASE("A note that nests deeper than its bound, or without end, gives no modules") {
  const auto nested = [](std::size_t depth) {
    return "[" +
           entry("/good",
                 R"("base":1,"begin":1,"end":2,"new":)" + std::string(depth, '[') + std::string(depth, ']')) +
           "]";
  };
  CHECK(read_modules(nested(Limits::kDepth - 2)).size() == 1);
  CHECK(read_modules(nested(Limits::kDepth - 1)).empty());
  CHECK(read_modules(std::string(Limits::kTextBytes, '[')).empty());
  std::string objects;
  while (objects.size() < Limits::kTextBytes - 8) objects += "{\"a\":";
  CHECK(read_modules(objects).empty());
}

}  // namespace codewake::testing
