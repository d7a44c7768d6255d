#include "queue/fingerprint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "base/sha256.hpp"
#include "codewake/config.hpp"
#include "codewake/digest.hpp"
#include "stacktrace/demangle.hpp"

namespace codewake::internal {
namespace {

std::vector<std::string> shown(const std::vector<std::string>& parameters) {
  std::vector<std::string> result;
  for (const std::string& parameter : parameters) result.push_back(masked(parameter));
  return result;
}

}  // namespace

std::string display_of(const QueueTarget& target) {
  const std::string where =
      target.identity.empty() ? fmt::format("{}", fmt::join(shown(target.parameters), ",")) : target.identity;
  return fmt::format("{} {}", demangle(target.class_name.c_str()), where);
}

std::string fingerprint_of(const QueueTarget& target) {
  const std::string what = target.identity.empty() ? display_of(target) : "identity " + target.identity;
  return to_hex(sha256(what)).substr(0, 32);
}

}  // namespace codewake::internal
