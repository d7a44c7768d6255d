#include "journal/account.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/crc32c.hpp"
#include "journal/file_io.hpp"
#include "journal/format.hpp"

namespace codewake::internal {
namespace {

std::uint32_t crc_of(const AccountHeader& header) noexcept {
  return crc32c(&header.accepted, sizeof header - offsetof(AccountHeader, accepted));
}

bool is_valid(const AccountHeader& header) noexcept {
  return std::memcmp(header.magic, kAccountMagic, sizeof kAccountMagic) == 0 &&
         header.version == kAccountVersion && header.crc == crc_of(header) &&
         header.settled <= header.accepted;
}

}  // namespace

std::error_code AccountFile::write(const Account& account) {
  if (written_ == account) return {};
  if (!file_.is_open()) {
    FileDescriptor file = folder_->open_file(kFile, O_WRONLY | O_CREAT);
    if (file.number() < 0) return {errno, std::generic_category()};
    file_ = HeldFile(std::move(file));
  }
  AccountHeader header{.magic = {},
                       .version = kAccountVersion,
                       .crc = 0,
                       .accepted = account.accepted,
                       .settled = account.settled,
                       .lost = account.lost,
                       .reported = account.reported};
  std::memcpy(header.magic, kAccountMagic, sizeof kAccountMagic);
  header.crc = crc_of(header);
  const std::error_code error = write_at(file_.fd(), &header, sizeof header, 0);
  if (!error) written_ = account;
  return error;
}

void AccountFile::remove() noexcept {
  if (written_) static_cast<void>(folder_->remove_file(kFile));  // what stays goes with the folder
  written_.reset();
  file_ = HeldFile();
}

std::optional<Account> read_account(const Folder& folder) {
  const FileDescriptor file = folder.open_file(AccountFile::kFile, O_RDONLY);
  AccountHeader header{};
  if (file.number() < 0 || read_at(file.number(), &header, sizeof header, 0) < sizeof header ||
      !is_valid(header))
    return std::nullopt;
  return Account{.accepted = header.accepted,
                 .settled = header.settled,
                 .lost = header.lost,
                 .reported = header.reported};
}

}  // namespace codewake::internal
