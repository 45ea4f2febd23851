import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { FoundCommit } from '#git/objects/found-commit';
import type { Mailmap } from '#git/objects/parse/mailmap';
import { encodeWith } from '#wire/fast/reverse-writer';
import { type CommitExtras, toCommitMessage } from './commit.ts';
import { encodeCommit } from './encode-commit.ts';

interface Kept {
  /** Bytes of the object, which is kept with its message: a signature is only in the object. */
  readonly size: number;
  readonly mailmap: Mailmap | undefined;
  readonly encoded: Buffer;
}

const MAX_BYTES = 4 * 1024 * 1024;
/** Memory of an entry in addition to its bytes. */
const ENTRY_BYTES = 512;

/**
 * Messages of commits whose objects are cached, by these objects and not by id: a damaged
 * repository may have another object with the id.
 */
const kept = new BoundedMap<Buffer, Kept>({
  maxEntries: MAX_BYTES / ENTRY_BYTES,
  maxWeight: MAX_BYTES,
  weigh: ({ encoded, size }) => size + encoded.length + ENTRY_BYTES,
  order: 'insertion',
});

/** Returns the encoded `GitCommit` of a commit, which must not be changed. */
export function encodedCommit(found: FoundCommit, extras: CommitExtras = {}): Buffer {
  const { mailmap, object } = found;
  if (extras.trailers || extras.shortStats || extras.referencedBy) return encode(found, extras);
  const known = object.isCached === true ? kept.get(object.data) : undefined;
  if (known !== undefined && known.mailmap === mailmap) return known.encoded;
  const encoded = encode(found);
  if (object.isCached === true)
    kept.set(object.data, { size: object.data.length, mailmap, encoded: keptBytes([encoded]) });
  return encoded;
}

function encode({ parsed }: FoundCommit, extras?: CommitExtras): Buffer {
  return encodeWith((writer) => encodeCommit(writer, toCommitMessage(parsed, extras)));
}
