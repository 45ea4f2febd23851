import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { stoppableChunks } from '#base/streams/stoppable-chunks';

/**
 * Time in milliseconds to wait for more output after the hook has exited: a process that the hook
 * started may keep the output open for ever.
 */
export const OUTPUT_GRACE_MS = 1_000;
/** More than a pipe or a socket holds: output before the exit always arrives. */
const MAX_LATE_BYTES = 1024 * 1024;
/** Longest time in milliseconds until the next piece of the pipe's contents arrives here. */
const LATE_PIECE_MS = 50;

/**
 * Copies what a hook prints until its end, or, where a process that it left behind keeps it open,
 * until the grace after the hook's own exit is over. A slow reader loses nothing that was printed
 * before.
 */
export async function copyOutput(
  source: Readable,
  exited: Promise<unknown>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = stoppableChunks(source);
  const stop = (): void => void chunks.return?.();
  const copied = new AbortController();
  let isLate = false;
  let isWaiting = false;
  let timer: NodeJS.Timeout | undefined;
  const limitWait = (): void => {
    if (isLate && isWaiting) timer = setTimeout(stop, LATE_PIECE_MS);
  };
  const becomeLate = async (): Promise<void> => {
    await exited;
    await delay(OUTPUT_GRACE_MS, undefined, { signal: copied.signal });
    isLate = true;
    limitWait();
  };
  becomeLate().catch(() => {}); // all output was copied before
  try {
    for (let lateBytes = 0; lateBytes <= MAX_LATE_BYTES; ) {
      isWaiting = true;
      limitWait();
      const { done, value: chunk } = await chunks.next();
      isWaiting = false;
      clearTimeout(timer);
      if (done === true) return;
      await write(chunk);
      if (isLate) lateBytes += chunk.byteLength;
    }
    stop();
  } finally {
    copied.abort();
    clearTimeout(timer);
  }
}
