#include "codewake/plugin.hpp"

#include "codewake/sqlite_store.hpp"

namespace {

constexpr const char* kParameters =
    "sqlite:////path | sqlite:///:memory:, then busy_timeout=60s, synchronous=off|normal|full, "
    "wal_limit=512MiB, mode=0600, group=NAME";

}  // namespace

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::SqliteStore>("SqliteStore", kParameters),
                codewake::plugin_class<codewake::SqliteQueueStore>("SqliteQueueStore", kParameters))
