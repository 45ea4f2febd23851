import type { OidDigits } from '#git/names/object-id';
import { ChunkReader } from './chunk-reader.ts';
import { type Patch, PatchReader, type PatchRules } from './patch-reader.ts';
import { type ChangedPath, parseRawLine, splitTypeChange } from './raw-line.ts';

/** One changed file with its patch. */
export interface FileDiff {
  readonly change: ChangedPath;
  readonly patch: Patch;
}

/** Callbacks for files during the parsing. */
export interface FileVisitor<T> {
  /** Called for each file before its patch is read, possibly several times. */
  readonly rulesFor?: (change: ChangedPath) => PatchRules;
  /**
   * Called for each file, in order, before the next one is parsed. Its result is yielded unless it
   * is `undefined`.
   */
  readonly take: (diff: FileDiff) => T | undefined;
}

const COLON = 0x3a;
const LINE_FEED = 0x0a;

/**
 * Parses the output of `git diff --raw --patch` with full ids, without `-z`: a raw line for each
 * file, an empty line, the patches. Yields every raw line in order with its patch, if git printed
 * one; type changes are split in two. Files are yielded in batches: those that were complete before
 * more bytes were needed.
 *
 * The raw lines (some 150 bytes per file) are kept until the patches arrive, then one patch at a
 * time.
 *
 * @throws {DiffFormatError} with Gitaly's text for other output.
 */
export async function* parseDiff<T>(
  chunks: AsyncIterable<Uint8Array>,
  { hexLength, ...visitor }: FileVisitor<T> & { readonly hexLength: OidDigits },
): AsyncGenerator<T[]> {
  const reader = new ChunkReader(chunks);
  try {
    const lines = new RawLines();
    while (!lines.readFrom(reader)) await reader.more();
    yield* readPatches(reader, changesOf(lines, hexLength), visitor);
  } finally {
    await reader.close();
  }
}

/**
 * Parses the patches of known changes, as `git diff-pairs` and `git diff-tree -p` print them, in
 * the same order.
 */
export async function* parsePatches<T>(
  chunks: AsyncIterable<Uint8Array>,
  changes: Iterable<ChangedPath>,
  visitor: FileVisitor<T>,
): AsyncGenerator<T[]> {
  const reader = new ChunkReader(chunks);
  try {
    yield* readPatches(reader, changes, visitor);
  } finally {
    await reader.close();
  }
}

async function* readPatches<T>(
  reader: ChunkReader,
  changes: Iterable<ChangedPath>,
  visitor: FileVisitor<T>,
): AsyncGenerator<T[]> {
  const patches = new PatchReader(reader);
  let batch: T[] = [];
  for (const change of changes) {
    const rules = visitor.rulesFor?.(change);
    let patch = patches.read(change.fromPath, rules);
    while (patch === undefined) {
      if (batch.length > 0) yield batch;
      batch = [];
      await reader.more();
      patch = patches.read(change.fromPath, rules);
    }
    const taken = visitor.take({ change, patch });
    if (taken !== undefined) batch.push(taken);
  }
  if (batch.length > 0) yield batch;
}

function* changesOf(lines: RawLines, hexLength: OidDigits): Generator<ChangedPath> {
  for (const line of lines.all()) yield* splitTypeChange(parseRawLine(line, hexLength));
}

/** The raw lines as bytes, which need a tenth of the memory of objects. */
class RawLines {
  readonly #blocks: Buffer[] = [];

  /**
   * Reads the complete buffered lines that begin with a colon, and the following one (it is empty).
   * Returns true if that was reached, or the end; an incomplete line there is dropped.
   */
  readFrom(reader: ChunkReader): boolean {
    const { buffer, at } = reader;
    let end = at;
    while (buffer[end] === COLON) {
      const feed = buffer.indexOf(LINE_FEED, end);
      if (feed === -1) break;
      end = feed + 1;
    }
    if (end > at) this.#blocks.push(buffer.subarray(at, end));
    reader.at = end;
    // This is the following line, if it is complete: only a part of the last raw line can be left.
    return reader.lineAtHand() !== undefined || reader.isEnded;
  }

  /**
   * Yields each line once, without its delimiter; a block is released as soon as it has been read.
   */
  *all(): Generator<Buffer> {
    this.#blocks.reverse();
    for (let block = this.#blocks.pop(); block !== undefined; block = this.#blocks.pop()) {
      for (let at = 0; at < block.length; ) {
        const feed = block.indexOf(LINE_FEED, at);
        yield block.subarray(at, feed);
        at = feed + 1;
      }
    }
  }
}
