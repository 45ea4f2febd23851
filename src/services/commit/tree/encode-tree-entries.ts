import type { MessageShape } from '@bufbuild/protobuf';
import type { EntryKind } from '#git/names/entry-kind';
import type { WalkedEntry } from '#git/trees/walked-entry';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldTags } from '#wire/fast/field-numbers';
import { fieldBytes, numberBytes, writeAscii, writeBytes, writeNumber } from '#wire/fast/fields';
import { GetTreeEntriesResponseSchema, TreeEntry_EntryType, TreeEntrySchema } from '#wire/gen/commit_pb';
import { PaginationCursorSchema } from '#wire/gen/shared_pb';

/** An entry as clients see it. */
export interface SentEntry {
  readonly entry: WalkedEntry;
  readonly flatPath: Buffer | undefined;
}

const RESPONSE = fieldTags(GetTreeEntriesResponseSchema, { entries: 'message', paginationCursor: 'message' });
const ENTRY = fieldTags(TreeEntrySchema, {
  oid: 'text',
  rootOid: 'text',
  path: 'bytes',
  type: 'number',
  mode: 'number',
  commitOid: 'text',
  flatPath: 'bytes',
});
const { nextCursor: NEXT_CURSOR } = fieldTags(PaginationCursorSchema, { nextCursor: 'text' });

const TYPES: Readonly<Record<EntryKind, number>> = {
  blob: TreeEntry_EntryType.BLOB,
  tree: TreeEntry_EntryType.TREE,
  submodule: TreeEntry_EntryType.COMMIT,
};

/**
 * Returns the size of the encoded message of an entry, without its tag and length, and without what
 * only clients of 15.0 get.
 */
export function entryBytes(
  { entry: { oidLength, pathLength, kind, mode }, flatPath }: SentEntry,
  revision: Uint8Array,
): number {
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

/** Fields of a response in addition to its entries. */
export interface EntriesFacts {
  /** `commit_oid` of the entries: UTF-8, not empty. */
  readonly revision: Uint8Array;
  /** `root_oid` of the entries; empty for none. */
  readonly rootOid: string;
  /** Only for the first response. */
  readonly nextCursor: string | undefined;
}

/**
 * Encodes a response with entries, and the cursor if it is the first one. Listings have thousands
 * of entries and spend most of their time here, so the code writes the wire format directly.
 */
export function encodeTreeEntries(
  entries: readonly SentEntry[],
  { revision, rootOid, nextCursor }: EntriesFacts,
): MessageShape<typeof GetTreeEntriesResponseSchema> {
  const rootBytes = rootOid === '' ? 0 : fieldBytes(rootOid.length);
  const sizes = entries.map((sent) => entryBytes(sent, revision) + rootBytes);
  const cursorBytes = nextCursor ? fieldBytes(nextCursor.length) : 0;
  const out = Buffer.allocUnsafe(
    sizes.reduce(
      (sum, size) => sum + fieldBytes(size),
      nextCursor === undefined ? 0 : fieldBytes(cursorBytes),
    ),
  );
  let at = 0;
  for (const [index, { entry, flatPath }] of entries.entries()) {
    const { kind, mode } = entry;
    at = writeNumber(out, at, RESPONSE.entries, sizes[index] ?? 0);
    at = entry.writeOid(out, writeNumber(out, at, ENTRY.oid, entry.oidLength));
    if (rootBytes > 0) at = writeAscii(out, at, ENTRY.rootOid, rootOid);
    at = entry.writePath(out, writeNumber(out, at, ENTRY.path, entry.pathLength));
    if (TYPES[kind] !== 0) at = writeNumber(out, at, ENTRY.type, TYPES[kind]);
    at = writeNumber(out, at, ENTRY.mode, mode);
    at = writeBytes(out, at, ENTRY.commitOid, revision);
    if (flatPath !== undefined) at = writeBytes(out, at, ENTRY.flatPath, flatPath);
  }
  if (nextCursor !== undefined) {
    at = writeNumber(out, at, RESPONSE.paginationCursor, cursorBytes);
    // Base64.
    if (nextCursor) writeAscii(out, at, NEXT_CURSOR, nextCursor);
  }
  return encodedMessage(GetTreeEntriesResponseSchema, out);
}
