#include "codewake/plugin.hpp"

#include "codewake/sqlite_store.hpp"

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::SqliteStore>(
    "SqliteStore",
    "sqlite:////path | sqlite:///:memory:, then busy_timeout=60s, synchronous=off|normal|full"))
