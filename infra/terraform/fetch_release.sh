#!/bin/sh
# Downloads a release's archives into the folder $1. After an error the folder is unchanged.
# Parameters: RELEASE_URL, RELEASE_FILES (names separated by spaces), and RELEASE_SHA256, the SHA-256 of the release's
# SHA256SUMS. Needs curl, and sha256sum or shasum.
set -eu

folder=$1
seconds_max=300

fail() {
  echo "error: $1" >&2
  exit 1
}

sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1" | cut -d ' ' -f 1
  else
    shasum -a 256 "$1" | cut -d ' ' -f 1
  fi
}

download() {
  curl --fail --silent --show-error --location --proto '=https,file' --proto-redir '=https' --retry 3 \
    --max-time "$seconds_max" --output "$new/$1" "${RELEASE_URL%/}/$1" || fail "cannot download ${RELEASE_URL%/}/$1"
}

mkdir -p "$folder"
new=$(mktemp -d "$folder/new.XXXXXX")
trap 'rm -rf "$new"' EXIT

download SHA256SUMS
found=$(sha256 "$new/SHA256SUMS")
[ "$found" = "$RELEASE_SHA256" ] ||
  fail "SHA256SUMS of ${RELEASE_URL%/} has the SHA-256 $found, not $RELEASE_SHA256: nothing was changed"

for file in $RELEASE_FILES; do
  # sha256sum may write a `*` before the name of a binary file.
  expected=$(awk -v file="$file" '$2 == file || $2 == "*" file { print $1 }' "$new/SHA256SUMS")
  [ -n "$expected" ] || fail "the release has no $file"
  download "$file"
  found=$(sha256 "$new/$file")
  [ "$found" = "$expected" ] || fail "$file has the SHA-256 $found, not $expected as its release says: nothing was changed"
done

for file in $RELEASE_FILES; do
  mv -f "$new/$file" "$folder/$file"
done
