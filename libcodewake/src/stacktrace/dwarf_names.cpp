#include "stacktrace/dwarf_names.hpp"

#include <dwarf.h>

#include <string>
#include <string_view>
#include <vector>

#include "stacktrace/debug_texts.hpp"
#include "stacktrace/walk_budget.hpp"

namespace codewake::internal {
namespace {

// Hostile files nest and refer without end.
constexpr int kMaxReferences = 16;
constexpr std::size_t kMaxScopes = 64;
constexpr int kMaxTypeDepth = 16;
constexpr int kMaxParameters = 64;
constexpr std::size_t kMaxArgumentsBytes = 1000;

// libdw has no way from an entry to the one that it lies in: entries lie in the order of the tree. From the
// outermost to `die`, without the unit.
std::vector<Dwarf_Die> scopes_of(Dwarf_Die& die, WalkBudget& budget) {
  std::vector<Dwarf_Die> scopes;
  Dwarf_Die scope;
  if (dwarf_diecu(&die, &scope, nullptr, nullptr) == nullptr) return scopes;
  const Dwarf_Off wanted = dwarf_dieoffset(&die);
  Dwarf_Die child;
  while (scopes.size() < kMaxScopes && dwarf_child(&scope, &child) == 0) {
    Dwarf_Die next;
    while (budget.spend() && dwarf_siblingof(&child, &next) == 0 && dwarf_dieoffset(&next) <= wanted)
      child = next;
    if (dwarf_dieoffset(&child) > wanted) break;
    scopes.push_back(child);
    if (dwarf_dieoffset(&child) == wanted) return scopes;
    scope = child;
  }
  return {};
}

bool is_cpp(Dwarf_Die& die) {
  Dwarf_Die unit;
  if (dwarf_diecu(&die, &unit, nullptr, nullptr) == nullptr) return false;
  switch (dwarf_srclang(&unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case 0x2b:  // 17, which libdw knows since 0.189
    case 0x2c:  // 20
      return true;
    default:
      return false;
  }
}

bool has_flag(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  bool flag = false;
  return dwarf_formflag(dwarf_attr_integrate(&die, name, &attribute), &flag) == 0 && flag;
}

const char* die_name(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  return text_of(dwarf_attr_integrate(&die, DW_AT_name, &attribute));
}

std::string name_or(Dwarf_Die& die, const char* otherwise) {
  const char* name = die_name(die);
  return name == nullptr ? otherwise : name;
}

std::string scope_name(Dwarf_Die& scope) {
  switch (dwarf_tag(&scope)) {
    case DW_TAG_namespace:
      return name_or(scope, "(anonymous namespace)");
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_interface_type:
      return name_or(scope, "{unnamed type}");
    case DW_TAG_subprogram: {
      Dwarf_Die declaration = declaration_of(scope);
      return name_or(declaration, "");
    }
    default:
      return {};
  }
}

// `die` with what it lies in; not the functions' own scopes.
std::string qualified_name(Dwarf_Die& die, WalkBudget& budget) {
  std::string text;
  std::vector<Dwarf_Die> scopes = scopes_of(die, budget);
  if (scopes.empty()) return name_or(die, "");
  for (Dwarf_Die& scope : scopes) {
    const std::string name = scope_name(scope);
    if (name.empty()) continue;
    if (!text.empty()) text += "::";
    text += name;
  }
  return text;
}

bool type_of(Dwarf_Die& die, Dwarf_Die& type) {
  Dwarf_Attribute attribute;
  return dwarf_formref_die(dwarf_attr_integrate(&die, DW_AT_type, &attribute), &type) != nullptr;
}

std::string type_name(Dwarf_Die& die, WalkBudget& budget, int depth = 0) {
  Dwarf_Die type;
  if (!type_of(die, type)) return "void";
  if (depth == kMaxTypeDepth) return "...";
  switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
      return type_name(type, budget, depth + 1) + "*";
    case DW_TAG_reference_type:
      return type_name(type, budget, depth + 1) + "&";
    case DW_TAG_rvalue_reference_type:
      return type_name(type, budget, depth + 1) + "&&";
    case DW_TAG_const_type:
      return type_name(type, budget, depth + 1) + " const";
    case DW_TAG_volatile_type:
      return type_name(type, budget, depth + 1) + " volatile";
    case DW_TAG_typedef:
      // The encoding of names knows no typedefs.
      return type_name(type, budget, depth + 1);
    case DW_TAG_array_type:
      return type_name(type, budget, depth + 1) + " []";
    case DW_TAG_subroutine_type:
      return type_name(type, budget, depth + 1) + " ()";
    case DW_TAG_base_type:
      return name_or(type, "");
    default:
      return qualified_name(type, budget);
  }
}

bool is_bool(Dwarf_Die& die) {
  Dwarf_Die type;
  const char* const name = type_of(die, type) ? die_name(type) : nullptr;
  return name != nullptr && std::string_view(name) == "bool";
}

// A number, or what tells other values apart no further.
std::string value_of(Dwarf_Die& argument) {
  Dwarf_Attribute attribute;
  Dwarf_Sword number = 0;
  if (dwarf_formsdata(dwarf_attr(&argument, DW_AT_const_value, &attribute), &number) != 0) return "...";
  if (is_bool(argument)) return number != 0 ? "true" : "false";
  return std::to_string(number);
}

void add_piece(std::string& text, std::string_view piece) {
  if (!text.empty()) text += ", ";
  text += piece;
}

std::string arguments_of(Dwarf_Die& scope, WalkBudget& budget, bool are_of_pack);

// What one entry says; empty where it is no argument.
std::string argument_of(Dwarf_Die& entry, WalkBudget& budget) {
  switch (dwarf_tag(&entry)) {
    case DW_TAG_template_type_parameter:
      return type_name(entry, budget);
    case DW_TAG_template_value_parameter:
      return value_of(entry);
    case DW_TAG_GNU_template_template_param: {
      Dwarf_Attribute attribute;
      const char* const name = text_of(dwarf_attr(&entry, DW_AT_GNU_template_name, &attribute));
      return name == nullptr ? "..." : name;
    }
    case DW_TAG_GNU_template_parameter_pack:
      return "<" + arguments_of(entry, budget, true) + ">";
    default:
      return {};
  }
}

std::string arguments_of(Dwarf_Die& scope, WalkBudget& budget, bool are_of_pack) {
  std::string text;
  int count = 0;
  Dwarf_Die entry;
  for (int more = dwarf_child(&scope, &entry); more == 0; more = dwarf_siblingof(&entry, &entry)) {
    if (!budget.spend()) break;
    const bool is_nested_pack = are_of_pack && dwarf_tag(&entry) == DW_TAG_GNU_template_parameter_pack;
    const std::string argument = is_nested_pack ? std::string() : argument_of(entry, budget);
    if (argument.empty()) continue;
    if (++count > kMaxParameters || text.size() > kMaxArgumentsBytes) {
      add_piece(text, "...");
      break;
    }
    add_piece(text, are_of_pack ? argument : name_or(entry, "_") + " = " + argument);
  }
  return text;
}

std::string parameters_of(Dwarf_Die& function, WalkBudget& budget) {
  std::string text;
  int count = 0;
  Dwarf_Die child;
  for (int more = dwarf_child(&function, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
    if (!budget.spend()) break;
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters) continue;
    if (has_flag(child, DW_AT_artificial)) continue;
    if (!text.empty()) text += ", ";
    if (tag == DW_TAG_unspecified_parameters || ++count > kMaxParameters) return text + "...";
    text += type_name(child, budget);
  }
  return text;
}

// Whether it is a method that leaves its object as it is.
bool is_const_method(Dwarf_Die& function) {
  Dwarf_Die object;
  Dwarf_Die type;
  if (dwarf_child(&function, &object) != 0 || dwarf_tag(&object) != DW_TAG_formal_parameter) return false;
  if (!has_flag(object, DW_AT_artificial) || !type_of(object, type)) return false;
  if (dwarf_tag(&type) == DW_TAG_const_type && !type_of(type, type)) return false;
  return dwarf_tag(&type) == DW_TAG_pointer_type && type_of(type, type) &&
         dwarf_tag(&type) == DW_TAG_const_type;
}

}  // namespace

const char* text_of(Dwarf_Attribute* attribute) {
  const char* const text = dwarf_formstring(attribute);
  if (text == nullptr || dwarf_whatform(attribute) != DW_FORM_string) return text;
  return ends_in_debug_info(dwarf_getelf(dwarf_cu_getdwarf(attribute->cu)), attribute->valp) ? text : nullptr;
}

const char* linkage_name(Dwarf_Die& function) {
  for (const unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    if (const char* text = text_of(dwarf_attr_integrate(&function, name, &attribute))) return text;
  }
  return nullptr;
}

Dwarf_Die declaration_of(const Dwarf_Die& function) {
  Dwarf_Die die = function;
  for (int i = 0; i < kMaxReferences; ++i) {
    Dwarf_Attribute attribute;
    Dwarf_Attribute* reference = dwarf_attr(&die, DW_AT_abstract_origin, &attribute);
    if (reference == nullptr) reference = dwarf_attr(&die, DW_AT_specification, &attribute);
    Dwarf_Die referred;
    if (dwarf_formref_die(reference, &referred) == nullptr) break;
    die = referred;
  }
  return die;
}

std::string template_arguments(Dwarf_Die& function) {
  std::string text;
  WalkBudget budget;
  Dwarf_Die declaration = declaration_of(function);
  std::vector<Dwarf_Die> scopes = scopes_of(declaration, budget);
  if (!scopes.empty()) scopes.pop_back();  // itself
  for (Dwarf_Die& scope : scopes) {
    if (text.size() > kMaxArgumentsBytes) break;
    if (const std::string of_scope = arguments_of(scope, budget, false); !of_scope.empty())
      add_piece(text, of_scope);
  }
  std::string own = arguments_of(function, budget, false);
  if (own.empty()) own = arguments_of(declaration, budget, false);
  if (!own.empty()) add_piece(text, own);
  return text;
}

std::string compose_name(Dwarf_Die& declaration) {
  if (die_name(declaration) == nullptr) return {};
  WalkBudget budget;
  std::string name = qualified_name(declaration, budget);
  // What other source files see and is not encoded is no C++ function.
  if (!is_cpp(declaration) || has_flag(declaration, DW_AT_external)) return name;
  name += "(" + parameters_of(declaration, budget) + ")";
  return is_const_method(declaration) ? name + " const" : name;
}

}  // namespace codewake::internal
