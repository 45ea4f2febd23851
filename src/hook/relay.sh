#!/bin/sh
# What git runs as a hook: hands the call to the server over the inherited descriptors 3 (out) and 4
# (in), prints the response and exits with the received code. The protocol is in README.md next to
# this file; all decisions are the server's. POSIX sh, no state.

LC_ALL=C # bytes, whatever they are
hook=${0##*/}
newline='
'

fail() {
  echo 'error executing git hook' >&2
  exit 1
}

if [ -z "${GITALY_HOOKS_RELAY:-}" ]; then
  # Not started by a push of the server: a call with a payload dials the server by itself, in a
  # program of its own.
  helper=${0%/*}/gitaly-hooks
  [ -n "${GITALY_HOOKS_PAYLOAD:-}" ] && [ -x "$helper" ] && exec "$helper" "$hook" "$@"
  fail
fi

# A field is one line `<letter> <text>`; line feeds inside the text are followed by `+ `. No value
# can pass for another field.
request=
field() {
  letter=$1 text=$2
  while :; do
    case $text in
      *"$newline"*)
        request="$request$letter ${text%%"$newline"*}$newline"
        text=${text#*"$newline"} letter=+
        ;;
      *) break ;;
    esac
  done
  request="$request$letter $text$newline"
}

field H "$hook"
for argument in "$@"; do field A "$argument"; done
[ -z "${GIT_OBJECT_DIRECTORY:-}" ] || field O "$GIT_OBJECT_DIRECTORY"
[ -z "${GIT_ALTERNATE_OBJECT_DIRECTORIES:-}" ] || field T "$GIT_ALTERNATE_OBJECT_DIRECTORIES"
index=0
while [ "$index" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
  eval "field P \"\${GIT_PUSH_OPTION_$index}\""
  index=$((index + 1))
done
if [ -n "${GIT_PUSH_CERT:-}" ]; then
  for name in GIT_PUSH_CERT GIT_PUSH_CERT_SIGNER GIT_PUSH_CERT_KEY GIT_PUSH_CERT_STATUS \
    GIT_PUSH_CERT_NONCE GIT_PUSH_CERT_NONCE_STATUS GIT_PUSH_CERT_NONCE_SLOP; do
    eval "field C \"$name=\${$name:-}\""
  done
fi
request="${request}D$newline"

# Standard input: each line with a space before it. A few lines are read here, which is cheaper than
# a process; the rest by sed.
more=
if [ "$hook" != update ]; then
  index=0
  while IFS= read -r line || [ -n "$line" ]; do
    request="$request $line$newline"
    index=$((index + 1))
    if [ "$index" -eq 32 ]; then
      more=yes
      break
    fi
  done
fi
if [ -z "$more" ]; then
  printf '%s.\n' "$request" >&3 || fail
else
  { printf '%s' "$request" && sed 's/^/ /' && echo .; } >&3 || fail
fi

while IFS=' ' read -r kind value <&4; do
  case $kind in
    B) # Nothing else is on its way until this piece is acknowledged, so head cannot read too far.
      head -c "$value" <&4 >&2
      echo K >&3
      ;;
    X) exit "$value" ;;
    *) fail ;;
  esac
done
fail
