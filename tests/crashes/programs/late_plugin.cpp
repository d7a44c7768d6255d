// Opened by a program that is to die in it.
extern "C" __attribute__((visibility("default"), noinline)) int guilty_plugin(volatile int* nowhere) {
  return *nowhere + 1;
}
