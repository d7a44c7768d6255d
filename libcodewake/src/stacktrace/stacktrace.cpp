#include "codewake/stacktrace.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <typeinfo>
#include <utility>

#include "stacktrace/capture.hpp"
#include "stacktrace/exceptions.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/symbolizer.hpp"
#include "stacktrace/thrown_stacks.hpp"

namespace codewake {
namespace {

using internal::ThrownObject;

const void* object_of(const std::exception& exception) noexcept {
  return dynamic_cast<const void*>(&exception);
}

std::optional<Stacktrace> find(const void* object) noexcept {
  void* addresses[Stacktrace::kMaxFrames];
  const auto found = internal::find_thrown_stack(object, addresses);
  if (!found) return std::nullopt;
  return Stacktrace(std::span<void* const>(addresses, found->size), found->epoch);
}

bool same_text(const char* a, const char* b) noexcept {
  return a == b || (a != nullptr && b != nullptr && std::strcmp(a, b) == 0);
}

// Whether `exception` may be a copy of what is being handled (caught by value, maybe as a base), or what a
// thrown pointer points at.
bool stems_from(const std::exception& exception, const ThrownObject& handled) noexcept {
  if (const auto* pointee = handled.as_pointer<std::exception>())
    return object_of(*pointee) == object_of(exception);
  const auto* original = handled.as<std::exception>();
  return original != nullptr && handled.is_caught_by(typeid(exception)) &&
         same_text(original->what(), exception.what());
}

}  // namespace

Stacktrace::Stacktrace() noexcept = default;

Stacktrace::Stacktrace(std::span<void* const> addresses) noexcept
    : Stacktrace(addresses, internal::module_epoch()) {}

Stacktrace::Stacktrace(std::span<void* const> addresses, std::uint32_t epoch) noexcept
    : size_(static_cast<std::uint32_t>(internal::copy_without_own_code(addresses, addresses_))),
      epoch_(epoch) {}

Stacktrace::Stacktrace(std::vector<Frame> frames) : resolved_(true), frames_(std::move(frames)) {
  truncate(kMaxFrames);
  for (Frame& frame : frames_) internal::make_storable(frame);
}

Stacktrace::Stacktrace(const Stacktrace& other)
    : size_(other.size_),
      epoch_(other.epoch_),
      limit_(other.limit_),
      resolved_(other.resolved_),
      frames_(other.frames_) {
  std::copy_n(other.addresses_, size_, addresses_);
}

Stacktrace::Stacktrace(Stacktrace&& other) noexcept
    : size_(std::exchange(other.size_, 0)),
      epoch_(other.epoch_),
      limit_(other.limit_),
      resolved_(std::exchange(other.resolved_, false)),
      frames_(std::move(other.frames_)) {
  std::copy_n(other.addresses_, size_, addresses_);
  other.frames_.clear();
}

Stacktrace& Stacktrace::operator=(const Stacktrace& other) {
  if (this != &other) *this = Stacktrace(other);
  return *this;
}

Stacktrace& Stacktrace::operator=(Stacktrace&& other) noexcept {
  if (this == &other) return *this;
  size_ = std::exchange(other.size_, 0);
  epoch_ = other.epoch_;
  limit_ = other.limit_;
  resolved_ = std::exchange(other.resolved_, false);
  frames_ = std::move(other.frames_);
  other.frames_.clear();
  std::copy_n(other.addresses_, size_, addresses_);
  return *this;
}

Stacktrace::~Stacktrace() = default;

Stacktrace Stacktrace::current(std::size_t max_frames) noexcept {
  Stacktrace trace;
  trace.limit_ = std::min(max_frames, kMaxFrames);
  trace.epoch_ = internal::module_epoch();
  trace.size_ = static_cast<std::uint32_t>(internal::capture(std::span(trace.addresses_, trace.limit_)));
  return trace;
}

std::optional<Stacktrace> Stacktrace::thrown_at(const std::exception& exception) noexcept {
  if (std::optional<Stacktrace> trace = find(object_of(exception))) return trace;
  const std::exception_ptr handled = std::current_exception();
  const ThrownObject thrown(handled);
  if (!stems_from(exception, thrown)) return std::nullopt;
  return find(thrown.address());
}

std::optional<Stacktrace> Stacktrace::thrown_at(const std::exception_ptr& exception) noexcept {
  if (exception == nullptr) return std::nullopt;
  return find(ThrownObject(exception).address());
}

const std::vector<Frame>& Stacktrace::frames() const& {
  if (!resolved_) {
    frames_ = internal::symbolize(addresses(), epoch_, limit_);
    resolved_ = true;
  }
  return frames_;
}

std::vector<Frame> Stacktrace::frames() && {
  static_cast<const Stacktrace&>(*this).frames();
  return std::move(frames_);
}

void Stacktrace::truncate(std::size_t max_frames) noexcept {
  limit_ = std::min(limit_, max_frames);
  size_ = static_cast<std::uint32_t>(std::min<std::size_t>(size_, limit_));
  if (frames_.size() > limit_)
    frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(limit_), frames_.end());
}

bool symbolize(std::vector<Frame>& frames) {
  return symbolize(frames, {});
}

bool symbolize(std::vector<Frame>& frames, const std::vector<std::string>& source_folders) {
  std::vector<Frame> resolved = internal::symbolize_stored(frames, source_folders);
  if (resolved.size() > Stacktrace::kMaxFrames) resolved.resize(Stacktrace::kMaxFrames);
  for (Frame& frame : resolved) internal::make_storable(frame);
  if (resolved == frames) return false;
  frames = std::move(resolved);
  return true;
}

}  // namespace codewake
