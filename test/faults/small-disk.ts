import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratchDirectory } from '#testkit/scratch-directory';

/**
 * Mounts a small file system in memory on a directory, or returns the reason why it cannot.
 */
export function mountSmall(directory: string, bytes: number, option = 'exec'): string | undefined {
  mkdirSync(directory, { recursive: true });
  const { status, stderr, error } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${bytes},${option}`,
    'tmpfs',
    directory,
  ]);
  return status === 0 ? undefined : `cannot mount a tmpfs: ${error?.message ?? stderr.toString().trim()}`;
}

export function unmount(directory: string): void {
  spawnSync('umount', ['-l', directory]);
}

/** Returns why a test with a small disk has to be skipped, or false. */
export function refusal(): string | false {
  const directory = makeScratchDirectory('mount');
  try {
    const reason = mountSmall(directory, 1024 ** 2);
    if (reason === undefined) unmount(directory);
    return reason ?? false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Fills the disk of a directory with a file `filler` until only this number of bytes is free. */
export function fill(directory: string, freeBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  appendFileSync(join(directory, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - freeBytes)));
}
