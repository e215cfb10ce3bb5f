# shellcheck shell=bash
# shellcheck disable=SC2154 # Variables are those of engine-test.
# Sourced by engine-test: engines out of other Debian suites than the machine's. Packages are fetched with an apt of our
# own (sources, state, cache), and unpacked below the user's cache; nothing is installed.

# shellcheck source=scripts/archive.sh
source "$repository/scripts/archive.sh"

engines_cache=${XDG_CACHE_HOME:-$HOME/.cache}/tenure/engines

# The Debian suite that has a version of containerd, or a Docker that takes shims.
containerd_suite() {
  case $1 in
    1.6) echo bookworm ;;
    1.7) echo trixie ;;
    2 | docker) echo forky ;;
    *) return 1 ;;
  esac
}

# An apt that knows one suite, in a folder: writes its configuration to the file that APT_CONFIG then names.
write_apt() {
  local folder=$1 suite=$2
  mkdir -p "$folder"/{lists/partial,archives/partial,parts,tmp}
  : >"$folder/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(archive debian)" "$suite" \
    >"$folder/sources.list"
  cat >"$folder/apt.conf" <<CONF
Dir::State "$folder";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "$folder/parts";
Dir::Etc::preferences "$folder/none";
Dir::Etc::preferencesparts "$folder/parts";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "root";
CONF
}

# Unpacks packages of a suite into the folder of the cache that is named first, unless that is there. What a stopped run
# has left half done is fetched again.
fetch_packages() {
  local target=$1 suite=$2 building=$1.building package
  shift 2
  mkdir -p "$engines_cache"
  exec 8>"$target.lock"
  flock 8
  if [ ! -d "$target" ]; then
    note "fetching $* of Debian $suite"
    rm -rf --one-file-system "$building"
    mkdir -p "$building/apt" "$building/root"
    write_apt "$building/apt" "$suite"
    (
      cd "$building/apt/archives"
      export APT_CONFIG=$building/apt/apt.conf TMPDIR=$building/apt/tmp
      apt-get -qq update && apt-get -qq download "$@" >/dev/null
    ) || fail "cannot fetch $* of Debian $suite"
    for package in "$building"/apt/archives/*.deb; do
      dpkg-deb --extract "$package" "$building/root"
    done
    mv "$building/root" "$target"
    rm -rf --one-file-system "$building"
  fi
  exec 8>&-
}

# Prints the folders of the programs of a containerd, or of Docker with its containerd, as they go into PATH: the machine's,
# when that is the version, or fetched.
fetch_containerd() {
  local version=$1 suite=
  suite=$(containerd_suite "$version")
  if [ "$version" = docker ]; then
    fetch_packages "$engines_cache/docker" "$suite" docker.io docker-cli tini containerd >&2
    echo "$engines_cache/docker/usr/bin:$engines_cache/docker/usr/sbin"
    return
  fi
  if [[ $(containerd --version 2>/dev/null) = *" $version".* ]]; then
    dirname "$(command -v containerd)"
    return
  fi
  fetch_packages "$engines_cache/containerd-$version" "$suite" containerd >&2
  echo "$engines_cache/containerd-$version/usr/bin"
}
