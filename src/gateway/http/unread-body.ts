import type { IncomingMessage } from 'node:http';
import { stoppableChunks } from '#base/streams/stoppable-chunks';

const MAX_MS = 2000;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Reports whether more of the body follows. A request without a body is complete only shortly after
 * it has started.
 */
export function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  return (
    !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
  );
}

/**
 * Reads and drops the rest of a request after its response, within limits. Closing a connection
 * with unread bytes resets it, and a reset can overtake the response. A connection that is kept
 * must be read up to its next request.
 */
export async function discardRest(request: IncomingMessage): Promise<void> {
  const chunks = stoppableChunks(request);
  using _timer = setTimeout(() => void chunks.return?.(), MAX_MS);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BYTES) break;
    }
  } catch {
    // the client has disconnected, which is fine
  }
}
