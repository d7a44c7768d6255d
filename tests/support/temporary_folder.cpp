#include "support/temporary_folder.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace codewake::testing {

TemporaryFolder::TemporaryFolder() : owner_pid_(getpid()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "codewake-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  if (getpid() != owner_pid_) return;
  std::error_code ignored;  // a test that fails to clean up has not failed
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::write(std::string_view name, std::string_view content) const {
  const std::filesystem::path file = path_ / name;
  std::ofstream out(file, std::ios::binary);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
  return file;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::filesystem::path test_data(std::string_view name) {
  const char* folder = std::getenv("CODEWAKE_TEST_DATA");
  if (folder == nullptr)
    throw std::runtime_error("CODEWAKE_TEST_DATA is not set: run the tests by tools/test or meson test");
  return std::filesystem::path(folder) / name;
}

}  // namespace codewake::testing
