// Opened by the tests with dlopen, after stack traces have been looked at.
extern "C" __attribute__((visibility("default"), noinline)) void call_back(void (*callback)(void*),
                                                                           void* data) {
  callback(data);
  asm volatile("");
}
