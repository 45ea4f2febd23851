import { GitalyError } from '#base/gitaly-error';
import { textOfUtf8 } from '#base/go/encoding/utf8';
import type { WalkedEntry } from '#git/trees/walked-entry';
import { decodeCursor, encodeCursor } from '#services/convert/request/pagination';
import type { PaginationParameter } from '#wire/gen/shared_pb';

/** Start of a page of a directory. */
export interface TreeToken {
  /**
   * The path of the last entry of the page before, or its id in old tokens; empty from the start.
   */
  readonly start: string;
  readonly isPath: boolean;
  /** Tree of the first page, which later pushes do not change; empty in old tokens. */
  readonly treeOid: string;
}

/** Reads a page token: base64 of JSON, or the plain id of an entry as older servers made it. */
export function readTreeToken(token: string): TreeToken {
  const fields = decodeCursor(token);
  const start = fields?.has('file_name') ? fields.text('file_name') : '';
  const treeOid = fields?.has('tree_oid') ? fields.text('tree_oid') : '';
  if (fields === undefined || start === undefined || treeOid === undefined) {
    return { start: token, isPath: false, treeOid: '' };
  }
  return { start, isPath: true, treeOid };
}

/** A page of a listing, and the position of the next page. */
export interface TreePage {
  readonly entries: readonly WalkedEntry[];
  /** Empty at the end of the listing. */
  readonly nextCursor: string;
}

/**
 * Cuts a page out of a listing: a limit of 0 is an empty page, a negative one everything. The
 * listing is read one entry further than the page.
 *
 * @throws {GitalyError} without a code when the page begins behind an entry that is not in the
 *   listing.
 */
export async function cutTreePage(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  { limit, pageToken }: PaginationParameter,
  treeOid: string,
): Promise<TreePage> {
  const { start, isPath } = readTreeToken(pageToken);
  const startPath = Buffer.from(start);
  const isStart = (entry: WalkedEntry): boolean =>
    isPath ? entry.path.equals(startPath) : entry.oid === start;
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
      if (limit >= 0 && entries.length === limit)
        return { entries, nextCursor: cursorBehind(entries.at(-1), treeOid) };
      entries.push(entry);
    }
  }
  if (!isInside) throw new GitalyError('UNKNOWN', `could not find starting OID: ${start}`);
  return { entries, nextCursor: '' };
}

function cursorBehind(entry: WalkedEntry | undefined, treeOid: string): string {
  return encodeCursor({ file_name: entry === undefined ? '' : textOfUtf8(entry.path), tree_oid: treeOid });
}
