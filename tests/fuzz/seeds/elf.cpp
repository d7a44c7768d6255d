// What the fuzzer's ELF files are built of: small, and with what symbols are looked for in.
namespace seed {
namespace {

struct Pair {
  int first;
  int second;
  int sum(int more) const { return first + second + more; }
};

template <class T>
[[gnu::always_inline]] inline T twice(const T& value) {
  return value + value;
}

[[gnu::noinline]] int hidden(int number, const Pair& pair) {
  return twice(pair.sum(number)) + 1;
}

}  // namespace

struct Order {
  virtual int total(int number) const;
  int price = 0;
};

int Order::total(int number) const {
  auto add = [number](int more) { return hidden(number, {more, number}); };
  return number > 3 ? add(price) : twice(hidden(price, {1, 2}));
}

}  // namespace seed

extern "C" [[gnu::cold]] int outer(int number) {
  return seed::Order().total(number) * 3;
}
