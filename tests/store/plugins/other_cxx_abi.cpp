// The right library, another C++ library.
#include "codewake/plugin.hpp"

extern "C" CODEWAKE_API const codewake::PluginDescriptor codewake_plugin;
extern "C" const codewake::PluginDescriptor codewake_plugin = {{'c', 'o', 'd', 'e', 'w', 'a', 'k', 'e'},
                                                               codewake::kAbiNumber,
                                                               sizeof(codewake::PluginDescriptor),
                                                               "libzzz",
                                                               nullptr,
                                                               0};
