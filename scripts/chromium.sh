#!/usr/bin/env bash
# The browser tests need a Chromium. On Debian and Ubuntu, install it where it is missing; elsewhere, say so.
set -euo pipefail
find_browser() { command -v "${CHROMIUM:-}" chromium chromium-browser google-chrome 2>/dev/null | head -n 1; }
[ -n "$(find_browser || true)" ] && exit 0
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
  echo "Installing Chromium for the browser tests ..."
  $as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  echo "The browser tests need Chromium: install it, or set CHROMIUM to its path." >&2
  exit 1
fi
