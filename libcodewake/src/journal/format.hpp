// The journal's format in memory and in files: FORMAT.md describes it for people. Numbers are never reused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/tick_clock.hpp"

namespace codewake::internal {

inline constexpr std::uint32_t kJournalVersion = 1;
inline constexpr std::uint32_t kFrontVersion = 2;

/// What every record begins with. Records begin at multiples of 8; their length is one.
struct RecordHeader {
  std::uint32_t length_bytes;  ///< of the whole record; 0: none here yet. Stored last, together with `crc`
  std::uint32_t crc;           ///< see record_crc
  std::uint64_t time;          ///< ticks of the run's clock (TickSource)
  std::uint32_t sequence;      ///< counts the lane's records from 0, modulo 2^32
  std::uint16_t process;       ///< the run's process that it belongs to, from 1; 0: the payload says it
  std::uint8_t kind;           ///< RecordKind
  std::uint8_t flags;
};
static_assert(sizeof(RecordHeader) == 24);

enum class RecordKind : std::uint8_t {
  event = 1,
  process = 2,  ///< a process of the run introduces itself
  // 3: set aside for crashes
  trace_event = 4,
};

inline constexpr std::uint8_t kSync = 1;      ///< somebody waits for it
inline constexpr std::uint8_t kExternal = 2;  ///< the payload is an ExternalPayload

/// Stands in place of a payload that is too large for a slot: it is the content of the file
/// `large-LANE-POSITION` in the run's folder.
struct ExternalPayload {
  std::uint64_t size_bytes;
  std::uint32_t crc;  ///< CRC32C of the file
  std::uint32_t unused;
};

/// The length that says: nothing more comes in this slot, the lane goes on 8 bytes further in another.
inline constexpr std::uint32_t kEndOfSlot = 0xFFFF'FFFFu;
inline constexpr std::size_t kEndOfSlotBytes = 8;

/// Larger records are external.
inline constexpr std::size_t kMaxRecordBytes = 64 * 1024;

/// What an event's payload begins with: the number of attributes in the low 24 bits, and these.
inline constexpr std::uint32_t kHasData = 1u << 24;
inline constexpr std::uint32_t kHasWhen = 1u << 25;           ///< int64: nanoseconds of wall clock time
inline constexpr std::uint32_t kHasProcessId = 1u << 26;      ///< int64
inline constexpr std::uint32_t kHasAddresses = 1u << 27;      ///< uint32 count, then as many uint64
inline constexpr std::uint32_t kHasFrames = 1u << 28;         ///< uint32 count, then frames
inline constexpr std::uint32_t kHasTrace = 1u << 29;          ///< trace id and span id: 16 and 8 bytes
inline constexpr std::uint32_t kHasEpoch = 1u << 30;          ///< behind the addresses: uint32
inline constexpr std::uint32_t kKnownShape = (1u << 31) - 1;  ///< other bits are of a newer version
inline constexpr std::uint32_t kMaxAttributes = (1u << 24) - 1;

/// An attribute's head: kind in the low 4 bits, then one that says that two uint32 with the lengths of key
/// and value follow, else 11 bits for the key's length and 16 for the value's.
inline constexpr std::uint32_t kLongAttribute = 1u << 4;
inline constexpr unsigned kKeyShift = 5;
inline constexpr unsigned kValueShift = 16;
inline constexpr std::size_t kMaxShortKey = (1u << 11) - 1;
inline constexpr std::size_t kMaxShortValue = (1u << 16) - 1;

/// What a trace event's payload begins with; its texts follow, in the order of TraceEventTexts.
struct TraceEventPayload {
  std::uint8_t kind;    ///< TraceKind
  std::uint8_t access;  ///< Access; 0: none
  std::uint16_t shape;  ///< kHasDuration
  std::uint32_t line;
  std::uint64_t step;
  std::int64_t duration_ns;
  std::array<std::uint8_t, 16> id, trace_id, parent_id;
  std::array<std::uint8_t, 8> span_id, upstream_span_id;
  std::array<std::uint32_t, 10> text_bytes;  ///< how long each text is
};
static_assert(sizeof(TraceEventPayload) == 128);
inline constexpr std::uint16_t kHasDuration = 1;
inline constexpr std::uint16_t kKnownTraceShape = 1;

/// What a slot of the front begins with.
struct SlotHeader {
  std::uint32_t magic;  ///< kSlotMagic; anything else: the slot is free
  std::uint32_t crc;    ///< CRC32C of the rest
  std::uint32_t lane;
  std::uint32_t unused;
  std::uint64_t base_position;  ///< of the first byte behind the header, in the lane
  std::uint8_t zeros[40];
};
static_assert(sizeof(SlotHeader) == 64);
inline constexpr std::uint32_t kSlotMagic = 0x4C535743u;  // "CWSL"

inline constexpr std::size_t kSlotBytes = 256 * 1024;
inline constexpr std::size_t kFrontLines = 64;

/// What the front file begins with.
struct FrontHeader {
  char magic[8];  ///< kFrontMagic
  std::uint32_t version;
  std::uint32_t slot_bytes;
  std::uint32_t slot_count;
  std::uint32_t lane_count;
  std::uint32_t slots_offset;
  std::uint32_t tick_source;  ///< TickSource
  std::uint32_t crc;          ///< CRC32C of what stands before
  std::uint32_t unused;
  // What changes while the run lives.
  std::uint64_t clock_lines;    ///< how many there have been; the last ones stand in `clock`, by number
  std::uint64_t lost_full;      ///< events that were not taken because the journal was full
  std::uint64_t lost_error;     ///< and because of a failure
  std::uint64_t lost_reported;  ///< of both, how many a stored event tells of
  std::uint64_t unused_too;
  ClockLine clock[kFrontLines];
};
static_assert(sizeof(ClockLine) == 40 && offsetof(FrontHeader, clock) == 80);
static_assert(offsetof(FrontHeader, crc) == 32 && offsetof(FrontHeader, lost_full) == 48);
static_assert(sizeof(FrontHeader) < 4096);
inline constexpr char kFrontMagic[8] = {'C', 'W', 'F', 'R', 'O', 'N', 'T', '\n'};
/// Behind it, for each lane: the position up to which the store has it. Zeros, and whatever the checksum
/// does not fit to, tell nothing: all of the lane may be new.
inline constexpr std::size_t kLaneTableOffset = 4096;
struct StoredUpTo {
  std::uint64_t position;
  std::uint32_t crc;  ///< CRC32C of the place word of lane and position
  std::uint32_t unused;
};
static_assert(sizeof(StoredUpTo) == 16);

/// What a spill file begins with.
struct SpillHeader {
  char magic[8];  ///< kSpillMagic
  std::uint32_t version;
  std::uint32_t crc;  ///< CRC32C of what stands before
};
static_assert(sizeof(SpillHeader) == 16);
inline constexpr char kSpillMagic[8] = {'C', 'W', 'S', 'P', 'I', 'L', 'L', '\n'};

/// What each block of a spill file begins with; as many bytes of a lane follow. One line says what all of
/// their ticks mean.
struct BlockHeader {
  std::uint32_t magic;  ///< kBlockMagic
  std::uint32_t crc;    ///< CRC32C of the rest
  std::uint32_t lane;
  std::uint32_t size_bytes;     ///< a multiple of 8
  std::uint64_t from_position;  ///< of the first byte behind the header
  std::uint32_t tick_source;
  std::uint32_t unused;
  ClockPoints clock;
};
static_assert(sizeof(BlockHeader) == 64);
inline constexpr std::uint32_t kBlockMagic = 0x42535743u;  // "CWSB"

/// What the file `account` is.
struct AccountHeader {
  char magic[8];  ///< kAccountMagic
  std::uint32_t version;
  std::uint32_t crc;  ///< CRC32C of the rest
  std::uint64_t accepted, settled, lost, reported;
};
static_assert(sizeof(AccountHeader) == 48);
inline constexpr char kAccountMagic[8] = {'C', 'W', 'A', 'C', 'C', 'T', '.', '\n'};
inline constexpr std::uint32_t kAccountVersion = 1;

/// Lane and position as one number, which the checksum of a record begins with: so that a record that is read
/// at another place than it was written to is none.
constexpr std::uint64_t place_word(std::uint32_t lane, std::uint64_t position) noexcept {
  return (static_cast<std::uint64_t>(lane) << 48) ^ position;
}

/// No lane comes as far; a header that says so is none.
inline constexpr std::uint64_t kLastPosition = std::uint64_t{1} << 62;

/// The lane that no thread owns: processes introduce themselves there, and threads that can have no lane of
/// their own write there one after the other.
inline constexpr std::uint32_t kCommonLane = 0;

}  // namespace codewake::internal
