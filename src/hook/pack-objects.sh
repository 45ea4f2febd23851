#!/bin/sh
# Runs instead of `git pack-objects` in `git upload-pack` (`uploadpack.packObjectsHook`) where packs
# are limited: requests a slot from the server over the inherited descriptors 3 (out) and 4 (in),
# runs the command that it was given, and gives the turn back. README.md has the protocol.

refuse() {
  cat >/dev/null # upload-pack would die of SIGPIPE, and its client would not read why
  echo 'error executing git hook' >&2
  echo 'error resource exhausted, please try again later' >&2
  exit 1
}

echo P >&3 || refuse
IFS= read -r answer <&4 || refuse
[ "$answer" = G ] || refuse
"$@" 3>&- 4<&-
status=$?
echo E >&3
exit "$status"
