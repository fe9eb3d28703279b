#!/bin/sh
# Builds the daemon's image from the release's static programs, writes it to an OCI archive, and runs it if this machine can.
#   packaging/image.sh ARCHIVE PROCESSOR...     processors: x86_64 aarch64; a missing program is an error
# `IMAGE` names the image. Needs buildah, or docker with buildx.
set -eu
cd "$(dirname "$0")/.."
archive=$1
shift
image=${IMAGE:-ecs-task-notifier}
certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
out=${CARGO_TARGET_DIR:-target}

rm -rf target/image
mkdir -p target/image
cp "$certificates" target/image/ca-certificates.crt
platforms=
for processor in "$@"; do
    case $processor in
    x86_64) platform=amd64 ;;
    aarch64) platform=arm64 ;;
    *) echo "image.sh: $processor is neither x86_64 nor aarch64" >&2 && exit 2 ;;
    esac
    mkdir "target/image/$platform"
    cp "$out/$processor-unknown-linux-musl/release/ecs-task-notifier" "target/image/$platform/"
    platforms=${platforms:+$platforms,}linux/$platform
done

rm -f "$archive"
if command -v buildah >/dev/null; then
    # Needs no daemon and no further privileges.
    export STORAGE_DRIVER=vfs
    buildah manifest rm "$image" >/dev/null 2>&1 || buildah rmi "$image" >/dev/null 2>&1 || true
    buildah build --quiet --isolation chroot --platform "$platforms" --manifest "$image" .
    buildah manifest push --quiet --all "$image" "oci-archive:$archive"
    case $platforms in
    *"$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')"*)
        container=$(buildah from --pull-never "$image")
        trap 'buildah rm "$container" >/dev/null' EXIT
        buildah run --isolation chroot "$container" -- /ecs-task-notifier --version
        ;;
    esac
else
    docker buildx build --quiet --platform "$platforms" --output "type=oci,dest=$archive" .
fi
