# What the commands under tools/ share. To be sourced by bash, from any folder.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$root}"

bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# packages_of GROUP…: their packages, as tools/dev/packages lists them.
packages_of() {
  local group name package rest
  for group in "$@"; do
    while read -r name package rest; do
      [[ $name != "$group" ]] || printf '%s\n' "$package"
    done <"$root/tools/dev/packages"
  done
}

# need GROUP…: installs what is missing of these groups, and touches nothing when nothing is.
need() {
  local wanted missing
  wanted=$(packages_of "$@" | sort -u)
  if ! command -v dpkg-query >/dev/null; then
    note "Not a Debian system: taking for granted that this is installed: ${wanted//$'\n'/ }"
    return
  fi
  # shellcheck disable=SC2086  # one word is one package
  missing=$(comm -23 <(printf '%s\n' "$wanted") \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p' | sort -u))
  [[ -n $missing ]] || return 0
  missing=${missing//$'\n'/ }

  command -v apt-get >/dev/null || die "no apt-get here; please install: $missing"
  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || die "not root and no sudo here; please run as root: apt-get install $missing"
    as_root=(sudo)
  fi
  say "Installing what is missing: $missing"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update
  # shellcheck disable=SC2086
  "${apt[@]}" install -y --no-install-recommends $missing
}

# configure FOLDER OPTION…: sets the build folder up, once.
configure() {
  local folder=$1 owner
  shift
  owner=$(stat -c %u "$root")
  [[ $EUID -ne 0 || $owner -eq 0 ]] ||
    die "this folder belongs to the user $owner, and root loads no plugins from there: run it as that user, or in a copy"
  [[ ! -f $root/$folder/build.ninja ]] || return 0
  say "Configuring $folder/"
  local again=()
  [[ ! -d $root/$folder/meson-private ]] || again=(--wipe)
  meson setup "${again[@]}" "$root/$folder" "$root" "$@"
}

# build FOLDER TARGET…: builds these targets, or everything.
build() {
  local folder=$1
  shift
  say "Building in $folder/"
  ninja -C "$root/$folder" "$@"
}
