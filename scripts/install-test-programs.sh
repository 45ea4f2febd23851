#!/bin/sh
# Installs the programs that tests need and a machine of CI may lack: Chromium for the console, sshd
# for the comparison with OpenSSH, git filter-repo for RewriteHistory, git-lfs, nghttp as a client
# of HTTP/2, and a JDK with Maven for grpc-java. Does nothing where they are, or where packages of
# Debian are not to be had; the tests then name what is missing.

# sshd of root ends without it, and only the service makes it.
[ "$(id -u)" != 0 ] || [ "$(uname)" != Linux ] || mkdir -p -m 755 /run/sshd

missing=
[ -n "${CHROMIUM:-}" ] || command -v chromium google-chrome >/dev/null || missing=chromium
[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
git filter-repo --version >/dev/null 2>&1 || missing="$missing git-filter-repo"
git lfs version >/dev/null 2>&1 || missing="$missing git-lfs"
command -v nghttp >/dev/null || missing="$missing nghttp2-client"
{ command -v javac && command -v mvn; } >/dev/null || missing="$missing default-jdk-headless maven"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "install-test-programs: not installed: $missing (needs root and apt-get)" >&2
  exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
