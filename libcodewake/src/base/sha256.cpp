#include "base/sha256.hpp"

#include <openssl/evp.h>

#include <memory>

#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

// Fetched once and kept: looking the algorithm up by name for every sum costs twice what the sum does.
const EVP_MD* algorithm() {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (md == nullptr) throw Error("libcrypto has no SHA-256: check its installation and configuration");
  return md;
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  thread_local const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  std::array<std::uint8_t, 32> sum;
  const bool done = context != nullptr && EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), sum.data(), nullptr) == 1;
  if (!done) throw Error("libcrypto could not compute a SHA-256 sum: is memory exhausted?");
  return sum;
}

}  // namespace codewake::internal
