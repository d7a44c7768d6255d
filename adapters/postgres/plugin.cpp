#include "codewake/plugin.hpp"

#include "codewake/postgres_store.hpp"

namespace {

constexpr const char* kParameters =
    "postgresql://user:password@host:port/database?sslmode=…, then statement_timeout=60s";

}  // namespace

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::PostgresStore>("PostgresStore", kParameters),
                codewake::plugin_class<codewake::PostgresQueueStore>("PostgresQueueStore", kParameters))
