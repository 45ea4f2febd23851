import type { ServerResponse } from 'node:http';

/**
 * A complete response in plain text. git shows such text to its user, each line after `remote: `.
 */
export interface Answer {
  readonly status: number;
  /** Describes the error and how to fix it; without a final newline. */
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Headers that forbid caching of a Git server's responses, in the order of git http-backend. */
const NO_CACHE = {
  Expires: 'Fri, 01 Jan 1980 00:00:00 GMT',
  Pragma: 'no-cache',
  'Cache-Control': 'no-cache, max-age=0, must-revalidate',
} as const;

/**
 * Prepares the headers of a streamed response. They are sent with the first byte of the body and
 * can be replaced until then.
 */
export function setStreamHeaders(response: ServerResponse, contentType: string): void {
  response.statusCode = 200;
  for (const [name, value] of Object.entries({ ...NO_CACHE, 'Content-Type': contentType }))
    response.setHeader(name, value);
}

/**
 * Sends a complete response instead of a prepared one. Call it only before the first byte was sent.
 *
 * @param isOpen true if the caller ends the response: the client has received the response, and the
 *   connection remains open
 */
export function sendAnswer(response: ServerResponse, answer: Answer, { isOpen = false } = {}): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  const body = Buffer.from(`${answer.text}\n`);
  response.writeHead(answer.status, {
    ...NO_CACHE,
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  });
  if (response.req.method !== 'HEAD') response.write(body);
  if (!isOpen) response.end();
}
