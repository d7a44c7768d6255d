// A program that knows nothing of Code Wake.
#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

int* volatile nowhere = nullptr;

[[gnu::noinline]] void guilty_write() {
  *nowhere = 1;
  std::puts("still there");
}

[[gnu::noinline]] void guilty_throw() {
  std::vector<int>().at(7);
}

void* after_fault[5];

// As SBCL does it: nothing that could be replaced is called.
void leave_handler(int) {
  __builtin_longjmp(after_fault, 1);
}

[[gnu::noinline]] void recover_from_fault() {
  struct sigaction action {};
  action.sa_handler = &leave_handler;
  action.sa_flags = SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  if (__builtin_setjmp(after_fault) == 0) guilty_write();
}

// As Redis does it: the handler takes itself to be on the thread's own stack.
void use_much_stack(int) {
  volatile char bytes[7 << 20];
  for (std::size_t i = 0; i < sizeof bytes; i += 4096) bytes[sizeof bytes - 1 - i] = 1;
  static constexpr char kReport[] = "whole report\n";
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, kReport, sizeof kReport - 1);
  _exit(bytes[4096 - 1] == 1 ? 6 : 7);
}

void report_at_length() {
  std::signal(SIGSEGV, &use_much_stack);
  guilty_write();
}

std::size_t count_entries(const char* folder) {
  std::size_t count = 0;
  DIR* const open = opendir(folder);
  while (open != nullptr && readdir(open) != nullptr) ++count;
  if (open != nullptr) closedir(open);
  return count - 2;  // without itself and its parent
}

// Sandboxes ask the kernel itself.
bool is_system_call_signal_taken() {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } action{};
  syscall(SYS_rt_sigaction, SIGSYS, nullptr, &action, 8);
  return action.handler != nullptr;
}

void start(const char* how, char* const* words) {
  if (how == std::string_view("execv")) execv(words[0], words);
  if (how == std::string_view("execlp")) execlp(words[0], words[0], static_cast<char*>(nullptr));
  if (how == std::string_view("vfork")) {
    const pid_t child = vfork();
    if (child == 0) {
      execve(words[0], words, environ);
      _exit(71);
    }
    int status = 0;
    waitpid(child, &status, 0);
    _exit(WEXITSTATUS(status));
  }
  if (how == std::string_view("system")) _exit(WEXITSTATUS(std::system(words[0])));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view how = argc > 1 ? argv[1] : "";
  if (how == "write") guilty_write();
  if (how == "throw") guilty_throw();
  if (how == "throw nested") {
    try {
      guilty_throw();
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  }
  if (how == "exit") return 42;
  if (how == "catch") {
    for (int i = 0; i < 3; ++i) {
      try {
        guilty_throw();
      } catch (const std::out_of_range&) {
      }
    }
  }
  if (how == "echo") {
    for (int i = 2; i < argc; ++i) std::printf("[%s]", argv[i]);
    for (int c = std::getchar(); c != EOF; c = std::getchar()) std::putchar(c);
  }
  if (how == "wait") {
    std::signal(SIGTERM, [](int) { _exit(5); });
    std::puts("ready");
    std::fflush(stdout);
    pause();
  }
  if (how == "stop itself") raise(SIGTERM);
  if (how == "recover") recover_from_fault();
  if (how == "recover and _exit") {
    recover_from_fault();
    _exit(0);
  }
  if (how == "report at length") report_at_length();
  if (how == "report at length in a thread") std::thread(report_at_length).join();
  if (how == "look around") {
    std::printf("%zu threads, %zu descriptors, SIGSYS %s\n", count_entries("/proc/self/task"),
                count_entries("/proc/self/fd"), is_system_call_signal_taken() ? "taken" : "free");
  }
  if (how == "unshare") return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
  if (how == "start") start(argv[2], argv + 3);
  return 0;
}
