// The names of functions in DWARF.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace codewake::internal {

/// The text of an attribute that dwarf_attr() gave; null where it has none that ends.
const char* text_of(Dwarf_Attribute* attribute);

/// The encoded name of a function or inlined function, or of what it is an instance of; null where it has
/// none, as functions have none that only one source file sees.
const char* linkage_name(Dwarf_Die& function);

/// The entry that declares the function: the last that it refers to.
Dwarf_Die declaration_of(const Dwarf_Die& function);

/// What the templates are instantiated with that a function is an instance of, or lies in: `T = double, N =
/// 3`. Empty where there are none, or debug information does not tell. Takes as long as `compose_name`.
std::string template_arguments(Dwarf_Die& function);

/// The name with its namespaces, classes and parameters, as far as debug information tells them; empty where
/// there is none. `declaration` is what `declaration_of` gave. Takes up to a millisecond for a large unit.
std::string compose_name(Dwarf_Die& declaration);

}  // namespace codewake::internal
