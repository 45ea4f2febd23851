import { stat, truncate } from 'node:fs/promises';

const MAX_LOG_BYTES = 16 << 20;
const LOOK_EVERY_MS = 60_000;

/** Empties each log that has become too long, until it is disposed. Its writers append to it. */
export function limitLogs(paths: readonly string[]): Disposable {
  const timer = setInterval(() => {
    for (const path of paths) void emptyIfLong(path).catch(() => {}); // it was removed
  }, LOOK_EVERY_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function emptyIfLong(path: string): Promise<void> {
  if ((await stat(path)).size > MAX_LOG_BYTES) await truncate(path);
}
