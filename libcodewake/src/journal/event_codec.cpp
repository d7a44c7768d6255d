#include "journal/event_codec.hpp"

#include <array>
#include <string_view>

#include "codewake/stacktrace.hpp"

namespace codewake::internal {
namespace {

// As FORMAT.md numbers them: a value's kind in the journal is that of Value.
static_assert(static_cast<int>(Value::Kind::null) == 0 && static_cast<int>(Value::Kind::text) == 1 &&
              static_cast<int>(Value::Kind::character) == 2 && static_cast<int>(Value::Kind::boolean) == 3 &&
              static_cast<int>(Value::Kind::signed_integer) == 4 &&
              static_cast<int>(Value::Kind::unsigned_integer) == 5 &&
              static_cast<int>(Value::Kind::float32) == 6 && static_cast<int>(Value::Kind::float64) == 7);
constexpr std::uint32_t kLastKind = 7;
constexpr std::uint32_t kKindMask = 0xF;

constexpr std::size_t kFrameTexts = 5;
constexpr std::size_t kFrameBytes = sizeof(std::uint32_t) + sizeof(std::uint64_t);

bool is_made_of_frames(const Stacktrace& stack) noexcept {
  return stack.addresses().empty() && !stack.empty();
}

std::array<const std::string*, kFrameTexts> texts_of(const Frame& frame) noexcept {
  return {&frame.filename, &frame.src, &frame.function, &frame.module, &frame.build_id};
}

char* put_text(char* out, std::string_view text) noexcept {
  return copy_bytes(put(out, static_cast<std::uint32_t>(text.size())), text.data(), text.size());
}

void append_text(std::string& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(text);
}

void append_text(std::string& out, const std::optional<std::string>& text) {
  out += text ? '\1' : '\0';
  if (text) append_text(out, std::string_view(*text));
}

template <class Number>
void append_number(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

bool read_frames(ByteReader& in, std::vector<Frame>& frames) {
  const auto count = in.get<std::uint32_t>();
  if (!count || *count > Stacktrace::kMaxFrames) return false;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto line = in.get<std::uint32_t>();
    const auto offset = in.get<std::uint64_t>();
    Frame& frame = frames.emplace_back();
    if (!line || !offset) return false;
    frame.lineno = *line;
    frame.offset = *offset;
    for (std::string* text : {&frame.filename, &frame.src, &frame.function, &frame.module, &frame.build_id}) {
      const auto read = in.sized_text();
      if (!read) return false;
      *text = *read;
    }
  }
  return true;
}

bool read_addresses(ByteReader& in, std::vector<void*>& addresses) {
  const auto count = in.get<std::uint32_t>();
  if (!count || *count > Stacktrace::kMaxFrames) return false;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto address = in.get<std::uint64_t>();
    if (!address) return false;
    addresses.push_back(reinterpret_cast<void*>(static_cast<std::uintptr_t>(*address)));
  }
  return true;
}

std::optional<AttributeArgument> read_attribute(ByteReader& in) {
  const auto head = in.get<std::uint32_t>();
  if (!head) return std::nullopt;
  std::optional<std::uint32_t> key_size = (*head >> kKeyShift) & kMaxShortKey;
  std::optional<std::uint32_t> value_size = *head >> kValueShift;
  if ((*head & kLongAttribute) != 0) {
    key_size = in.get<std::uint32_t>();
    value_size = in.get<std::uint32_t>();
    if (!key_size || !value_size) return std::nullopt;
  }
  const std::uint32_t number = *head & kKindMask;
  const auto key = in.text(*key_size);
  if (!key || number > kLastKind) return std::nullopt;
  const auto kind = static_cast<Value::Kind>(number);
  if (kind == Value::Kind::null) return AttributeArgument(*key, nullptr);
  if (kind == Value::Kind::text) {
    const auto text = in.text(*value_size);
    return text ? std::optional(AttributeArgument(*key, Value(*text))) : std::nullopt;
  }
  const auto bits = in.get<std::uint64_t>();
  return bits ? std::optional(AttributeArgument(*key, Value::from_bits(kind, *bits))) : std::nullopt;
}

bool read_optional(ByteReader& in, std::optional<std::string>& text) {
  const auto has = in.get<std::uint8_t>();
  if (!has) return false;
  if (*has == 0) return true;
  const auto read = in.sized_text();
  if (read) text.emplace(*read);
  return read.has_value();
}

}  // namespace

