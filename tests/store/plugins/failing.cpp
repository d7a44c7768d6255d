// Classes whose constructors fail.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"

namespace {

// A type that only this shared object knows.
class LocalFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Parameters = std::vector<std::string>;

std::shared_ptr<codewake::Store> fail(const Parameters& parameters) {
  throw LocalFailure("cannot use " + (parameters.empty() ? std::string("nothing") : parameters.front()));
}

std::shared_ptr<codewake::Store> fail_in_configuration(const Parameters&) {
  throw codewake::ConfigError({.source = "bad://dsn"}, "not a DSN of this store");
}

std::shared_ptr<codewake::Store> fail_strangely(const Parameters&) {
  throw 42;
}

std::shared_ptr<codewake::Store> make_nothing(const Parameters&) {
  return nullptr;
}

}  // namespace

CODEWAKE_PLUGIN({"Failing", "anything", &fail}, {"Misconfigured", "anything", &fail_in_configuration},
                {"Strange", "anything", &fail_strangely}, {"Nothing", "anything", &make_nothing})
