// Opened by the tests, which then put another file in its place. With SHOP_UPGRADE it is that other file:
// where the first has its functions, this one has others, and other lines.
#include <stdexcept>

#define EXPORTED [[gnu::visibility("default"), gnu::noinline]]
#define KEEP_FRAME asm volatile("")

#ifdef SHOP_UPGRADE
namespace upgraded {
EXPORTED int padding(int n) {
  int sum = 0;
  for (volatile int i = 0; i < n; i = i + 1) sum += i * n;
  return sum;
}
EXPORTED int more_padding(int n) {
  int sum = 1;
  for (volatile int i = 1; i < n; i = i + 1) sum *= i + n;
  return sum;
}
}  // namespace upgraded
#endif

[[gnu::visibility("hidden"), gnu::noinline]] void find_shelf(int shelf) {
  if (shelf > 8) throw std::out_of_range("shelf 9");
  KEEP_FRAME;
}

namespace shop {

EXPORTED void order(int shelf) {
  find_shelf(shelf);
  KEEP_FRAME;
}

}  // namespace shop

extern "C" EXPORTED void sell(int shelf) {
  shop::order(shelf);
  KEEP_FRAME;
}
