// The symbol is there, but it is something else.
extern "C" __attribute__((visibility("default"))) const char codewake_plugin[64];
extern "C" const char codewake_plugin[64] = "not what you think";