namespace encoding {

std::size_t stack_size(const Stacktrace& stack) noexcept {
  std::size_t size = sizeof(std::uint32_t);
  if (!is_made_of_frames(stack)) {
    if (stack.module_epoch() != 0) size += sizeof(std::uint32_t);
    return size + stack.addresses().size() * sizeof(std::uint64_t);
  }
  for (const Frame& frame : stack.frames()) {
    size += kFrameBytes;
    for (const std::string* text : texts_of(frame)) size += sizeof(std::uint32_t) + text->size();
  }
  return size;
}

std::uint32_t stack_shape(const Stacktrace& stack) noexcept {
  if (is_made_of_frames(stack)) return kHasFrames;
  return kHasAddresses | (stack.module_epoch() != 0 ? kHasEpoch : 0);
}

char* put_stack(const Stacktrace& stack, char* out) noexcept {
  if (!is_made_of_frames(stack)) {
    out = put(out, static_cast<std::uint32_t>(stack.addresses().size()));
    for (void* const address : stack.addresses()) {
      out = put(out, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(address)));
    }
    return stack.module_epoch() != 0 ? put(out, stack.module_epoch()) : out;
  }
  const std::vector<Frame>& frames = stack.frames();
  out = put(out, static_cast<std::uint32_t>(frames.size()));
  for (const Frame& frame : frames) {
    out = put(put(out, frame.lineno), frame.offset);
    for (const std::string* text : texts_of(frame)) out = put_text(out, *text);
  }
  return out;
}

}  // namespace encoding

bool decode_event(std::span<const char> payload, DecodedEvent& event) {
  ByteReader in(payload);
  event.data.clear();
  event.captured.addresses.clear();
  event.captured.epoch = 0;
  event.frames.reset();
  event.when.reset();
  event.process_id.reset();
  event.trace.reset();
  const auto shape = in.get<std::uint32_t>();
  if (!shape || (*shape & ~kKnownShape) != 0) return false;
  if ((*shape & kHasWhen) != 0) {
    const auto when = in.get<std::int64_t>();
    if (!when) return false;
    event.when = Time(std::chrono::nanoseconds(*when));
  }
  if ((*shape & kHasProcessId) != 0) {
    event.process_id = in.get<Id>();
    if (!event.process_id) return false;
  }
  if ((*shape & kHasTrace) != 0) {
    event.trace = in.get<TraceTie>();
    if (!event.trace) return false;
  }
  event.has_stacktrace = (*shape & (kHasAddresses | kHasFrames)) != 0;
  if ((*shape & kHasAddresses) != 0 && !read_addresses(in, event.captured.addresses)) return false;
  if ((*shape & kHasEpoch) != 0) {
    const auto epoch = in.get<std::uint32_t>();
    if (!epoch || (*shape & kHasAddresses) == 0) return false;
    event.captured.epoch = *epoch;
  }
  if ((*shape & kHasFrames) != 0 && !read_frames(in, event.frames.emplace())) return false;
  event.has_data = (*shape & kHasData) != 0;
  const std::uint32_t count = *shape & kMaxAttributes;
  if (count > in.left() / sizeof(std::uint32_t)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto attribute = read_attribute(in);
    if (!attribute) return false;
    event.data.push_back(*attribute);
  }
  return true;
}

std::string encode_process(const ProcessInfo& info) {
  std::string out;
  append_number(out, static_cast<std::int64_t>(info.run_ts.time_since_epoch().count()));
  append_number(out, static_cast<std::uint8_t>(info.pid.has_value()));
  append_number(out, info.pid.value_or(0));
  append_text(out, std::string_view(info.app_name));
  for (const auto* text : {&info.app_vsn, &info.env_name, &info.username, &info.fqdn, &info.exe_path}) {
    append_text(out, *text);
  }
  return out;
}

std::optional<ProcessInfo> decode_process(std::span<const char> payload) {
  ByteReader in(payload);
  ProcessInfo info;
  const auto run_ts = in.get<std::int64_t>();
  const auto has_pid = in.get<std::uint8_t>();
  const auto pid = in.get<std::int64_t>();
  const auto app_name = in.sized_text();
  if (!run_ts || !has_pid || !pid || !app_name) return std::nullopt;
  info.run_ts = Time(std::chrono::nanoseconds(*run_ts));
  if (*has_pid != 0) info.pid = *pid;
  info.app_name = *app_name;
  for (auto* text : {&info.app_vsn, &info.env_name, &info.username, &info.fqdn, &info.exe_path}) {
    if (!read_optional(in, *text)) return std::nullopt;
  }
  return info;
}

}  // namespace codewake::internal
