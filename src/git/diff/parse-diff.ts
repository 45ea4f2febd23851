import { ChunkReader } from './chunk-reader.ts';
import { type Patch, PatchReader, type PatchRules } from './patch-reader.ts';
import { type FileChange, type HexLength, parseRawLine, splitTypeChange } from './raw-line.ts';

/** One file that differs, with its patch. */
export interface FileDiff {
  readonly change: FileChange;
  readonly patch: Patch;
}

/** What is done with files while they are read. */
export interface FileVisitor<T> {
  /** Asked for each file before its patch is read, also several times. */
  readonly rulesFor?: (change: FileChange) => PatchRules;
  /** Called for each file, in order, before the next one is looked at. What it returns is handed on, but for `undefined`. */
  readonly take: (diff: FileDiff) => T | undefined;
}

const COLON = 0x3a;
const LINE_FEED = 0x0a;

/**
 * Reads the output of `git diff --raw --patch` with full ids, not of `-z`: a raw line for each file, an empty line, the patches. Takes every raw
 * line in order with its patch, if git printed one; changes of type are split in two. Files come in batches: what was complete when more bytes
 * had to be waited for.
 *
 * The raw lines (some 150 bytes a file) are held until the patches come, then one patch at a time.
 *
 * @throws {DiffFormatError} with Gitaly's words when git printed something else.
 */
export async function* parseDiff<T>(
  chunks: AsyncIterable<Uint8Array>,
  { hexLength, ...visitor }: FileVisitor<T> & { readonly hexLength: HexLength },
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

/** Reads the patches of changes that are known already, as `git diff-pairs` and `git diff-tree -p` print them, in the same order. */
export async function* parsePatches<T>(
  chunks: AsyncIterable<Uint8Array>,
  changes: Iterable<FileChange>,
  visitor: FileVisitor<T>,
): AsyncGenerator<T[]> {
  const reader = new ChunkReader(chunks);
  try {
    yield* readPatches(reader, changes, visitor);
  } finally {
    await reader.close();
  }
}

async function* readPatches<T>(reader: ChunkReader, changes: Iterable<FileChange>, visitor: FileVisitor<T>): AsyncGenerator<T[]> {
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

function* changesOf(lines: RawLines, hexLength: HexLength): Generator<FileChange> {
  for (const line of lines.all()) yield* splitTypeChange(parseRawLine(line, hexLength));
}

/** The raw lines as the bytes that git printed: a tenth of what objects would take. */
class RawLines {
  readonly #blocks: Buffer[] = [];

  /**
   * Takes the complete lines at hand that begin with a colon, and the one behind them (it is empty). True when that was reached, or the end; a
   * line that lacks its end there is dropped.
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
    // It is the line behind them, if it is complete: of the last raw line only a part can be left.
    return reader.lineAtHand() !== undefined || reader.isEnded;
  }

  /** Each line once, without its end; a block is let go as soon as it has been read. */
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
