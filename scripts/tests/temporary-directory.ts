import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system in memory that Linux machines have. */
const IN_MEMORY = '/dev/shm';
/** Free memory without which the tests use the disk: those with big files fill 1 GiB together. */
const MIN_FREE_BYTES = 6 * 2 ** 30;
/** Age of a directory that a killed run has left: in a run entries come and go all the time. */
const MIN_AGE_MS = 60 * 60 * 1000;
const PREFIX = 'tests-'; // short: paths of sockets have at most 107 bytes

/** Directory in which the tests of a run create their own. */
export interface TemporaryDirectory {
  readonly path: string;
  /** Removes the directory; returns the names of entries that the tests have left in it. */
  remove(): string[];
}

/**
 * Creates the directory: in memory if possible, unless `TMPDIR` names another place.
 *
 * Tests create and remove some million files. On a disk this takes a quarter of a run: the disk
 * syncs them, and ext4 without a journal checks each recently removed file when it creates one.
 */
export function makeTemporaryDirectory(): TemporaryDirectory {
  const parent = process.env.TMPDIR === undefined && canUseMemory() ? IN_MEMORY : tmpdir();
  removeOld(parent, Date.now());
  const path = mkdtempSync(join(parent, PREFIX));
  chmodSync(path, 0o1777); // as /tmp: some tests run programs of another user
  return {
    path,
    remove() {
      const left = readdirSync(path);
      rmSync(path, { recursive: true, force: true });
      return left;
    },
  };
}

/** Removes the directories of killed runs. */
export function removeOld(parent: string, nowMs: number): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(PREFIX))) {
    const path = join(parent, name);
    try {
      const { mtimeMs, uid } = statSync(path);
      if (nowMs - mtimeMs >= MIN_AGE_MS && uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another run was faster.
    }
  }
}

function canUseMemory(): boolean {
  try {
    return allowsPrograms(readFileSync('/proc/self/mounts', 'utf8')) && freeBytes() >= MIN_FREE_BYTES;
  } catch {
    return false; // not Linux
  }
}

/** Reports whether {@link IN_MEMORY} is mounted so that hooks in it can be executed. */
export function allowsPrograms(mounts: string): boolean {
  const line = mounts
    .split('\n')
    .map((each) => each.split(' '))
    .findLast(([, place]) => place === IN_MEMORY);
  const [, , type, options = ''] = line ?? [];
  return type === 'tmpfs' && !/(^|,)(ro|noexec)(,|$)/.test(options);
}

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(IN_MEMORY);
  return Math.min(bavail * bsize, process.availableMemory());
}
