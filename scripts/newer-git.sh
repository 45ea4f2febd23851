#!/bin/sh
# Builds a git newer than the machine's in .cache/newer-git/ and prints the directory of its
# programs. A second run only prints it.
#
# The source is the package "git" of a newer Debian release. apt downloads it, from the archive that
# the machine itself uses, with lists and settings in a directory of their own: nothing on the
# machine changes, and no privileges are needed. The binary packages of such a release need a newer
# libc, so git is compiled: with make and a C compiler, and with the headers of the libraries from
# packages of the machine's own release. The release's git filter-repo, a script, comes with it: an
# older one does not understand the git.
set -eu
cd "$(dirname "$0")/.."

wanted=47                 # reftable and most features of src/git/command/capabilities.ts
releases="forky trixie"   # Debian releases whose git is new enough, newest first
home="$PWD/.cache/newer-git"
work="$home/work"

fail() {
  echo "newer-git: $1" >&2
  exit 1
}

# The second number of a version 2.x; 0 for a git that does not run.
minor() { "$1" version 2>/dev/null | sed -n 's/^git version 2\.\([0-9]*\).*/\1/p' | grep . || echo 0; }

if [ "$(minor git)" -ge "$wanted" ]; then
  dirname "$(command -v git)"
  exit 0
fi
if [ "$(minor "$home/bin/git")" -ge "$wanted" ] && [ -x "$home/bin/git-filter-repo" ]; then
  echo "$home/bin"
  exit 0
fi

for program in apt-get cc dpkg make tar xz; do
  command -v "$program" >/dev/null || fail "there is no $program"
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || fail "the keys of the Debian archive are missing (package debian-archive-keyring)"
archive=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 2>/dev/null |
  sed -n 's/^Debian \(.*\)/\1/p' | grep -v security | head -n 1)
[ -n "$archive" ] || fail "apt knows no Debian archive: run apt-get update"

rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source" "$work/packages"
: >"$work/status" # what is installed does not matter
trap 'rm -rf "$work"' EXIT

apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 "$@" >&2
}

# libcurl-gnutls is the one that Debian's own git uses, so it is there.
own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
echo "deb [signed-by=$keyring] $archive $own main" >"$work/sources"
echo "newer-git: downloading headers for $own" >&2
apt update && (cd "$work/packages" && apt download libcurl4-gnutls-dev libexpat1-dev libpcre2-dev \
  libssl-dev zlib1g-dev libcurl3-gnutls libexpat1 libpcre2-8-0 libssl3 zlib1g) ||
  fail "the archive has no headers for $own"
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/root"; done
triplet=$(cc -print-multiarch)
headers="-I$work/root/usr/include -I$work/root/usr/include/$triplet"
libraries="-L$work/root/usr/lib/$triplet -L$work/root/lib/$triplet"

for release in $releases; do
  for kind in deb-src deb; do echo "$kind [signed-by=$keyring] $archive $release main"; done >"$work/sources"
  echo "newer-git: downloading the source of git in $release" >&2
  if apt update && (cd "$work/source" && apt source --download-only git); then break; fi
done
(cd "$work/packages" && apt download git-filter-repo) || fail "$release has no git-filter-repo"
dpkg -x "$work"/packages/git-filter-repo_*.deb "$work/filter-repo"
tarball=$(find "$work/source" -name 'git_*.orig.tar.xz')
[ -n "$tarball" ] || fail "the archive has no source of a newer git"

echo "newer-git: compiling, about a minute" >&2
mkdir "$work/build"
tar -xJf "$tarball" -C "$work/build" --strip-components=1
# Without git's own tests a quarter less is compiled; -O1 takes half the time of -O2.
make -C "$work/build" -j"$(nproc)" prefix="$home" CFLAGS="-O1 $headers" LDFLAGS="$libraries" \
  CURL_CONFIG=: CURL_LDFLAGS=-lcurl NO_TCLTK=1 NO_GETTEXT=1 NO_PERL=1 NO_PYTHON=1 \
  USE_LIBPCRE=1 INSTALL_SYMLINKS=1 \
  TEST_PROGRAMS= TEST_BUILTINS_OBJS= UNIT_TEST_PROGS= CLAR_TEST_PROG= install >"$home/build.log" 2>&1 ||
  fail "git does not compile: $(tail -n 3 "$home/build.log")"
install -m 755 "$work/filter-repo/usr/lib/python3/dist-packages/git_filter_repo.py" \
  "$home/bin/git-filter-repo"
[ "$(minor "$home/bin/git")" -ge "$wanted" ] || fail "the git of the archive is older than 2.$wanted"
echo "$home/bin"
