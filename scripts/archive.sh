# shellcheck shell=bash
# Where Debian's packages come from. Sourced by the scripts that fetch packages beyond those of the machine.

# The archive that apt of a Debian host uses, with its proxy or mirror, or else the public one.
archive() {
  local kind=$1 found
  case $kind in
    debian) found=${TENURE_DEBIAN_MIRROR:-} ;;
    security) found=${TENURE_DEBIAN_SECURITY_MIRROR:-} ;;
  esac
  if [ -z "$found" ] && command -v apt-get >/dev/null 2>&1; then
    found=$(apt-get indextargets --format "\$(LABEL) \$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
      sort -u | case $kind in
        debian) sed -n 's/^Debian \([^ ]*\)$/\1/p' ;;
        security) sed -n 's/^Debian-Security \([^ ]*\)$/\1/p' ;;
      esac | head -n 1 || true)
  fi
  case ${found:+found}$kind in
    found*) echo "${found%/}" ;;
    debian) echo http://deb.debian.org/debian ;;
    security) echo http://deb.debian.org/debian-security ;;
  esac
}
