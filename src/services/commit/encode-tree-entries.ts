import type { MessageShape } from '@bufbuild/protobuf';
import type { EntryKind } from '#git/trees/entry-kind';
import type { WalkedEntry } from '#git/trees/walked-entry';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldBytes, numberBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import { GetTreeEntriesResponseSchema, TreeEntry_EntryType } from '#wire/gen/commit_pb';

/** An entry as clients see it. */
export interface SentEntry {
  readonly entry: WalkedEntry;
  readonly flatPath: Buffer | undefined;
}

/** Tags of `GetTreeEntriesResponse`. */
const ENTRIES = 0x0a;
const PAGINATION_CURSOR = 0x12;
/** Tags of `TreeEntry`, and of `PaginationCursor`. */
const OID = 0x0a;
const PATH = 0x1a;
const TYPE = 0x20;
const MODE = 0x28;
const COMMIT_OID = 0x32;
const FLAT_PATH = 0x3a;
const NEXT_CURSOR = 0x0a;

const TYPES: Readonly<Record<EntryKind, number>> = {
  blob: TreeEntry_EntryType.BLOB,
  tree: TreeEntry_EntryType.TREE,
  submodule: TreeEntry_EntryType.COMMIT,
};

/** Size of the encoded message of an entry, without its tag and length. */
export function entryBytes({ entry: { oidLength, pathLength, kind, mode }, flatPath }: SentEntry, revision: Uint8Array): number {
  return (
    fieldBytes(oidLength) +
    fieldBytes(pathLength) +
    (TYPES[kind] === 0 ? 0 : 2) +
    numberBytes(mode) +
    1 +
    fieldBytes(revision.length) +
    (flatPath === undefined ? 0 : fieldBytes(flatPath.length))
  );
}

/**
 * A response with entries, and the cursor if it is the first one. Listings have thousands of entries and spend most of their time here,
 * so it is done by hand.
 *
 * @param revision what the entries have as `commit_oid`: UTF-8, not empty.
 */
export function encodeTreeEntries(
  entries: readonly SentEntry[],
  revision: Uint8Array,
  nextCursor: string | undefined,
): MessageShape<typeof GetTreeEntriesResponseSchema> {
  const sizes = entries.map((sent) => entryBytes(sent, revision));
  const cursorBytes = nextCursor ? fieldBytes(nextCursor.length) : 0;
  const out = Buffer.allocUnsafe(
    sizes.reduce((sum, size) => sum + fieldBytes(size), nextCursor === undefined ? 0 : fieldBytes(cursorBytes)),
  );
  let at = 0;
  for (const [index, { entry, flatPath }] of entries.entries()) {
    const { kind, mode } = entry;
    at = writeNumber(out, at, ENTRIES, sizes[index] ?? 0);
    at = entry.writeOid(out, writeNumber(out, at, OID, entry.oidLength));
    at = entry.writePath(out, writeNumber(out, at, PATH, entry.pathLength));
    if (TYPES[kind] !== 0) at = writeNumber(out, at, TYPE, TYPES[kind]);
    at = writeNumber(out, at, MODE, mode);
    at = writeBytes(out, at, COMMIT_OID, revision);
    if (flatPath !== undefined) at = writeBytes(out, at, FLAT_PATH, flatPath);
  }
  if (nextCursor !== undefined) {
    at = writeNumber(out, at, PAGINATION_CURSOR, cursorBytes);
    // Base64.
    if (nextCursor) writeAscii(out, at, NEXT_CURSOR, nextCursor);
  }
  return encodedMessage(GetTreeEntriesResponseSchema, out);
}
