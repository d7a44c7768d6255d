#include "codewake/plugin.hpp"

#include "codewake/sql14_store.hpp"

namespace {

constexpr const char* kParameters =
    "sqlite:////path | postgresql://user:password@host:port/database, then as that store's";

}  // namespace

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::Sql14Store>("Sql14Store", kParameters),
                codewake::plugin_class<codewake::Sql14QueueStore>("Sql14QueueStore", kParameters))
