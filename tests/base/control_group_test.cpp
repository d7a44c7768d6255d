#include "base/control_group.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_folder.hpp"

using codewake::internal::control_group_memory;
using codewake::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

void limit(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text << '\n';
}

}  // namespace

TEST_CASE("The least limit of a control group and of those above it counts, in version 2") {
  const TemporaryFolder mount;
  limit(mount / "a/memory.max", "5000");
  limit(mount / "a/b/memory.max", "max");
  limit(mount / "a/b/c/memory.max", "7000");
  CHECK(control_group_memory("0::/a/b/c\n", mount.path()) == 5000);
  CHECK(control_group_memory("0::/a/b/c/gone\n", mount.path()) == 5000);
  CHECK(control_group_memory("0::/\n", mount.path()) == UINT64_MAX);
  limit(mount / "memory.max", "4000");  // as in a container
  CHECK(control_group_memory("0::/elsewhere\n", mount.path()) == 4000);
  CHECK(control_group_memory("0::/../outside\n", mount.path()) == 4000);
}

TEST_CASE("The least limit of a control group and of those above it counts, in version 1") {
  const TemporaryFolder mount;
  limit(mount / "memory/memory.limit_in_bytes", "9223372036854771712");
  limit(mount / "memory/docker/memory.limit_in_bytes", "6000");
  CHECK(control_group_memory("5:cpu,memory:/docker/17\n4:pids:/docker/17\n0::/\n", mount.path()) == 6000);
  CHECK(control_group_memory("5:cpu:/docker/17\n", mount.path()) == 9223372036854771712u);
}

TEST_CASE("What is no list of control groups gives no limit") {
  const TemporaryFolder mount;
  for (const char* text : {"", "\n", "0", "0:", "0::", ":::::", "memory"})
    CHECK(control_group_memory(text, mount.path()) == UINT64_MAX);
}
