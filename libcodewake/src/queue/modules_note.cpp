#include "queue/modules_note.hpp"

#include <nlohmann/json.hpp>

#include "codewake/utf8.hpp"
#include "stacktrace/symbolizer.hpp"

namespace codewake::internal {

std::string write_modules(const std::vector<Module>& modules) {
  auto json = nlohmann::json::array();
  for (const Module& module : modules) {
    json.push_back({{"path", to_storable(module.path)},
                    {"build_id", module.build_id},
                    {"base", module.base},
                    {"begin", module.begin},
                    {"end", module.end}});
  }
  return json.dump();
}

std::vector<Module> read_modules(const std::string& note) {
  std::vector<Module> modules;
  const auto json = nlohmann::json::parse(note, nullptr, false);
  if (!json.is_array()) return modules;
  for (const auto& entry : json) {
    try {
      Module& module = modules.emplace_back();
      entry.at("path").get_to(module.path);
      entry.at("build_id").get_to(module.build_id);
      entry.at("base").get_to(module.base);
      entry.at("begin").get_to(module.begin);
      entry.at("end").get_to(module.end);
      module.identity = module.identify();
    } catch (const nlohmann::json::exception&) {
      modules.pop_back();  // its frames are of an unknown module
    }
  }
  return modules;
}

Stacktrace stack_of(const std::vector<void*>& addresses, const std::vector<Module>& modules) {
  return Stacktrace(symbolize(addresses, modules));
}

}  // namespace codewake::internal
