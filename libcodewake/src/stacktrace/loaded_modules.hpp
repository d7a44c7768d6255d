// The executable and the shared objects that are loaded in this process, and those that were.
//
// An address alone does not say which module it is of: where one was unloaded, another may lie by now. So a
// stack goes with an epoch: a number that grows before a module may go, and after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace codewake::internal {

/// A loaded ELF file.
struct Module {
  std::string path;
  std::string link_name;    ///< what the dynamic linker calls it; empty for the program itself
  std::string build_id;     ///< lower-case hexadecimal; empty where it has none
  std::uintptr_t base = 0;  ///< what is added to the addresses in the file
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::size_t identity = 0;  ///< the same for the same file, wherever it is loaded: what `identify` gives
  std::uint32_t since = 0;   ///< the first epoch in which it may have been there
  std::uint32_t until = kLoaded;  ///< behind the last one

  static constexpr std::uint32_t kLoaded = UINT32_MAX;

  std::size_t identify() const;
  bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
  bool was_loaded(std::uint32_t epoch) const noexcept { return since <= epoch && epoch < until; }
};

/// The epoch that a stack goes with which is taken now. A process that is forked goes on with its parent's.
/// Async-signal-safe, thread-safe.
std::uint32_t module_epoch() noexcept;

/// For a stack whose modules are all still there.
inline constexpr std::uint32_t kLatestEpoch = Module::kLoaded - 1;

/// A module may go: a new epoch begins, and it is looked which modules are there. Where it is never called,
/// all addresses are taken for those of modules that are there when somebody looks. Without memory nothing is
/// noticed. Thread-safe.
void begin_module_epoch() noexcept;

/// The same afterwards, where one has gone.
void end_module_epoch() noexcept;

/// An address in a module, which may be unloaded meanwhile.
struct LoadedAddress {
  std::uintptr_t address = 0;
  std::string link_name;           ///< of the module
  unsigned long long unloads = 0;  ///< of any module, by when it was looked at
};

/// The demangled name of the function at the address, without the module's file: as the dynamic linker knows
/// it. Empty where the function is not exported, and where a module was unloaded meanwhile. Thread-safe.
/// Takes the lock that dlopen() holds while constructors run: call it without a lock that those may wait for.
std::string exported_function(const LoadedAddress& at);

/// All modules at one time.
struct ModuleList {
  std::vector<Module> loaded;  ///< in the order of their addresses
  std::vector<Module> gone;    ///< the latest first; those of long ago are forgotten
};

/// What is loaded, as of the last `refresh`. Reentrant.
class LoadedModules {
 public:
  /// Looks again if anything was loaded or unloaded meanwhile; the result is whether anything was. Takes the
  /// dynamic linker's lock for a moment.
  bool refresh();

  /// The module that an address lies in; null where there is none. Valid until the next `refresh`.
  const Module* find(std::uintptr_t address) const noexcept;
  /// The one that it lay in in this epoch.
  const Module* find(std::uintptr_t address, std::uint32_t epoch) const noexcept;

  /// For `exported_function`: an address of this epoch; address 0 where its module has gone since.
  LoadedAddress at(std::uintptr_t address, std::uint32_t epoch) const;

  const std::vector<Module>& all() const noexcept { return list_->loaded; }
  const std::vector<Module>& gone() const noexcept { return list_->gone; }

 private:
  std::shared_ptr<const ModuleList> list_ = std::make_shared<const ModuleList>();
  unsigned long long unloads_ = 0;
};

/// Around a fork(), the last that is locked before it: no `refresh` is under way then.
void lock_loaded_modules();
void unlock_loaded_modules(bool is_child);

}  // namespace codewake::internal
