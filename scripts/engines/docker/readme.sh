# shellcheck shell=bash
# shellcheck disable=SC2154 # Variables are those of engine-test.
# What the README says of Docker.

check_the_readme_tells_how() {
  docker tag "$image" busybox
  follow_readme docker
}
