// A store of one's own and the same behind a queue, as a plugin.
#include "codewake/plugin.hpp"
#include "codewake/queue_store.hpp"
#include "memory_store.hpp"

namespace {

class MyStore : public codewake::testing::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
};

class MyQueueStore : public codewake::QueueStore<MyStore> {
 public:
  using QueueStore::QueueStore;
};

}  // namespace

CODEWAKE_PLUGIN(codewake::plugin_class<MyStore>("MyStore", "a name"),
                codewake::plugin_class<MyQueueStore>("MyQueueStore", "a name"))
