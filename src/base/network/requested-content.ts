import type { IncomingHttpHeaders } from 'node:http';
import { type ByteRange, parseByteRange } from './byte-range.ts';

/** The start of an HTTP response with a content, or a part of it, or with none. */
export interface RequestedContent {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes to send; `undefined` for none. */
  readonly range: ByteRange | undefined;
}

/**
 * Chooses what a request for a content receives, by its headers `If-None-Match`, `If-Range` and
 * `Range`.
 *
 * @param etag with its quotes.
 * @see RFC 9110, sections 13 and 14
 */
export function requestedContent(
  request: IncomingHttpHeaders,
  { etag, sizeBytes }: { readonly etag: string; readonly sizeBytes: number },
): RequestedContent {
  const headers = { ETag: etag, 'Accept-Ranges': 'bytes' };
  const { 'if-range': ifRange, range: header } = request;
  if (hasContent(request, etag)) return { status: 304, headers, range: undefined };
  const isCurrent = ifRange === undefined || ifRange === etag;
  const range = isCurrent ? parseByteRange(header, sizeBytes) : undefined;
  if (range === 'unsatisfiable')
    return {
      status: 416,
      headers: { ...headers, 'Content-Range': `bytes */${sizeBytes}` },
      range: undefined,
    };
  const { length, start } = range ?? { start: 0, length: sizeBytes };
  const part = range && { 'Content-Range': `bytes ${start}-${start + length - 1}/${sizeBytes}` };
  return {
    status: range === undefined ? 200 : 206,
    headers: { ...headers, ...part, 'Content-Length': String(length) },
    range: { start, length },
  };
}

/**
 * Reports whether a client has a content, by its header `If-None-Match`. Proxies that compress mark
 * the ids in it as weak.
 *
 * @param etag with its quotes.
 */
export function hasContent(request: IncomingHttpHeaders, etag: string): boolean {
  const ids = request['if-none-match']?.split(',').map((each) => each.trim().replace(/^W\//, ''));
  return ids?.some((each) => each === etag || each === '*') === true;
}
