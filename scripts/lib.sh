# Shared by ./scripts/quickstart and ./scripts/test: say, fail, install what is missing, build a preset.
# Sourced by bash with the current directory anywhere; leaves it at the root of the tree.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# The packages of the given needs (scripts/packages.txt) under this system's names.
packages_for() {
  local os=debian
  if [ -r /etc/os-release ] && grep -qE '^ID=ubuntu$' /etc/os-release; then os=ubuntu; fi
  awk -v needs=" $* " -v os="$os" \
    '/^[^#]/ && index(needs, " " $1 " ") { print (os == "ubuntu" && NF > 2) ? $3 : $2 }' scripts/packages.txt
}

# Installs the packages of the given needs that are not there yet.
install_missing() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    fail "this script installs by apt, on Debian 12 or Ubuntu 24.04; elsewhere install what" \
         "scripts/packages.txt names, then: cmake --preset release && cmake --build --preset release"
  local -a wanted missing=()
  local present package
  wanted=($(packages_for "$@"))
  # dpkg-query fails when one of the names is unknown to it, which only means: not installed.
  present=$(dpkg-query -W -f='${db:Status-Status}:${Package}\n' "${wanted[@]}" 2>/dev/null || true)
  for package in "${wanted[@]}"; do
    [[ $'\n'$present$'\n' == *$'\n'"installed:$package"$'\n'* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local -a root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}"
    root=(sudo)
  fi
  say "Installing by apt: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${root[@]}" apt-get update &&
         "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
           apt-get install -y -o DPkg::Lock::Timeout=300 --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "apt could not install: ${missing[*]}"
  fi
  rm -f "$log"
}

# build PRESET [TARGET...]: configures when needed and builds. On a terminal ninja's own progress line is
# shown; elsewhere only what went wrong.
build() {
  local preset=$1 directory="build/$1" log="build/$1/build.log"
  shift
  mkdir -p "$directory"
  if [ ! -f "$directory/build.ninja" ]; then
    say "Configuring $directory"
    cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; fail "cmake --preset $preset failed"; }
  fi
  if [ -t 2 ]; then
    ninja -C "$directory" "${@:-all}" >&2 || fail "the build of $directory failed"
  else
    say "Building $directory (log: $log)"
    ninja -C "$directory" "${@:-all}" >"$log" 2>&1 ||
      { grep -v '^\[' "$log" | head -n 60 >&2; fail "the build of $directory failed"; }
    ! grep 'warning:' "$log" >&2 || say "(warnings; all of it in $log)"
  fi
}
