#!/bin/sh
# Imports a repository into a test server, and clones it.
# Needs gitaly-ts and gitaly-ssh on the PATH.
set -eu
work=$(mktemp -d)
mkfifo "$work/ready"
gitaly-ts test-env "$work/server" --json >"$work/ready" & # it ends with this script
read -r ready <"$work/ready"
trap 'kill $!; wait $!; rm -rf "$work"' EXIT

field() { printf '%s' "$ready" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
GITALY_ADDRESS=$(field unix)
GITALY_TOKEN=$(field token)
GITALY_PAYLOAD='{"repository":{"storageName":"default","relativePath":"a.git"}}'
export GITALY_ADDRESS GITALY_TOKEN GITALY_PAYLOAD GIT_SSH_VARIANT=simple

git init --quiet --bare "$work/source.git"
commit=$(git -C "$work/source.git" -c user.name=A -c user.email=a@example.com \
  commit-tree -m 'first' "$(git -C "$work/source.git" mktree </dev/null)")
git -C "$work/source.git" update-ref refs/heads/main "$commit"

gitaly-ts import "$work/source.git" --to "$GITALY_ADDRESS" --name a.git >&2
GIT_SSH_COMMAND='gitaly-ssh upload-pack' git clone --quiet --bare ssh://server/a.git "$work/clone.git"
git -C "$work/clone.git" log --format=%s main
