import { ChunkReader } from './chunk-reader.ts';
import { type Patch, PatchReader, type PatchRules } from './patch-reader.ts';
import { type FileChange, type HexLength, parseRawLine, splitTypeChange } from './raw-line.ts';

/** One file that differs, with its patch. */
export interface FileDiff {
  readonly change: FileChange;
  readonly patch: Patch;
}

export interface DiffRules {
  readonly hexLength: HexLength;
  /** Asked once per file, before its patch is read. */
  readonly rulesFor?: (change: FileChange) => PatchRules;
}

const COLON = 0x3a;
const LINE_FEED = 0x0a;

/**
 * Reads the output of `git diff --raw --patch` with full ids, not of `-z`: a raw line for each file, an empty line, the patches. Yields every raw
 * line in order with its patch, if git printed one; changes of type are split in two.
 *
 * The raw lines (some 150 bytes a file) are held until the patches come, then one patch at a time.
 *
 * @throws {DiffFormatError} with Gitaly's words when git printed something else.
 */
export async function* parseDiff(
  chunks: AsyncIterable<Uint8Array>,
  { hexLength, rulesFor }: DiffRules,
): AsyncGenerator<FileDiff> {
  const reader = new ChunkReader(chunks);
  try {
    const rawLines = await readRawLines(reader);
    const patches = new PatchReader(reader);
    for (const line of rawLines.all()) {
      for (const change of splitTypeChange(parseRawLine(line, hexLength))) {
        yield { change, patch: await patches.read(change.fromPath, rulesFor?.(change)) };
      }
    }
  } finally {
    await reader.close();
  }
}

/** Reads the patches of changes that are known already, as `git diff-pairs` and `git diff-tree -p` print them, in the same order. */
export async function* parsePatches(
  chunks: AsyncIterable<Uint8Array>,
  changes: Iterable<FileChange>,
  rulesFor?: DiffRules['rulesFor'],
): AsyncGenerator<FileDiff> {
  const reader = new ChunkReader(chunks);
  try {
    const patches = new PatchReader(reader);
    for (const change of changes) yield { change, patch: await patches.read(change.fromPath, rulesFor?.(change)) };
  } finally {
    await reader.close();
  }
}

/** Takes the lines that begin with a colon, and the one behind them (it is empty). A line that lacks its end is dropped. */
async function readRawLines(reader: ChunkReader): Promise<RawLines> {
  const lines = new RawLines();
  while ((await reader.hasByte()) && reader.buffer[reader.at] === COLON) {
    const { buffer, at } = reader;
    const end = endOfRawLines(buffer, at);
    if (end > at) {
      lines.add(buffer.subarray(at, end));
      reader.at = end;
    } else {
      const line = await reader.line();
      if (line === undefined) return lines;
      lines.add(Buffer.concat([line, Buffer.of(LINE_FEED)]));
    }
  }
  await reader.line();
  return lines;
}

/** Behind the last complete line of those that begin with a colon. */
function endOfRawLines(buffer: Buffer, start: number): number {
  let at = start;
  while (buffer[at] === COLON) {
    const feed = buffer.indexOf(LINE_FEED, at);
    if (feed === -1) break;
    at = feed + 1;
  }
  return at;
}

/** Complete lines as the bytes that git printed: a tenth of what objects would take. */
class RawLines {
  #blocks: Buffer[] = [];

  add(block: Buffer): void {
    this.#blocks.push(block);
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
