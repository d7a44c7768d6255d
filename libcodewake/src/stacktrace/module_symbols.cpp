#include "stacktrace/module_symbols.hpp"

#include <utility>

#include "stacktrace/debug_files.hpp"

namespace codewake::internal {
namespace {

// The executable of this process is still there when its file has been replaced or deleted.
constexpr const char* kOwnExecutable = "/proc/self/exe";

std::unique_ptr<ElfFile> open_module(const std::string& path, const std::string& build_id) {
  if (!path.starts_with('/')) return {};
  auto file = ElfFile::open(path);
  if (file != nullptr && file->build_id() == build_id) return file;
  if (build_id.empty()) return {};
  file = ElfFile::open(kOwnExecutable);
  return file != nullptr && file->build_id() == build_id ? std::move(file) : nullptr;
}

}  // namespace

ModuleSymbols::ModuleSymbols(const std::string& path, const std::string& build_id,
                             const SymbolOptions& options)
    : module_(open_module(path, build_id)) {
  if (module_ == nullptr || !module_->has_debug_info()) {
    debug_file_ = find_by_build_id(build_id, options.debug_roots);
    if (debug_file_ == nullptr && module_ != nullptr)
      debug_file_ = find_by_debug_link(*module_, path, options.debug_roots);
  }
  if (module_ != nullptr) symbols_.emplace(module_->elf());
  if (debug_file_ != nullptr && !(symbols_ && symbols_->is_full())) {
    SymbolTable full(debug_file_->elf());
    if (!symbols_ || full.is_full()) symbols_ = std::move(full);
  }
  const ElfFile* described = debug_file_ != nullptr ? debug_file_.get() : module_.get();
  if (described == nullptr || !described->has_debug_info()) return;
  const std::size_t unpacked = described->unpacked_bytes();
  if (unpacked > options.max_bytes) return;
  unpacked_bytes_ = unpacked;
  debug_info_.emplace(*described, *symbols_, options.max_line_table_bytes);
}

std::vector<Call> ModuleSymbols::calls_at(std::uint64_t address) {
  std::vector<Call> calls;
  if (debug_info_) calls = debug_info_->calls_at(address);
  if (calls.empty()) calls.emplace_back();
  if (calls.back().function.empty() && symbols_) calls.back().function = symbols_->find(address);
  return calls;
}

std::size_t ModuleSymbols::bytes() const noexcept {
  std::size_t bytes = sizeof *this + unpacked_bytes_;
  if (symbols_) bytes += symbols_->bytes();
  if (debug_info_) bytes += debug_info_->bytes();
  return bytes;
}

bool ModuleSymbols::is_changed() const {
  return (module_ != nullptr && module_->is_changed()) ||
         (debug_file_ != nullptr && debug_file_->is_changed());
}

void ModuleSymbols::release_pages() const noexcept {
  if (module_ != nullptr) module_->release_pages();
  if (debug_file_ != nullptr) debug_file_->release_pages();
}

}  // namespace codewake::internal
