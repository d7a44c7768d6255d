#include "codewake/plugin.hpp"

#include "codewake/raceway_store.hpp"

namespace {

constexpr const char* kParameters =
    "http://host:8080, then api_key=…, timeout=10s, connect_timeout=5s, ca_file=/path, body_limit=2MiB, "
    "compression=auto|off, batch_size=50, flush_interval=1s";

}  // namespace

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::RacewayStore>("RacewayStore", kParameters),
                codewake::plugin_class<codewake::RacewayQueueStore>("RacewayQueueStore", kParameters))
