import { isUtf8 } from 'node:buffer';
import { GitalyError } from '#base/gitaly-error';
import type { WalkedEntry } from '#git/trees/walked-entry';
import type { PaginationParameter } from '#wire/gen/shared_pb';
import { decodeCursor, encodeCursor } from '../convert/pagination.ts';

/** Where a page of a directory begins. */
export interface TreeToken {
  /** The path of the last entry of the page before, or its id in old tokens; empty from the start. */
  readonly start: string;
  readonly isPath: boolean;
  /** The tree that the first page was of, whatever was pushed meanwhile; empty in old tokens. */
  readonly treeOid: string;
}

/** Reads a page token: base64 of JSON, or the plain id of an entry as older servers made it. */
export function readTreeToken(token: string): TreeToken {
  const fields = decodeCursor(token);
  const { file_name: start = '', tree_oid: treeOid = '' } = fields ?? {};
  if (fields === undefined || typeof start !== 'string' || typeof treeOid !== 'string') {
    return { start: token, isPath: false, treeOid: '' };
  }
  return { start, isPath: true, treeOid };
}

/** A page of a listing, and what the next one begins with. */
export interface TreePage {
  readonly entries: readonly WalkedEntry[];
  /** Empty at the end of the listing. */
  readonly nextCursor: string;
}

/**
 * Cuts a page out of a listing: a limit of 0 is an empty page, a negative one everything. The listing is read one entry further than
 * the page.
 *
 * @throws {GitalyError} without a code when the page begins behind an entry that is not in the listing.
 */
export async function cutTreePage(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  { limit, pageToken }: PaginationParameter,
  treeOid: string,
): Promise<TreePage> {
  const { start, isPath } = readTreeToken(pageToken);
  const startPath = Buffer.from(start);
  const isStart = (entry: WalkedEntry): boolean => (isPath ? entry.path.equals(startPath) : entry.oid === start);
  const entries: WalkedEntry[] = [];
  let isInside = start === '';
  if (isInside && limit === 0) return { entries, nextCursor: '' };
  for await (const batch of batches) {
    for (const entry of batch) {
      if (!isInside) {
        isInside = isStart(entry);
        if (isInside && limit === 0) return { entries, nextCursor: '' };
        continue;
      }
      if (limit >= 0 && entries.length === limit) return { entries, nextCursor: cursorBehind(entries.at(-1), treeOid) };
      entries.push(entry);
    }
  }
  if (!isInside) throw new GitalyError('UNKNOWN', `could not find starting OID: ${start}`);
  return { entries, nextCursor: '' };
}

function cursorBehind(entry: WalkedEntry | undefined, treeOid: string): string {
  return encodeCursor({ file_name: entry === undefined ? '' : asText(entry.path), tree_oid: treeOid });
}

/** As Go reads bytes as text: every byte that is no UTF-8 is a character of its own, unknown. */
function asText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((count) => at + count <= bytes.length && isUtf8(bytes.subarray(at, at + count)));
    text += length === undefined ? '\ufffd' : bytes.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return text;
}
