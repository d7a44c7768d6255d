// Built for another number of the library's ABI; what comes behind that number must not be touched.
#include <cstdint>

namespace {

struct FutureDescriptor {
  char magic[8];
  std::uint32_t abi_number;
  std::uint32_t descriptor_size_bytes;
  const void* poison;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const FutureDescriptor codewake_plugin;
extern "C" const FutureDescriptor codewake_plugin = {
    {'c', 'o', 'd', 'e', 'w', 'a', 'k', 'e'}, 4711, 8, reinterpret_cast<const void*>(8)};
