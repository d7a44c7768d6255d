#include "stacktrace/demangle.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace codewake::internal {

std::string demangle(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return demangled == nullptr ? name : demangled.get();
}

}  // namespace codewake::internal
