#include "process/configured_store.hpp"

#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"

namespace codewake::internal {

std::shared_ptr<Store> store_from(const Config& config) {
  if (!config.store.adapter) {
    throw ConfigError(
        {.source = config.looked_at(), .key = "store.adapter"},
        "no store is configured: set CODE_WAKE_STORE_ADAPTER and CODE_WAKE_STORE_CONFIG, write a file, or "
        "give Process::instance a store");
  }
  return load_store(config.store.module, config.store.class_name, config.store.parameters,
                    config.plugin_path);
}

}  // namespace codewake::internal
