#include "watch/exec_hook.hpp"

#include <alloca.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "codewake/export.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/next_function.hpp"
#include "watch/program_file.hpp"

// Invariant: no memory but the stack, and no lock: the caller may be the child of a vfork().

namespace codewake::internal {
namespace {

using Words = char* const*;
using ExecFunction = int (*)(const char*, Words, Words);
using ExecDescriptorFunction = int (*)(int, Words, Words);
using ExecAtFunction = int (*)(int, const char*, Words, Words, int);
using SpawnFunction = int (*)(pid_t*, const char*, const posix_spawn_file_actions_t*,
                              const posix_spawnattr_t*, Words, Words);

constinit std::atomic<const char*> preloaded{nullptr};
constinit std::atomic<ExecFunction> real_execve{nullptr};
constinit std::atomic<ExecFunction> real_execvpe{nullptr};
constinit std::atomic<ExecDescriptorFunction> real_fexecve{nullptr};
constinit std::atomic<ExecAtFunction> real_execveat{nullptr};
constinit std::atomic<SpawnFunction> real_spawn{nullptr};
constinit std::atomic<SpawnFunction> real_spawnp{nullptr};

constexpr std::string_view kVariable = "LD_PRELOAD=";
constexpr std::size_t kPathBytes = 4096;

// The variable without the library; what is left is empty where it was alone.
void remove_library(const char* variable, std::string_view library, char* to) noexcept {
  std::memcpy(to, kVariable.data(), kVariable.size());
  to += kVariable.size();
  std::string_view rest = variable + kVariable.size();
  bool is_first = true;
  while (!rest.empty()) {
    const std::size_t size = std::min(rest.find_first_of(": "), rest.size());
    if (size != 0 && rest.substr(0, size) != library) {
      if (!is_first) *to++ = ':';
      is_first = false;
      std::memcpy(to, rest.data(), size);
      to += size;
    }
    rest.remove_prefix(std::min(size + 1, rest.size()));
  }
  *to = '\0';
}

std::size_t count(Words words) noexcept {
  std::size_t size = 0;
  while (words != nullptr && words[size] != nullptr) ++size;
  return size;
}

/// Calls `call(environment)` for the program at `path`.
template <class Call>
int with_environment(const char* path, Words environment, Call call) noexcept {
  const char* const library = preloaded.load(std::memory_order_relaxed);
  if (library == nullptr || path == nullptr || !must_run_alone(kind_of_program(path)))
    return call(environment);
  const std::size_t size = count(environment);
  auto* const changed = static_cast<char**>(alloca((size + 1) * sizeof(char*)));
  for (std::size_t i = 0; i <= size; ++i) {
    changed[i] = environment == nullptr ? nullptr : environment[i];
    if (changed[i] == nullptr || !std::string_view(changed[i]).starts_with(kVariable)) continue;
    auto* const variable = static_cast<char*>(alloca(std::strlen(changed[i]) + 1));
    remove_library(changed[i], library, variable);
    changed[i] = variable;
  }
  return call(changed);
}

// Where execvp() would find it; null: nowhere.
const char* find_program(const char* name, char (&path)[kPathBytes]) noexcept {
  if (std::strchr(name, '/') != nullptr) return name;
  const char* const variable = secure_getenv("PATH");
  std::string_view rest = variable == nullptr ? "/bin:/usr/bin" : variable;
  const std::size_t name_size = std::strlen(name);
  while (true) {
    const std::size_t size = std::min(rest.find(':'), rest.size());
    if (name_size < sizeof path && size < sizeof path - name_size - 1) {
      std::copy_n(rest.begin(), size, path);
      path[size] = '/';
      std::memcpy(path + (size == 0 ? 0 : size + 1), name, name_size + 1);
      struct stat status {};
      if (access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode)) return path;
    }
    if (size == rest.size()) return nullptr;
    rest.remove_prefix(size + 1);
  }
}

// The path of a file below the descriptor, or of itself where `name` is empty.
const char* path_below(int descriptor, const char* name, char (&path)[kPathBytes]) noexcept {
  constexpr std::string_view kFolder = "/proc/self/fd/";
  if (*name == '/' || (descriptor == AT_FDCWD && *name != '\0')) return name;
  const std::size_t size = std::strlen(name);
  if (descriptor < 0 || size + 32 > sizeof path) return nullptr;
  char* to = path;
  std::memcpy(to, kFolder.data(), kFolder.size());
  to += kFolder.size();
  to = std::to_chars(to, path + kFolder.size() + 12, descriptor).ptr;
  if (size != 0) *to++ = '/';
  std::memcpy(to, name, size + 1);
  return path;
}

// The program becomes another, unless this fails.
int execute(const char* path, Words words, Words environment) noexcept {
  forget_left_fault();
  return with_environment(path, environment, [&](Words changed) {
    return next_function(real_execve, "execve")(path, words, changed);
  });
}

int find_and_execute(const char* name, Words words, Words environment) noexcept {
  forget_left_fault();
  char path[kPathBytes];
  return with_environment(find_program(name, path), environment, [&](Words changed) {
    return next_function(real_execvpe, "execvpe")(name, words, changed);
  });
}

}  // namespace

