import { readdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** git writes at most some 100 MB in this time. */
const LOOK_EVERY_MS = 500;

/**
 * Calls `onExceeded` once when the files in a directory are larger than a limit together. git has
 * no such limit for what it fetches. Disposing stops it.
 */
export function watchSize(directory: string, maxBytes: number, onExceeded: () => void): Disposable {
  const stopped = new AbortController();
  void watch(directory, maxBytes, onExceeded, stopped.signal);
  return { [Symbol.dispose]: () => stopped.abort() };
}

async function watch(
  directory: string,
  maxBytes: number,
  onExceeded: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (await waited(signal)) {
    if ((await sizeOf(directory)) <= maxBytes) continue;
    if (!signal.aborted) onExceeded();
    return;
  }
}

async function waited(signal: AbortSignal): Promise<boolean> {
  try {
    await delay(LOOK_EVERY_MS, undefined, { signal, ref: false });
    return true;
  } catch {
    return false; // stopped
  }
}

/** Files appear and vanish meanwhile; a missing one counts nothing. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += (await stat(`${entry.parentPath}/${entry.name}`).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
