#!/usr/bin/env bash
# A base image from Debian's packages alone, for machines that reach no container registry:
#   release/base.sh && BASE=localhost/tocsin-base:bookworm make image
# Needs root, debootstrap and podman. The machine's own authorities are trusted in it, as pip needs them behind a proxy.
set -euo pipefail
image=${1:-localhost/tocsin-base:bookworm}
if podman image exists "$image"; then
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip bookworm "$folder/root" >"$folder/log" 2>&1 || {
  tail -n 20 "$folder/log" >&2
  exit 1
}
cp /etc/ssl/certs/ca-certificates.crt "$folder/root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$folder"/root/var/{cache/apt,lib/apt/lists}/* "$folder"/root/usr/share/{doc,man,locale}/*
tar --directory "$folder/root" --create . | podman import --quiet - "$image"
