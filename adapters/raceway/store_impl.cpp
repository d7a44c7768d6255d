#include "store_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/stacktrace.hpp"
#include "stable_ids.hpp"

namespace codewake {

using internal::KnownProcess;

namespace {

/// For how long fork() may be held up by a request that is under way.
constexpr std::chrono::milliseconds kForkWait{100};
/// For how long a request that was abandoned may take to notice.
constexpr std::chrono::seconds kAbandonWait{2};

/// Not std::timed_mutex: ThreadSanitizer does not see how it waits.
bool try_lock_until(std::mutex& mutex, std::chrono::steady_clock::time_point deadline) {
  while (!mutex.try_lock()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

ProcessRecord record_of(const KnownProcess& process) {
  const ProcessInfo& info = *process.info;
  ProcessRecord record{.id = process.id,
                       .run_ts = info.run_ts,
                       .environment = std::nullopt,
                       .pid = info.pid,
                       .username = info.username,
                       .fqdn = info.fqdn,
                       .exe_path = info.exe_path,
                       .app = {internal::name_id_of("app", info.app_name), info.app_name},
                       .app_vsn = std::nullopt};
  if (info.env_name && !info.env_name->empty())
    record.environment = {internal::name_id_of("environment", *info.env_name), *info.env_name};
  if (info.app_vsn && !info.app_vsn->empty()) {
    const std::string whole = info.app_name + '\n' + *info.app_vsn;
    record.app_vsn = {internal::name_id_of("vsn", whole), *info.app_vsn, record.app.id};
  }
  return record;
}

EventRecord record_of(const BatchEvent& event, Id process, Id id) {
  EventRecord record{.id = id,
                     .when = event.when,
                     .process_id = process,
                     .digest = std::nullopt,
                     .data = {},
                     .stacktrace_id = std::nullopt,
                     .frames = {},
                     .trace = event.trace};
  std::vector<Attribute> data;
  for (const AttributeView& attribute : event.data) {
    data.emplace_back(std::string(attribute.key),
                      attribute.value ? std::optional<std::string>(*attribute.value) : std::nullopt);
  }
  record.data = Attributes(std::move(data));
  if (event.has_data) record.digest = digest_of(event.data);
  if (event.stacktrace != nullptr) {
    record.frames = event.stacktrace->frames();
    const Digest digest = digest_of(record.frames);
    record.stacktrace_id = internal::name_id_of("stack trace", to_hex(digest));
  }
  return record;
}

}  // namespace

RacewayStore::Impl::Impl(internal::RacewayParameters parameters)
    : parameters_(std::move(parameters)), shared_(std::make_unique<Shared>(parameters_)) {}

BatchResult RacewayStore::Impl::write(const Batch& batch) {
  const std::lock_guard lock(shared_->write_mutex);
  if (shared_->closed) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("Raceway server {}: the store has been shut down; make a new one", parameters_.display));
  }
  const std::vector<KnownProcess> processes = introduce(batch.processes);
  BatchResult result;
  for (const KnownProcess& process : processes) result.process_ids.push_back(process.id);
  std::vector<internal::EventWriter::Ids> ids;
  for (const BatchEvent& event : batch.events) {
    const std::string origin = internal::origin_of(batch, result.process_ids.at(event.process));
    ids.push_back({internal::event_id_of(origin, event), internal::trace_id_of(origin)});
    result.event_ids.push_back(internal::row_id_of(ids.back().event));
  }
  encode(batch, processes, ids);
  shared_->sender.send(shared_->encoded);
  remember(batch, result);
  return result;
}

std::vector<KnownProcess> RacewayStore::Impl::introduce(std::span<const BatchProcess> processes) {
  std::vector<KnownProcess> result;
  const std::lock_guard lock(shared_->known_mutex);
  for (const BatchProcess& process : processes) {
    const Id id = process.info != nullptr ? internal::process_id_of(*process.info) : process.id;
    const auto known = std::ranges::find(shared_->processes, id, &KnownProcess::id);
    if (known != shared_->processes.end()) {
      result.push_back(*known);
      continue;
    }
    result.push_back({.id = id});
    if (process.info == nullptr) continue;
    result.back().info = *process.info;
    shared_->processes.push_back(result.back());
    if (shared_->processes.size() > kMostProcesses) shared_->processes.pop_front();
  }
  return result;
}

void RacewayStore::Impl::encode(const Batch& batch, std::span<const KnownProcess> processes,
                                std::span<const internal::EventWriter::Ids> ids) {
  internal::EncodedEvents& encoded = shared_->encoded;
  encoded.clear();
  const auto close = [&] {
    encoded.close();
    shared_->sender.check_size(encoded[encoded.size() - 1]);
  };
  for (const BatchTraceEvent& event : batch.trace_events) {
    const std::string problem = shared_->writer.append(encoded.text(), event, processes[event.process]);
    if (!problem.empty()) {
      throw StoreError(StoreError::Kind::rejected,
                       fmt::format("no Raceway server takes the event {} ({} \"{}\"): {}", to_uuid(event.id),
                                   to_string(event.kind), event.texts.name.substr(0, 100), problem));
    }
    close();
  }
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    const BatchEvent& event = batch.events[i];
    shared_->writer.append(encoded.text(), event, processes[event.process], ids[i]);
    close();
  }
}

