#!/bin/sh
# Builds the daemon's image from a static program, and runs it once where that is possible. `IMAGE` names the image.
# Needs buildah or docker, and a Rust target for musl, which it has rustup add. `TARGET` names another.
set -eu
cd "$(dirname "$0")/.."
image=${IMAGE:-ecs-task-notifier}
target=${TARGET:-x86_64-unknown-linux-musl}
certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
out=${CARGO_TARGET_DIR:-target}

# Where Rust came without rustup, its target must have come with it.
if command -v rustup >/dev/null; then
    rustup target add "$target"
fi
cargo build --release --locked --package ecs-task-notifier --target "$target"
mkdir -p target/image
cp "$certificates" target/image/ca-certificates.crt
cp "$out/$target/release/ecs-task-notifier" target/image/

if command -v buildah >/dev/null; then
    # Neither a daemon nor more privileges than the build itself has.
    buildah bud --quiet --isolation chroot --storage-driver vfs --tag "$image" .
    container=$(buildah from --storage-driver vfs --pull-never "$image")
    trap 'buildah rm --storage-driver vfs "$container" >/dev/null' EXIT
    buildah run --isolation chroot --storage-driver vfs "$container" -- /ecs-task-notifier --version
elif docker info >/dev/null 2>&1; then
    docker build --quiet --tag "$image" .
    docker run --rm "$image" --version
else
    echo "skipped: neither buildah nor docker is here, so the image was not built; the program is target/image/ecs-task-notifier"
fi
