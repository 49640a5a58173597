#!/usr/bin/env bash
# The tests of the service in a container need Podman and a base image, as root on Debian and Ubuntu; elsewhere they
# are skipped.
set -euo pipefail
needed() { command -v podman && command -v runc && command -v slirp4netns && command -v mmdebstrap; }
needed >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo "Installing Podman for the tests of the service in a container ..."
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends podman netavark runc slirp4netns mmdebstrap >/dev/null
