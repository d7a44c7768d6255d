// MemoryStore as an adapter: the one line that makes a shared object of store classes a plugin.
#include "codewake/plugin.hpp"
#include "memory_store.hpp"

CODEWAKE_PLUGIN(codewake::plugin_class<codewake::testing::MemoryStore>("MemoryStore",
                                                                       "name of shared storage, or nothing"))
