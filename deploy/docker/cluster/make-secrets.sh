#!/bin/sh
# Makes the secrets of compose.yaml: two tokens, the password of the database, and praefect's
# configuration with all of them. Existing ones are kept. The directory is private; the files in it
# are readable for the users of the containers.
#   make-secrets.sh [DIRECTORY]      default: secrets/ next to this file
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${1:-$here/secrets}
mkdir -p "$secrets"
chmod 700 "$secrets"
for name in gitaly_token praefect_token database_password; do
  [ -s "$secrets/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$secrets/$name"
done
sed -e "s/GITALY_TOKEN/$(cat "$secrets/gitaly_token")/" \
  -e "s/PRAEFECT_TOKEN/$(cat "$secrets/praefect_token")/" \
  -e "s/DATABASE_PASSWORD/$(cat "$secrets/database_password")/" \
  "$here/praefect.toml.template" > "$secrets/praefect.toml"
chmod 644 "$secrets"/*
