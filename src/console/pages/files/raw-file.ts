import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { requestedContent } from '#base/network/requested-content';
import { partOf } from '#base/streams/part-of';
import { openTreeEntry } from '#client/content/open-content';
import { type ConsolePage, notFound } from '#console/page';
import type { PageAnswer } from '#gateway/http/pages/page-source';
import { TreeEntryResponse_ObjectType as ObjectType } from '#wire/gen/commit_pb';
import type { RepositoryVisit } from '../repository-visit.ts';
import { baseName, looksBinary } from './file-kind.ts';

/** Pictures that browsers show, by the end of their names. */
const PICTURES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  gif: 'image/gif',
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  png: 'image/png',
  svg: 'image/svg+xml',
  webp: 'image/webp',
};
/** The file is shown alone, without scripts, and has no part in the console. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/** Reports whether a file is a picture by its name. */
export function isPicture(path: Buffer): boolean {
  return pictureType(path) !== undefined;
}

/**
 * Sends a file as it is, or a range of it. Only pictures have their own type: a page in a
 * repository is a text here.
 */
export async function rawFile(visit: RepositoryVisit): Promise<ConsolePage | PageAnswer> {
  const { commit, connection, headers, method, query, repository, rest, signal } = visit;
  const request = { repository: repository.message, revision: Buffer.from(commit.id), path: rest };
  // A slow client may take longer than the calls of a page.
  const entry = await openTreeEntry(connection, request, { signal });
  if (entry?.type !== ObjectType.BLOB) {
    entry?.content.destroy();
    return notFound();
  }
  const { content, oid, size } = entry;
  const requested = requestedContent(headers, { etag: `"${oid}"`, sizeBytes: Number(size) });
  const first = await firstBytes(content);
  const text = looksBinary(first) ? 'application/octet-stream' : 'text/plain; charset=utf-8';
  const kind = query.has('download') ? 'attachment' : 'inline';
  const answer = {
    status: requested.status,
    headers: {
      'Content-Type': pictureType(rest) ?? text,
      'Content-Disposition': `${kind}; filename*=UTF-8''${encodeURIComponent(baseName(rest))}`,
      'Content-Security-Policy': POLICY,
      'Cache-Control': 'private, no-cache',
      ...requested.headers,
    },
    body: '',
  };
  if (requested.range !== undefined && method !== 'HEAD')
    return { ...answer, stream: partOf(content, requested.range) };
  content.destroy();
  return answer;
}

function pictureType(path: Buffer): string | undefined {
  const name = baseName(path).toLowerCase();
  return PICTURES[name.slice(name.lastIndexOf('.') + 1)];
}

/** Returns the bytes that have arrived first, and leaves them in the stream. */
async function firstBytes(content: Readable): Promise<Buffer> {
  if (content.readableLength === 0 && !content.readableEnded) await once(content, 'readable');
  const first: unknown = content.read();
  if (!Buffer.isBuffer(first)) return Buffer.alloc(0);
  content.unshift(first);
  return first;
}
