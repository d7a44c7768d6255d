// The store that a configuration names.
#pragma once

#include <memory>

#include "codewake/config.hpp"
#include "codewake/store.hpp"

namespace codewake::internal {

/// Throws ConfigError where it names none, PluginError, and what the store throws.
std::shared_ptr<Store> store_from(const Config& config);

}  // namespace codewake::internal
