#!/bin/sh
# Puts `promtool` of Debian's package `prometheus` into the folder $1, without installing the package.
# Where there is no Debian, the test that needs it says so and skips that judge.
set -eu
folder=$(mktemp --directory)
trap 'rm -r "$folder"' EXIT
cd "$folder"
apt-get download --quiet prometheus
dpkg-deb --extract prometheus_*.deb .
cd "$OLDPWD"
cp "$folder/usr/bin/promtool" "$1/promtool"
