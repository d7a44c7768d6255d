#!/bin/sh
# Usage: small_symbols.sh PROGRAM OUTPUT: strips it as distributions do that keep its symbols in .gnu_debugdata.
set -eu
objcopy --strip-debug "$1" "$2.symbols"
xz --force "$2.symbols"
objcopy --strip-all --add-section ".gnu_debugdata=$2.symbols.xz" "$1" "$2"
rm "$2.symbols.xz"
