#include "queue/crash_report.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <span>
#include <utility>

#include "journal/event_codec.hpp"
#include "queue/modules_note.hpp"
#include "stacktrace/exceptions.hpp"

namespace codewake::internal {
namespace {

std::string name_of_signal(std::uint32_t signal) {
  const char* const name = sigabbrev_np(static_cast<int>(signal));
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

struct CodeName {
  int signal;  // 0: of any
  int code;
  const char* name;
};

constexpr CodeName kCodeNames[] = {
    {0, SI_USER, "SI_USER"},
    {0, SI_QUEUE, "SI_QUEUE"},
    {0, SI_TKILL, "SI_TKILL"},
    {0, SI_KERNEL, "SI_KERNEL"},
    {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"},
    {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
    {SIGSEGV, SEGV_BNDERR, "SEGV_BNDERR"},
    {SIGSEGV, SEGV_PKUERR, "SEGV_PKUERR"},
    {SIGBUS, BUS_ADRALN, "BUS_ADRALN"},
    {SIGBUS, BUS_ADRERR, "BUS_ADRERR"},
    {SIGBUS, BUS_OBJERR, "BUS_OBJERR"},
    {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},
    {SIGFPE, FPE_INTOVF, "FPE_INTOVF"},
    {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV"},
    {SIGFPE, FPE_FLTOVF, "FPE_FLTOVF"},
    {SIGFPE, FPE_FLTUND, "FPE_FLTUND"},
    {SIGFPE, FPE_FLTRES, "FPE_FLTRES"},
    {SIGFPE, FPE_FLTINV, "FPE_FLTINV"},
    {SIGFPE, FPE_FLTSUB, "FPE_FLTSUB"},
    {SIGILL, ILL_ILLOPC, "ILL_ILLOPC"},
    {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"},
    {SIGILL, ILL_ILLADR, "ILL_ILLADR"},
    {SIGILL, ILL_ILLTRP, "ILL_ILLTRP"},
    {SIGILL, ILL_PRVOPC, "ILL_PRVOPC"},
    {SIGILL, ILL_PRVREG, "ILL_PRVREG"},
    {SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT"},
    {SIGTRAP, TRAP_TRACE, "TRAP_TRACE"},
    {SIGSYS, 1, "SYS_SECCOMP"},
};

std::string name_of_code(std::uint32_t signal, int code) {
  for (const CodeName& known : kCodeNames) {
    if (known.code == code && (known.signal == 0 || known.signal == static_cast<int>(signal)))
      return known.name;
  }
  return std::to_string(code);
}

// The access was just below what the stack had used: it has grown as far as it may.
bool is_stack_overflow(const CrashPage& page) {
  constexpr std::uint64_t kNear = 64 << 10;
  return page.signal == SIGSEGV && page.code > 0 && page.address + kNear >= page.stack_pointer &&
         page.address < page.stack_pointer + kNear;
}

std::string reason_of(const CrashPage& page) {
  if (page.exceptions != 0) return "uncaught exception";
  if (page.is_uncaught != 0) return "std::terminate without an exception";
  return is_stack_overflow(page) ? "stack overflow" : std::string();
}

std::vector<Module> modules_of(const CrashPage& page, const std::vector<Module>& noted) {
  std::vector<Module> modules;
  for (const CrashModule& found : std::span(page.module, page.modules)) {
    Module& module = modules.emplace_back();
    module.path = found.path;
    module.build_id = found.build_id;
    module.base = found.base;
    module.begin = found.begin;
    module.end = found.end;
    module.identity = module.identify();
  }
  modules.insert(modules.end(), noted.begin(), noted.end());
  return modules;
}

std::string type_of(const CrashPage& page, std::uint32_t exception) {
  const char* const type = page.exception[exception].type;
  return page.has_mangled_types != 0 ? exception_type(type) : std::string(type);
}

std::vector<Attribute> data_of(const CrashPage& page) {
  std::vector<Attribute> data;
  data.emplace_back("event", "codewake.crash");
  const auto add = [&data](std::string key, std::string value) {
    if (!value.empty()) data.emplace_back(std::move(key), std::move(value));
  };
  add("crash.reason", reason_of(page));
  if (page.signal != 0) {
    add("crash.signal", name_of_signal(page.signal));
    add("crash.code", name_of_code(page.signal, page.code));
    if (page.code > 0 && page.code != SI_KERNEL) add("crash.address", fmt::format("{:#x}", page.address));
    if (page.sender != 0) add("crash.sender", std::to_string(page.sender));
  }
  add("crash.thread", page.thread_name);
  add("crash.thread_id", std::to_string(page.thread_id));
  for (std::uint32_t i = 0; i < page.exceptions; ++i) {
    const std::string prefix = i == 0 ? "exception." : fmt::format("exception.cause.{}.", i);
    add(prefix + "type", type_of(page, i));
    add(prefix + "message", page.exception[i].message);
  }
  return data;
}

}  // namespace

Stacktrace crash_stack(const CrashPage& page, const std::vector<Module>& noted) {
  CapturedStack stack{.epoch = kLatestEpoch};
  for (const std::uint64_t address : std::span(page.addresses, page.frames)) {
    stack.addresses.push_back(reinterpret_cast<void*>(address));
  }
  return stack_of(stack, modules_of(page, noted));
}

CrashReport report_of(const CrashPage& page, Stacktrace stack) {
  CrashReport report;
  report.when = Time(std::chrono::nanoseconds(page.when));
  const auto number = static_cast<std::uint16_t>(page.process_number);
  report.process = number == 0 ? 1 : number;  // it stands alone in its run
  if (page.process_id > 0) report.process_id = page.process_id;
  report.process_info = decode_process(std::span(page.process, page.process_bytes));
  report.data = data_of(page);
  if (!page.trace.trace_id.empty()) report.trace = page.trace;
  report.stack = std::move(stack);
  report.summary = page.exceptions != 0 ? type_of(page, 0)
                   : page.signal != 0   ? name_of_signal(page.signal)
                                        : reason_of(page);
  return report;
}

}  // namespace codewake::internal
