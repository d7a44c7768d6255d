// From what a caller wrote to what a store is given.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/event.hpp"

namespace codewake::internal {

/// The attributes as text that any store can take. Borrows from the arguments what is fit as it is, and holds
/// the rest. Reentrant; the views live as long as this object and what the arguments borrow.
class StorableAttributes {
 public:
  explicit StorableAttributes(std::span<const AttributeArgument> arguments);
  StorableAttributes(const StorableAttributes&) = delete;
  StorableAttributes& operator=(const StorableAttributes&) = delete;

  std::span<const AttributeView> views() const noexcept { return views_; }

 private:
  std::string_view fit(std::string_view text);

  std::vector<AttributeView> views_;
  std::deque<std::string> held_;
};

/// The process with every text made fit.
ProcessInfo to_storable(ProcessInfo info);

}  // namespace codewake::internal
