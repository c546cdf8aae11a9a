# Sets a machine up; sourced by ./dev. Each list line is "package  what it is for".
#
# Debian and Ubuntu: what is missing is installed with apt, after saying what and why. Elsewhere, or without the right
# to install, the list is printed and nothing is touched. TRIREME_SETUP=no skips all of it.

list_build() {
  cat <<'LIST'
cmake                configures the build
ninja-build          runs the build
ccache               compiles nothing twice
python3              generates the op functions
libfmt-dev           text formatting
libspdlog-dev        logging
libcli11-dev         the command line
nlohmann-json3-dev   JSON
libyaml-cpp-dev      training configs
libhwy-dev           portable SIMD
libpng-dev           PNG images
libjpeg-dev          JPEG images
zlib1g-dev           compressed data sets
libzip-dev           NumPy and PyTorch archives of weights
libprotobuf-dev      reading ONNX files
protobuf-compiler    generating their reader
libssl-dev           signing and checking chip cards
libfreetype-dev      drawing digits where no data set is at hand
fonts-dejavu-core    fonts for that
libgtest-dev         tests
libgmock-dev         tests
libbenchmark-dev     micro-benchmarks
LIST
}
list_demo() { echo "curl                 fetches MNIST where it is not at hand"; }
list_format() { echo "$FORMAT_PACKAGE      the house's version of the formatter"; }

FORMAT_PACKAGE=clang-format-14

note() { printf 'dev: %s\n' "$*" >&2; }
fail() {
  note "$*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# Major version of what apt would install, for instance 12 for g++ 4:12.2.0-3.
candidate_major() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9]*\).*/\2/p'
}
compiler_major() { "$1" -dumpversion 2>/dev/null | cut -d. -f1; }

# The first of the given compilers that exists and has at least the given major version.
find_compiler() {  # least names...
  local least=$1 name major
  shift
  for name in "$@"; do
    major=$(compiler_major "$name" || true)
    if [ -n "$major" ] && [ "$major" -ge "$least" ]; then
      echo "$name"
      return 0
    fi
  done
  return 1
}
find_gcc() { find_compiler 12 g++ g++-15 g++-14 g++-13 g++-12; }
find_clang() { find_compiler 16 clang++ clang++-20 clang++-19 clang++-18 clang++-17 clang++-16; }

# "sudo", nothing for root, or a failing status when this user may not install.
privilege() {
  if [ "$(id -u)" = 0 ]; then return 0; fi
  have sudo || return 1
  if sudo -n true 2>/dev/null || [ -t 0 ]; then echo sudo; else return 1; fi
}

refresh_lists() {
  [ -z "${lists_fresh:-}" ] || return 0
  lists_fresh=1
  $1 apt-get -qq update </dev/null >&2 || note "apt could not refresh every package list; going on with what it has"
}

by_hand() {  # why names...
  local why=$1
  shift
  fail "$why. Install by hand: $*
dev: (Debian and Ubuntu names; then run this again, or with TRIREME_SETUP=no if they are there in another way)"
}

# Installs the packages of the list on standard input that are missing.
install_missing() {
  [ "${TRIREME_SETUP:-}" != no ] || return 0
  local list names missing="" name sudo log
  list=$(cat)
  names=$(awk '{print $1}' <<<"$list" | tr '\n' ' ')
  if ! have apt-get || ! have dpkg-query; then
    if have cmake && have ninja && have python3; then return 0; fi  # CMake names what else is missing
    by_hand "this machine has no apt" "$names"
  fi
  for name in $names; do installed "$name" || missing="$missing $name"; done
  [ -n "$missing" ] || return 0
  sudo=$(privilege) || by_hand "missing packages, and neither root nor sudo without a password" "$missing"
  note "installing with apt (a minute or two):"
  for name in $missing; do note "  $(awk -v n="$name" '$1 == n' <<<"$list")"; done
  refresh_lists "$sudo"
  log=$(mktemp)
  # shellcheck disable=SC2086  # a list of words
  if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install $missing </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    by_hand "apt could not install them" "$missing"
  fi
  rm -f "$log"
}

# The package with a g++ that is new enough: "g++", or "g++-12" where that is older (Ubuntu 22.04).
compiler_package() {
  local sudo major
  if [ "${TRIREME_SETUP:-}" != no ] && have apt-get && sudo=$(privilege); then refresh_lists "$sudo"; fi
  major=$(candidate_major g++)
  if [ "${major:-12}" -ge 12 ]; then echo g++; else echo g++-12; fi
}

# Everything a build needs; leaves CC and CXX set. A compiler the user chose is left alone.
setup_build() {
  local compiler=""
  [ -n "${CXX:-}" ] || find_gcc >/dev/null || compiler="$(compiler_package)  compiles C++20"
  install_missing < <(echo "$compiler" && list_build)
  [ -z "${CXX:-}" ] || return 0
  CXX=$(find_gcc) || by_hand "no g++ of version 12 or later" "g++-12 (or a later one)"
  CC=${CXX/g++/gcc}
  export CC CXX
}

# clang 16 or later reads C++20 as we write it. Installs the first packaged one: "clang-16" for the tool "clang".
install_clang_tool() {  # tool, what for, further packages with VERSION for the number
  local version sudo package further name
  if [ "${TRIREME_SETUP:-}" = no ] || ! have apt-get; then return 0; fi
  sudo=$(privilege) || return 0
  refresh_lists "$sudo"
  for version in 16 17 18 19 20; do
    package=$1-$version further=${3//VERSION/$version}
    [ -n "$(candidate_major "$package")" ] || continue
    install_missing < <(for name in $package $further; do echo "$name  $2"; done)
    return 0
  done
}

setup_clang() {
  install_missing < <(list_build)
  find_clang >/dev/null || install_clang_tool clang "compiles the fuzz targets" libclang-rt-VERSION-dev
  CXX=$(find_clang) || by_hand "no clang of version 16 or later (this system may not have one)" \
    "clang-16 libclang-rt-16-dev (or later ones)"
  CC=${CXX/clang++/clang}
  export CC CXX
}

find_tidy() {
  local version
  for version in 16 17 18 19 20; do
    if have "clang-tidy-$version"; then
      echo "clang-tidy-$version"
      return 0
    fi
  done
  return 1
}

# Leaves TIDY set; empty where clang-tidy 16 cannot be had.
setup_lint() {
  setup_build
  find_tidy >/dev/null || install_clang_tool clang-tidy "finds bugs and wrong names" ""
  TIDY=$(find_tidy) || TIDY=""
}

# The formatter's output differs between versions, so one version is the law. Returns 1 where it cannot be had.
setup_format() {
  have clang-format-14 && return 0
  if [ "${TRIREME_SETUP:-}" != no ] && have apt-get; then
    local sudo
    sudo=$(privilege) || return 1
    [ -n "$(candidate_major "$FORMAT_PACKAGE")" ] || refresh_lists "$sudo"
    [ -n "$(candidate_major "$FORMAT_PACKAGE")" ] || return 1
    install_missing < <(list_format)
  fi
  have clang-format-14
}
