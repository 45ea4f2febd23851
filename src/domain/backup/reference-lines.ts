import { LoopSlice } from '#base/async/loop-turns';
import { evenStream } from '#base/streams/even-pieces';
import { lineBatches } from '#base/streams/line-batches';
import { isOid } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { referenceLinesOf } from '../bundle/bundle-header.ts';

/** A reference as a backup has it: a line `<object id> <name>`. */
export interface BackedUpReference {
  readonly oid: string;
  readonly name: Buffer;
}

/** Number of references that a backup may have; each takes some 200 bytes while it is restored. */
const MAX_REFERENCES = 10_000_000;
/** Some hundred lines, which are parsed at once. */
const PIECE_BYTES = 32 * 1024;
const LINE_FEED = 0x0a;

/** Yields the lines of HEAD, if it leads to a commit, and of all references in the order of names. */
export async function* referenceLines(
  repository: Repository,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const head = await repository.refs.resolve('HEAD', { signal });
  if (head !== undefined) yield Buffer.from(`${head.oid} HEAD\n`);
  for await (const batch of repository.refs.list({ patterns: [Buffer.from('refs/')] }, { signal }))
    yield referenceLinesOf(batch);
}

/**
 * Reads the lines of {@link referenceLines}.
 *
 * @throws {Error} for other lines, for too many, and for a list that is cut off.
 */
export async function readReferenceLines(pieces: AsyncIterable<Buffer>): Promise<BackedUpReference[]> {
  const references: BackedUpReference[] = [];
  await eachReference(pieces, ({ oid, name }) => references.push({ oid, name: Buffer.from(name) }));
  return references;
}

/**
 * Calls a function with each reference of a list, whose name is valid until it returns.
 *
 * @throws {Error} as {@link readReferenceLines}.
 */
export async function eachReference(
  pieces: AsyncIterable<Buffer>,
  handle: (reference: BackedUpReference) => void,
): Promise<void> {
  const slice = new LoopSlice();
  let count = 0;
  for await (const lines of lineBatches(evenStream(whole(pieces), PIECE_BYTES))) {
    await slice.pause();
    for (const line of lines) {
      if (count++ === MAX_REFERENCES) throw new Error('the backup has too many references');
      handle(parseLine(line));
    }
  }
}

/** Passes pieces on. @throws {Error} if the last line is incomplete: the name could be cut off. */
async function* whole(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let last = LINE_FEED;
  for await (const piece of pieces) {
    last = piece.at(-1) ?? last;
    yield piece;
  }
  if (last !== LINE_FEED) throw new Error('the list of references in the backup is cut off');
}

function parseLine(line: Buffer): BackedUpReference {
  const space = line.indexOf(' ');
  const oid = line.subarray(0, space).toString('latin1');
  if (!isOid(oid) || line.length === space + 1) throw new Error('the backup has a line that is no reference');
  return { oid, name: line.subarray(space + 1) };
}
