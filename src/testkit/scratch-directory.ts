import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isError } from '#base/is-error';
import { ownIdentity } from '#base/process-identity';

/** Matches a directory's name, which contains where the owner runs, and its pid. */
const NAME = /^gitaly-[a-z-]+-(?<place>[0-9a-f]{6})-(?<pid>\d+)-\w{6}$/;
/**
 * Age from which the directory of an unknown owner is removed: one that ran in another container or
 * before a restart. No test runs for an hour.
 */
const MIN_AGE_MS = 60 * 60 * 1000;

/**
 * Longest path of a parent directory in which the sockets of a server have possible paths, of at
 * most 103 bytes: `gitaly-test-0123ab-1234567-AbCdEf/run/gitaly-1234567/sock.d/tsocket`.
 */
const MAX_PARENT_BYTES = 35;
const SHORT_PARENT = '/tmp';

let hasReaped = false;

/**
 * Creates an empty directory for a test, which removes it at its end. A killed run cannot do that,
 * so the first call of a process removes the directories of such runs. It is in the system's
 * directory for temporary files, or in `/tmp` if that has too long a name for sockets below it.
 *
 * @param what a word or two of lower-case letters, for people who find the directory. @returns an
 *   absolute path without links.
 */
export function makeScratchDirectory(what: string): string {
  const given = realpathSync(tmpdir());
  const parent = Buffer.byteLength(given) <= MAX_PARENT_BYTES ? given : realpathSync(SHORT_PARENT);
  if (!hasReaped) reapScratchDirectories(parent);
  hasReaped = true;
  return mkdtempSync(join(parent, `gitaly-${what}-${ownPlace()}-${process.pid}-`));
}

/** Removes directories of {@link makeScratchDirectory} in `parent` whose process is dead. */
export function reapScratchDirectories(parent: string, nowMs = Date.now()): void {
  for (const name of readdirSync(parent)) {
    const { place, pid } = NAME.exec(name)?.groups ?? {};
    if (pid === undefined || isRunning(Number(pid))) continue;
    const minAgeMs = place === ownPlace() ? 0 : MIN_AGE_MS;
    const path = join(parent, name);
    try {
      const { mtimeMs, uid } = statSync(path);
      if (nowMs - Math.floor(mtimeMs) >= minAgeMs && uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another run was faster, or something in it cannot be removed: the next run tries again.
    }
  }
}

/**
 * Returns a word for this boot of the machine and this container, in which a pid means one process.
 */
function ownPlace(): string {
  return createHash('sha1').update(ownIdentity().place).digest('hex').slice(0, 6);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(isError(error) && 'code' in error && error.code === 'ESRCH');
  }
}
