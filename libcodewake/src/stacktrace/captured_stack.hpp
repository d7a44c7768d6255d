// A stack as it is taken: what it means is found out later, maybe by another process.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace codewake::internal {

struct CapturedStack {
  std::vector<void*> addresses = {};  ///< return addresses, innermost first
  std::uint32_t epoch = 0;            ///< of modules: see loaded_modules.hpp

  auto operator<=>(const CapturedStack&) const = default;
};

}  // namespace codewake::internal
