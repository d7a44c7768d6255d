// Attributes of an event: those that the caller owns, and an exception as such.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "stacktrace/exceptions.hpp"

namespace codewake::internal {

/// Views of the attributes, valid as long as they are. Reentrant.
inline std::vector<AttributeArgument> borrow(const Attributes& data) {
  std::vector<AttributeArgument> arguments;
  arguments.reserve(data.size());
  for (const Attribute& attribute : data) arguments.emplace_back(attribute.key, Value(attribute.value));
  return arguments;
}

/// What describes an exception and its nested causes, behind the attributes of the caller. Reentrant.
class ExceptionAttributes {
 public:
  ExceptionAttributes(std::span<const AttributeArgument> data, std::vector<ExceptionDescription> chain)
      : chain_(std::move(chain)), arguments_(data.begin(), data.end()) {
    keys_.reserve(2 * chain_.size());  // so that the views into it stay
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      const std::string prefix = i == 0 ? "exception." : "exception.cause." + std::to_string(i) + ".";
      arguments_.emplace_back(keys_.emplace_back(prefix + "type"), Value(chain_[i].type));
      if (chain_[i].message)
        arguments_.emplace_back(keys_.emplace_back(prefix + "message"), Value(*chain_[i].message));
    }
  }
  ExceptionAttributes(const ExceptionAttributes&) = delete;
  ExceptionAttributes& operator=(const ExceptionAttributes&) = delete;

  std::span<const AttributeArgument> arguments() const noexcept { return arguments_; }

 private:
  std::vector<ExceptionDescription> chain_;
  std::vector<std::string> keys_;
  std::vector<AttributeArgument> arguments_;
};

}  // namespace codewake::internal
