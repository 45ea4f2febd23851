import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { acceptsGzip } from '#base/network/accepts-gzip';
import { hasContent } from '#base/network/requested-content';
import { copyStream, writeChunk } from '#base/streams/copy-stream';
import type { HttpExchange } from '../http-exchange.ts';
import { discardRest, hasUnreadBody } from '../unread-body.ts';
import type { Reply } from './operation.ts';
import { Problem } from './problems.ts';

const NDJSON = 'application/x-ndjson';
/** Items of a page without `limit`. */
const PAGE_ITEMS = 100;
/** Items that are read at a time for a stream. */
const BATCH_ITEMS = 1000;
/** Smaller answers are not compressed. */
const COMPRESS_BYTES = 1024;
const FRESH = {
  'Cache-Control': 'no-cache',
  Vary: 'Accept, Accept-Encoding, Origin',
  'X-Content-Type-Options': 'nosniff',
} as const;
/** Headers that a refusal keeps, too. */
const CORS = /^access-control-/;
const compress = promisify(gzip);

interface JsonAnswer {
  readonly value: unknown;
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function sendReply(
  { access, request, response, signal }: HttpExchange,
  query: Readonly<Record<string, unknown>>,
  reply: Reply,
): Promise<void> {
  if ('json' in reply) {
    const { headers = {}, json: value, status = 200 } = reply;
    if (status === 200 && headers.ETag !== undefined && hasContent(request.headers, headers.ETag)) {
      response.writeHead(304, { ...FRESH, ...headers }).end();
      return;
    }
    return await sendJson(request, response, { value, status, headers });
  }
  if ('page' in reply) {
    if (wantsLines(request)) return await sendLines(request, response, linesOf(reply, query, signal));
    return await sendJson(request, response, { value: await readPage(reply, query) });
  }
  if (!('stream' in reply)) return sendNothing(response, reply.status);
  const { headers, status, stream } = reply;
  response.writeHead(status, { ...FRESH, ...headers });
  if (stream !== undefined && request.method !== 'HEAD') {
    await copyStream(
      counted(stream, (chunk) => access?.output(chunk)),
      response,
    );
  }
  response.end();
}

/** Sends a page of plain text. */
export function sendText(request: IncomingMessage, response: ServerResponse, text: string): void {
  response.writeHead(200, { ...FRESH, 'Content-Type': 'text/markdown; charset=utf-8' });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** Sends a status without a body. */
export function sendNothing(response: ServerResponse, status: number): void {
  response.writeHead(status, FRESH).end();
}

/** Returns the page of a list that a query asks for, with the cursor of the next one. */
export async function readPage(
  { page }: Extract<Reply, { page: unknown }>,
  query: Readonly<Record<string, unknown>>,
): Promise<{ readonly items: readonly unknown[]; readonly next?: string }> {
  const { items, next } = await page(cursorOf(query), limitOf(query) ?? PAGE_ITEMS);
  return { items, ...(next !== undefined && { next: Buffer.from(next).toString('base64url') }) };
}

/** Sends a JSON document, compressed if the client allows it. */
export async function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  { headers, status = 200, type = 'application/json', value }: JsonAnswer,
): Promise<void> {
  const plain = Buffer.from(`${JSON.stringify(value)}\n`);
  const isCompressed = plain.length > COMPRESS_BYTES && acceptsGzip(request.headers['accept-encoding']);
  const bytes = isCompressed ? await compress(plain) : plain;
  response.writeHead(status, {
    ...FRESH,
    'Content-Type': type,
    'Content-Length': bytes.length,
    ...(isCompressed && { 'Content-Encoding': 'gzip' }),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Sends a problem. A connection with an unread body is closed. */
export async function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  { document, headers, status }: Problem,
): Promise<void> {
  for (const name of response.getHeaderNames()) if (!CORS.test(name)) response.removeHeader(name);
  const isUnread = hasUnreadBody(request);
  const type = 'application/problem+json';
  const answer = {
    value: document,
    status,
    type,
    headers: { ...headers, ...(isUnread && { Connection: 'close' }) },
  };
  await sendJson(request, response, answer);
  if (isUnread) await discardRest(request);
}

function wantsLines({ headers }: IncomingMessage): boolean {
  return headers.accept?.includes(NDJSON) === true;
}

/** Sends each item as a line, as fast as the client reads. */
async function sendLines(
  request: IncomingMessage,
  response: ServerResponse,
  lines: AsyncIterable<unknown>,
): Promise<void> {
  const begin = (): unknown =>
    response.headersSent || response.writeHead(200, { ...FRESH, 'Content-Type': NDJSON });
  for await (const item of lines) {
    begin(); // after the first item, so that an error before it has its status
    if (request.method === 'HEAD') break;
    await writeChunk(response, Buffer.from(`${JSON.stringify(item)}\n`));
  }
  begin();
  response.end();
}

/** Yields the items of a list, up to the limit of the client. */
async function* linesOf(
  { all, page }: Extract<Reply, { page: unknown }>,
  query: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  let left = limitOf(query) ?? Number.POSITIVE_INFINITY;
  let after = cursorOf(query);
  if (all !== undefined && after === undefined) {
    for await (const item of all()) {
      if (left-- <= 0) return;
      yield item;
    }
    return;
  }
  do {
    const { items, next } = await page(after, Math.min(left, BATCH_ITEMS));
    signal.throwIfAborted();
    yield* items;
    left -= items.length;
    after = next;
  } while (after !== undefined && left > 0);
}

function limitOf({ limit }: Readonly<Record<string, unknown>>): number | undefined {
  return typeof limit === 'number' ? limit : undefined;
}

/** Returns the decoded cursor. @throws {Problem} */
function cursorOf({ cursor }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof cursor !== 'string') return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const text = bytes.toString();
  if (text === '' || text.includes('\0') || !isUtf8(bytes))
    throw new Problem('invalid-request', 400, 'The cursor is not one of this server.');
  return text;
}

async function* counted(
  stream: AsyncIterable<Uint8Array>,
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    onChunk(chunk);
    yield chunk;
  }
}
