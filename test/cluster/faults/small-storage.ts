import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const STORAGE_BYTES = 64 * 1024 ** 2;

/** Mounts a small file system in memory on a directory, until disposed. @throws if it may not. */
export function mountSmall(directory: string): Disposable {
  const { status, stderr, error } = spawnSync('mount', [
    ...['-t', 'tmpfs', '-o', `size=${STORAGE_BYTES}`],
    ...['tmpfs', directory],
  ]);
  if (status !== 0) throw new Error(`cannot mount a tmpfs: ${error?.message ?? stderr.toString().trim()}`);
  return { [Symbol.dispose]: () => void spawnSync('umount', ['-l', directory]) };
}

/** Reports whether this user may mount. */
export function canMount(): boolean {
  const directory = makeScratchDirectory('mount');
  try {
    using _mounted = mountSmall(directory);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
