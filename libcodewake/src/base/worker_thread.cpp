#include "base/worker_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "base/address_space.hpp"
#include "base/fatal_signals.hpp"

namespace codewake::internal {
namespace {

/// Stacks of the usual size are a small part of it.
constexpr std::uint64_t kAmpleAddressSpace = 512u << 20;

struct Job {
  const char* name;
  std::function<void()> work;
};

void* run(void* job) noexcept {
  const std::unique_ptr<Job> mine(static_cast<Job*>(job));
  pthread_setname_np(pthread_self(), mine->name);
  is_worker = true;
  sigset_t faults;
  sigemptyset(&faults);
  for (const int fault : kFaultSignals) sigaddset(&faults, fault);
  pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
  mine->work();
  return nullptr;
}

// 0: of the usual size.
int create(pthread_t& thread, std::size_t stack_bytes, Job* job) noexcept {
  pthread_attr_t attributes;
  if (const int error = pthread_attr_init(&attributes); error != 0) return error;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (stack_bytes != 0) pthread_attr_setstacksize(&attributes, stack_bytes);
  const int error = pthread_create(&thread, &attributes, &run, job);
  pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace

void start_worker(const char* name, std::function<void()> work) {
  auto job = std::make_unique<Job>(Job{.name = name, .work = std::move(work)});
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  int error = address_space_left() < kAmpleAddressSpace ? EAGAIN : create(thread, 0, job.get());
  if (error == EAGAIN || error == ENOMEM) error = create(thread, kSmallStackBytes, job.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) throw std::system_error(error, std::generic_category(), name);
  static_cast<void>(job.release());  // the thread's
}

}  // namespace codewake::internal
