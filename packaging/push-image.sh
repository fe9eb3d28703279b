#!/bin/sh
# Copies the release's image for every platform into a registry, and passes its digest to a GitHub workflow.
#   packaging/push-image.sh REPOSITORY     REGISTRY_USER and REGISTRY_PASSWORD are its credentials
set -eu
cd "$(dirname "$0")/.."
repository=$1
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
digest=$(mktemp)
trap 'rm -f "$digest"' EXIT

printf %s "$REGISTRY_PASSWORD" | skopeo login --username "$REGISTRY_USER" --password-stdin "${repository%%/*}"
skopeo copy --all --digestfile "$digest" \
    "oci-archive:target/dist/ecs-task-notifier-$version-image.tar" "docker://$repository:$version"
echo "$repository@$(cat "$digest")"
if [ -n "${GITHUB_OUTPUT:-}" ]; then
    echo "digest=$(cat "$digest")" >>"$GITHUB_OUTPUT"
fi
