import { mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Matches a directory's name, which contains the owner's pid. */
const NAME = /^gitaly-[a-z-]+-(?<pid>\d+)-\w{6}$/;
/**
 * A dead owner may be a live one in another container that shares the directory; no test runs for
 * an hour.
 */
const MIN_AGE_MS = 60 * 60 * 1000;

let hasReaped = false;

/**
 * Creates an empty directory for a test, which removes it at its end. A killed run cannot do that,
 * so the first call of a process removes the directories of such runs.
 *
 * @param what a word or two of lower-case letters, for people who find the directory. @returns an
 *   absolute path without links.
 */
export function makeScratchDirectory(what: string): string {
  const parent = realpathSync(tmpdir());
  if (!hasReaped) reapScratchDirectories(parent);
  hasReaped = true;
  return mkdtempSync(join(parent, `gitaly-${what}-${process.pid}-`));
}

/** Removes directories of {@link makeScratchDirectory} in `parent` whose process is dead. */
export function reapScratchDirectories(parent: string, nowMs = Date.now()): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(NAME.exec(name)?.groups?.pid);
    if (Number.isNaN(pid) || isRunning(pid)) continue;
    const path = join(parent, name);
    try {
      const { mtimeMs, uid } = statSync(path);
      if (nowMs - mtimeMs > MIN_AGE_MS && uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another run was faster, or something in it cannot be removed: the next run tries again.
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
