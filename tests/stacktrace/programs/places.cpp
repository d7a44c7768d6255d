// Built in many ways, and never run: the test asks for the places of its functions. Each function that is
// named in its table has an instruction whose address is known.
#include <cstdlib>

namespace shop {
namespace {

// So that each function has a place of its own, whatever the compiler does: the address goes into a section.
#define PLACE(name)                            \
  asm volatile(                                \
      "1: nop\n"                               \
      ".pushsection .places,\"R\",@progbits\n" \
      ".dc.a 1b\n"                             \
      ".asciz \"" name                         \
      "\"\n"                                   \
      ".balign 8\n"                            \
      ".popsection")

struct Basket {
  int items;
  [[gnu::always_inline]] inline int weigh(int of_one) const {
    PLACE("inlined method");
    return items * of_one;
  }
};

[[gnu::always_inline]] inline int inlined(int first, const Basket& basket) {
  return basket.weigh(first) + 1;
}

[[gnu::noinline]] int hidden(int number) {
  Basket basket{number};
  return inlined(number, basket);
}

}  // namespace

class Order {
 public:
  [[gnu::noinline]] int total(int price) const;
};

int Order::total(int price) const {
  PLACE("method");
  return hidden(price);
}

template <class Number>
[[gnu::noinline]] Number doubled(Number number) {
  const auto twice = [&](int factor) __attribute__((noinline)) {
    PLACE("lambda");
    return number * factor;
  };
  return twice(2);
}

}  // namespace shop

extern "C" __attribute__((visibility("default"), noinline)) int plain(int number) {
  PLACE("plain");
  struct Local {
    [[gnu::noinline]] static int run(int of) {
      PLACE("local");
      return of + 1;
    }
  };
  return Local::run(number) + shop::Order().total(number);
}

int main(int count, char**) {
  return plain(count) + shop::doubled<int>(count);
}

// Never called: a linker that drops such functions leaves their lines, which count from address 0 on then.
// They are as long as the code of all the others.
#define HUNDREDS asm volatile(".rept 300\n nop\n .endr");
void never_called() {
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
  HUNDREDS
}
