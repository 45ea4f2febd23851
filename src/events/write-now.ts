import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/**
 * Writes to a file in this step: the system only copies the bytes. A thread would take longer, and
 * waits until flushes of other calls have ended.
 *
 * @param position Default: the end of a file that was opened to append.
 */
export function writeNow({ fd }: FileHandle, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, undefined, position === undefined ? undefined : position + done);
}
