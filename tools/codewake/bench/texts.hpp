// The text that benchmarks log: random, and the same in every run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace codewake::cli::bench {

inline constexpr std::array<const char*, 3> kKeys = {"reqtype", "username", "target"};

/// A word of lower-case letters.
inline std::string random_word(std::mt19937_64& random, std::size_t shortest, std::size_t longest) {
  std::string word(shortest + random() % (longest - shortest + 1), ' ');
  for (char& letter : word) letter = static_cast<char>('a' + random() % 26);
  return word;
}

/// Three values for each call, known at run time only, of 8 to 20 bytes.
class Texts {
 public:
  struct Values {
    std::string_view reqtype, username, target;
  };

  Texts() {
    std::mt19937_64 random(7);
    for (std::vector<std::string>& words : words_) {
      for (std::size_t i = 0; i < kCount; ++i) words.push_back(random_word(random, 8, 20));
    }
  }

  Values operator[](std::size_t call) const noexcept {
    return {words_[0][call % kCount], words_[1][call * 7 % kCount], words_[2][call * 13 % kCount]};
  }

 private:
  static constexpr std::size_t kCount = 1024;

  std::array<std::vector<std::string>, kKeys.size()> words_;
};

}  // namespace codewake::cli::bench
