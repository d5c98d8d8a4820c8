#!/usr/bin/env bash
# `make image`: builds the image from dist/ with docker, podman or buildah, whichever works here.
# IMAGE: its name (ghcr.io/tocsin-dev/tocsin:<version>), BASE: another base image, BUILDER: which of the three, BUILD_FLAGS: further flags.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(echo dist/tocsin-*.whl)
version=${wheel#dist/tocsin-}
version=${version%%-*}
image=${IMAGE:-ghcr.io/tocsin-dev/tocsin:$version}

works() {
  case $1 in
    docker) docker version >/dev/null 2>&1 ;;  # the client alone builds nothing
    *) command -v "$1" >/dev/null ;;
  esac
}

builder=${BUILDER:-}
if [ -z "$builder" ]; then
  for candidate in docker podman buildah; do
    if works "$candidate"; then
      builder=$candidate
      break
    fi
  done
fi
if [ -z "$builder" ]; then
  echo "make image needs docker (with its daemon running), podman or buildah: install one of them" >&2
  exit 1
fi

flags=(--file Dockerfile --tag "$image" --build-arg "VERSION=$version")
[ -z "${BASE:-}" ] || flags+=(--build-arg "BASE=$BASE")
# shellcheck disable=SC2206 -- flags are words
flags+=(${BUILD_FLAGS:-})
"$builder" build "${flags[@]}" .
echo "$image"
