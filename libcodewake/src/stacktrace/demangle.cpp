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

std::string demangle_function(std::string_view name) {
  if (!name.starts_with("_Z")) return std::string(name.substr(0, kMaxFunctionBytes));
  std::string function(name.substr(0, name.find('.')));
  // A longer one can be made to stand for more than there is memory.
  if (function.size() <= kMaxFunctionBytes) function = demangle(function.c_str());
  if (function.size() > kMaxFunctionBytes) function.resize(kMaxFunctionBytes);
  return function;
}

}  // namespace codewake::internal
