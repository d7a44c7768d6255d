// Text that lives as long as a batch.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace codewake::internal {

/// Copies of text that stay where they are until `clear`, which keeps the memory. Reentrant.
class TextArena {
 public:
  std::string_view keep(std::string_view text) {
    if (text.size() > left_) grow(text.size());
    char* const copy = at_;
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    at_ += text.size();
    left_ -= text.size();
    return {copy, text.size()};
  }

  void clear() noexcept {
    large_.clear();
    used_ = 0;
    left_ = 0;
    at_ = nullptr;
  }

 private:
  static constexpr std::size_t kChunkBytes = 256 * 1024;

  void grow(std::size_t size) {
    if (size > kChunkBytes) {
      at_ = large_.emplace_back(std::make_unique_for_overwrite<char[]>(size)).get();
      left_ = size;
      return;
    }
    if (used_ == chunks_.size()) chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunkBytes));
    at_ = chunks_[used_++].get();
    left_ = kChunkBytes;
  }

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::vector<std::unique_ptr<char[]>> large_;
  std::size_t used_ = 0;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace codewake::internal
