// A plugin that brings the C++ runtime along.
#include <stdexcept>

extern "C" void guilty_plugin() {
  throw std::logic_error("of a plugin");
}

extern "C" void catching_plugin() {
  try {
    guilty_plugin();
  } catch (const std::logic_error&) {
  }
}