void let_others_run_alone(const char* library) noexcept {
  next_function(real_execve, "execve");
  next_function(real_execvpe, "execvpe");
  next_function(real_fexecve, "fexecve");
  next_function(real_execveat, "execveat");
  next_function(real_spawn, "posix_spawn");
  next_function(real_spawnp, "posix_spawnp");
  preloaded.store(library, std::memory_order_relaxed);
}

}  // namespace codewake::internal

// The words of execl() and its kin, as an array on the caller's stack. `arguments` is behind the last of them
// then.
#define CODEWAKE_WORDS(words, first, arguments)                                        \
  va_list arguments;                                                                   \
  va_start(arguments, first);                                                          \
  std::size_t words##_size = 1;                                                        \
  while (va_arg(arguments, char*) != nullptr) ++words##_size;                          \
  va_end(arguments);                                                                   \
  auto* const words = static_cast<char**>(alloca((words##_size + 1) * sizeof(char*))); \
  words[0] = const_cast<char*>(first);                                                 \
  va_start(arguments, first);                                                          \
  for (std::size_t i = 1; i <= words##_size; ++i) words[i] = va_arg(arguments, char*)

extern "C" {
CODEWAKE_API int codewake_execve(const char* path, char* const* words,
                                 char* const* environment) __asm__("execve");
CODEWAKE_API int codewake_execv(const char* path, char* const* words) __asm__("execv");
CODEWAKE_API int codewake_execvp(const char* name, char* const* words) __asm__("execvp");
CODEWAKE_API int codewake_execvpe(const char* name, char* const* words,
                                  char* const* environment) __asm__("execvpe");
CODEWAKE_API int codewake_execl(const char* path, const char* first, ...) __asm__("execl");
CODEWAKE_API int codewake_execlp(const char* name, const char* first, ...) __asm__("execlp");
CODEWAKE_API int codewake_execle(const char* path, const char* first, ...) __asm__("execle");
CODEWAKE_API int codewake_fexecve(int file, char* const* words, char* const* environment) __asm__("fexecve");
CODEWAKE_API int codewake_execveat(int folder, const char* name, char* const* words, char* const* environment,
                                   int flags) __asm__("execveat");
CODEWAKE_API int codewake_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                                      const posix_spawnattr_t* attributes, char* const* words,
                                      char* const* environment) __asm__("posix_spawn");
CODEWAKE_API int codewake_posix_spawnp(pid_t* pid, const char* name,
                                       const posix_spawn_file_actions_t* actions,
                                       const posix_spawnattr_t* attributes, char* const* words,
                                       char* const* environment) __asm__("posix_spawnp");
}

int codewake_execve(const char* path, char* const* words, char* const* environment) {
  return codewake::internal::execute(path, words, environment);
}

int codewake_execv(const char* path, char* const* words) {
  return codewake::internal::execute(path, words, environ);
}

int codewake_execvp(const char* name, char* const* words) {
  return codewake::internal::find_and_execute(name, words, environ);
}

int codewake_execvpe(const char* name, char* const* words, char* const* environment) {
  return codewake::internal::find_and_execute(name, words, environment);
}

int codewake_execl(const char* path, const char* first, ...) {
  CODEWAKE_WORDS(words, first, arguments);
  va_end(arguments);
  return codewake::internal::execute(path, words, environ);
}

int codewake_execlp(const char* name, const char* first, ...) {
  CODEWAKE_WORDS(words, first, arguments);
  va_end(arguments);
  return codewake::internal::find_and_execute(name, words, environ);
}

int codewake_execle(const char* path, const char* first, ...) {
  CODEWAKE_WORDS(words, first, arguments);
  char* const* const environment = va_arg(arguments, char**);
  va_end(arguments);
  return codewake::internal::execute(path, words, environment);
}

int codewake_fexecve(int file, char* const* words, char* const* environment) {
  using namespace codewake::internal;
  forget_left_fault();
  char path[kPathBytes];
  return with_environment(path_below(file, "", path), environment, [&](char* const* changed) {
    return next_function(real_fexecve, "fexecve")(file, words, changed);
  });
}

int codewake_execveat(int folder, const char* name, char* const* words, char* const* environment, int flags) {
  using namespace codewake::internal;
  forget_left_fault();
  char path[kPathBytes];
  return with_environment(path_below(folder, name, path), environment, [&](char* const* changed) {
    return next_function(real_execveat, "execveat")(folder, name, words, changed, flags);
  });
}

int codewake_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                         const posix_spawnattr_t* attributes, char* const* words, char* const* environment) {
  using namespace codewake::internal;
  return with_environment(path, environment, [&](char* const* changed) {
    return next_function(real_spawn, "posix_spawn")(pid, path, actions, attributes, words, changed);
  });
}

int codewake_posix_spawnp(pid_t* pid, const char* name, const posix_spawn_file_actions_t* actions,
                          const posix_spawnattr_t* attributes, char* const* words, char* const* environment) {
  using namespace codewake::internal;
  char path[kPathBytes];
  return with_environment(find_program(name, path), environment, [&](char* const* changed) {
    return next_function(real_spawnp, "posix_spawnp")(pid, name, actions, attributes, words, changed);
  });
}
