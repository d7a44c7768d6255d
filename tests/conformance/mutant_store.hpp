// MemoryStore with a defect that is chosen by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "codewake/store.hpp"

namespace codewake::testing {

/// Whether there is a defect of this name; `none` is one.
bool is_defect(std::string_view defect);

/// What stores on one storage share, apart from the rows.
struct MutantStorage {
  std::string name;  ///< of the rows
  std::string defect;
  std::string refused_key;  ///< events with this key are refused; empty: none are
  int opened = 0;
};

std::shared_ptr<Store> open_mutant(const std::shared_ptr<MutantStorage>& storage);

}  // namespace codewake::testing