void RacewayStore::Impl::remember(const Batch& batch, const BatchResult& result) {
  const std::size_t first = batch.events.size() - std::min(batch.events.size(), kMostEvents);
  if (first == batch.events.size()) return;
  const std::lock_guard lock(shared_->known_mutex);
  std::deque<EventRecord>& known = shared_->events;
  for (std::size_t i = first; i < batch.events.size(); ++i) {
    const BatchEvent& event = batch.events[i];
    known.push_back(record_of(event, result.process_ids[event.process], result.event_ids[i]));
    if (known.size() > kMostEvents) known.pop_front();
  }
}

std::optional<ProcessRecord> RacewayStore::Impl::process(Id id) {
  const std::lock_guard lock(shared_->known_mutex);
  const auto known = std::ranges::find(shared_->processes, id, &KnownProcess::id);
  return known == shared_->processes.end() ? std::nullopt : std::optional(record_of(*known));
}

std::optional<EventRecord> RacewayStore::Impl::event(Id id) {
  const std::lock_guard lock(shared_->known_mutex);
  const auto known = std::ranges::find(shared_->events, id, &EventRecord::id);
  return known == shared_->events.end() ? std::nullopt : std::optional(*known);
}

bool RacewayStore::Impl::shutdown(std::chrono::nanoseconds timeout) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));
  const bool in_time = try_lock_until(shared_->write_mutex, deadline);
  if (!in_time) {
    shared_->sender.abandon();
    if (!try_lock_until(shared_->write_mutex, std::chrono::steady_clock::now() + kAbandonWait)) return false;
  }
  const std::lock_guard lock(shared_->write_mutex, std::adopt_lock);
  shared_->closed = true;
  shared_->sender.disconnect();
  return in_time;
}

void RacewayStore::Impl::at_fork(ForkPhase phase) noexcept {
  switch (phase) {
    case ForkPhase::before:
      shared_->locked_for_fork =
          try_lock_until(shared_->write_mutex, std::chrono::steady_clock::now() + kForkWait);
      if (shared_->locked_for_fork) shared_->sender.disconnect();
      shared_->known_mutex.lock();
      break;
    case ForkPhase::after_in_parent:
      shared_->known_mutex.unlock();
      if (std::exchange(shared_->locked_for_fork, false)) shared_->write_mutex.unlock();
      break;
    case ForkPhase::after_in_child: {
      // A connection that the parent uses is not closed here, which would end it for the parent, too.
      auto fresh = std::make_unique<Shared>(parameters_);
      fresh->closed = shared_->closed;
      fresh->processes = shared_->processes;
      fresh->left_to_parent = shared_.release();
      shared_ = std::move(fresh);
      break;
    }
  }
}

}  // namespace codewake
