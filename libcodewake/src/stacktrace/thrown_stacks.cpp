// Invariants: an entry is in the table exactly while its exception object is alive, for the object's
// destructor is replaced by one that drops the entry; so the table is as large as the program has exceptions
// alive. (One that make_exception_ptr gives up, because the copy constructor throws, is freed without
// destruction; its entry stays until the address is used again.) Nothing here throws, and nothing is called
// with a lock held.
#include "stacktrace/thrown_stacks.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace codewake::internal {
namespace {

struct Entry {
  Entry* next;
  const void* object;
  ExceptionDestructor destructor;
  std::uint32_t size;
  std::uint32_t epoch;

  // The addresses follow the entry in the same allocation.
  void** addresses() { return reinterpret_cast<void**>(this + 1); }
};

constexpr std::size_t kShardBits = 4;
constexpr std::size_t kBucketBits = 8;

struct Shard {
  std::mutex mutex;
  std::size_t count = 0;
  Entry* buckets[1u << kBucketBits] = {};
};

// Exceptions are thrown before constructors have run and after destructors have.
constinit Shard shards[1u << kShardBits];

struct Place {
  Shard& shard;
  Entry** bucket;
};

Place place_of(const void* object) noexcept {
  const std::uint64_t hash = reinterpret_cast<std::uintptr_t>(object) * 0x9E3779B97F4A7C15u;
  Shard& shard = shards[hash >> (64 - kShardBits)];
  return {shard, &shard.buckets[(hash >> (64 - kShardBits - kBucketBits)) & ((1u << kBucketBits) - 1)]};
}

Entry** find(Entry** bucket, const void* object) noexcept {
  Entry** link = bucket;
  while (*link != nullptr && (*link)->object != object) link = &(*link)->next;
  return link;
}

Entry* unlink(Shard& shard, Entry** link) noexcept {
  Entry* entry = *link;
  if (entry == nullptr) return nullptr;
  *link = entry->next;
  --shard.count;
  return entry;
}

void lock_all() {
  for (Shard& shard : shards) shard.mutex.lock();
}

void unlock_all() {
  for (Shard& shard : shards) shard.mutex.unlock();
}

}  // namespace

bool keep_thrown_stack(const void* object, ExceptionDestructor destructor, std::span<void* const> addresses,
                       std::uint32_t epoch) noexcept {
  void* memory = std::malloc(sizeof(Entry) + addresses.size_bytes());
  if (memory == nullptr) return false;
  Entry* entry =
      new (memory) Entry{nullptr, object, destructor, static_cast<std::uint32_t>(addresses.size()), epoch};
  std::copy(addresses.begin(), addresses.end(), entry->addresses());

  const Place place = place_of(object);
  Entry* left_behind = nullptr;
  {
    const std::lock_guard lock(place.shard.mutex);
    left_behind = unlink(place.shard, find(place.bucket, object));
    entry->next = *place.bucket;
    *place.bucket = entry;
    ++place.shard.count;
  }
  std::free(left_behind);
  return true;
}

ExceptionDestructor drop_thrown_stack(const void* object) noexcept {
  const Place place = place_of(object);
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(place.shard.mutex);
    entry = unlink(place.shard, find(place.bucket, object));
  }
  const ExceptionDestructor destructor = entry == nullptr ? nullptr : entry->destructor;
  std::free(entry);
  return destructor;
}

std::optional<ThrownStack> find_thrown_stack(const void* object, std::span<void*> addresses) noexcept {
  const Place place = place_of(object);
  const std::lock_guard lock(place.shard.mutex);
  Entry* entry = *find(place.bucket, object);
  if (entry == nullptr) return std::nullopt;
  const std::size_t size = std::min<std::size_t>(entry->size, addresses.size());
  std::copy_n(entry->addresses(), size, addresses.begin());
  return ThrownStack{size, entry->epoch};
}

std::size_t count_thrown_stacks() noexcept {
  std::size_t count = 0;
  for (Shard& shard : shards) {
    const std::lock_guard lock(shard.mutex);
    count += shard.count;
  }
  return count;
}

void guard_thrown_stacks_at_fork() noexcept {
  // It fails only without memory; then all is as it would be without it.
  [[maybe_unused]] static const int once = pthread_atfork(&lock_all, &unlock_all, &unlock_all);
}

}  // namespace codewake::internal
