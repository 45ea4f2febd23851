import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Returns what is ambiguous about the length of a request, or about the host that it is for;
 * `undefined` for a clear one. A proxy may parse such a request differently, and treat a part of it
 * as the next request of another client. Node's parser refuses the other shapes.
 *
 * @see RFC 9112, sections 3.2 and 6.1
 */
export function framingProblem({ headersDistinct, httpVersion }: IncomingMessage): string | undefined {
  const encodings = headersDistinct['transfer-encoding'] ?? [];
  if (encodings.length > 1) return 'The request has more than one Transfer-Encoding header.';
  const [encoding] = encodings;
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    return 'The Transfer-Encoding of a request must be chunked.';
  if (encoding !== undefined && httpVersion === '1.0') return 'HTTP/1.0 has no Transfer-Encoding.';
  if (encoding !== undefined && headersDistinct['content-length'] !== undefined)
    return 'The request has a Transfer-Encoding and a Content-Length.';
  if ((headersDistinct.host ?? []).length > 1) return 'The request has more than one Host header.';
  return undefined;
}

/** Refuses a request with 400 and closes its connection: the next request may begin anywhere. */
export function refuseFraming(response: ServerResponse, problem: string): void {
  const body = `${problem}\n`;
  response.writeHead(400, {
    Connection: 'close',
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body, () => response.socket?.destroySoon());
}
