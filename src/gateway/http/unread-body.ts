import type { IncomingMessage } from 'node:http';
import { stoppableChunks } from '#base/stoppable-chunks';

const MAX_MS = 2000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Whether there is more of the body to come. A request without a body is complete only a moment after it has begun. */
export function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);
}

/**
 * Reads and drops what a client still sends when its answer is there, within bounds. A connection that is closed over unread bytes is
 * reset, and a reset can overtake the answer; and one that is kept needs its next request to be reached.
 */
export async function discardRest(request: IncomingMessage): Promise<void> {
  const chunks = stoppableChunks(request);
  const timer = setTimeout(() => void chunks.return?.(), MAX_MS);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BYTES) break;
    }
  } catch {
    // the client is gone, which is as good
  } finally {
    clearTimeout(timer);
  }
}
