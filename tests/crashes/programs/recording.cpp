#include "recording.hpp"

#include <chrono>
#include <string_view>
#include <thread>

#include "codewake/codewake.hpp"

void begin_recording() {
  codewake::Process::instance();
}

void note(int number) {
  codewake::Process::instance().log({{"number", number}});
}

void in_trace(int number, const std::function<void()>& work) {
  codewake::Tracer& tracer = codewake::Process::instance().tracer();
  const codewake::Scope scope(tracer);
  tracer.track_custom("before the end");
  note(number);
  work();
}

void wait_for_threads() {
  codewake::Process::instance().flush(std::chrono::minutes(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

void note_text(const char* text, std::size_t size) {
  codewake::Process::instance().log({{"text", std::string_view(text, size)}});
}
