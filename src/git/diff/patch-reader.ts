import type { ChunkReader } from './chunk-reader.ts';
import { DiffFormatError } from './diff-format-error.ts';
import { unescapePath } from './unquote-path.ts';

/** What was seen of one file's patch: from the first `@@` on, without the lines that name the file. */
export interface PatchProgress {
  readonly isBinary: boolean;
  /** Lines that start with `+` or `-`. */
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** All lines but `@@`, and their bytes. */
  readonly lineCount: number;
  readonly byteCount: number;
  /** Bytes of the whole patch. */
  readonly patchBytes: number;
}

/** The patch of one file. */
export interface Patch extends PatchProgress {
  /** Whether git printed anything about this file beside the raw line. */
  readonly isPresent: boolean;
  /** The patch as views of what was read from git, in pieces of any size; empty when it was not wanted. */
  readonly pieces: readonly Buffer[];
}

export interface PatchRules {
  /** Asked now and then while a patch grows, with what is known so far. Once it says no, the patch is only counted. Default: all are wanted. */
  readonly isWanted?: (progress: PatchProgress) => boolean;
  /**
   * Patches are not collected from the start, and `patchBytes` stays 0. Lines that start with `---` or `+++` count for headers then, wherever
   * they are (as in Gitaly, once a limit has been passed).
   */
  readonly isSkipped?: boolean;
}

/** `diff --git` with the from-path up to the first ` b/`, as Gitaly splits it: also where the path itself holds that. */
const HEADER = /^diff --git "?a\/(.*?)"? "?b\/(.*?)"?$/s;

/** `git diff-tree --stdin` names the trees that it compares. */
const TREES = /^[\da-f]{40,64} [\da-f]{40,64}$/;
const MAX_TREES_LENGTH = 64 + 1 + 64;

const LINE_FEED = 0x0a;
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
const AT = 0x40;
const BACKSLASH = 0x5c;
const TILDE = 0x7e;
const LETTER_B = 0x42;
const LETTER_D = 0x64;
const HEADER_START = Buffer.from('diff --git a/');
const TO_SIDE = Buffer.from(' b/');
const BINARY = Buffer.from('Binary');
const NEXT_FILE = Buffer.from('diff --git');

type LineKind = 'hunk' | 'plus' | 'minus' | 'other' | 'binary' | 'header' | 'next file' | 'unsure';

class GrowingPatch implements Patch {
  isPresent = false;
  isBinary = false;
  linesAdded = 0;
  linesRemoved = 0;
  lineCount = 0;
  byteCount = 0;
  patchBytes = 0;
  pieces: Buffer[] = [];
  isCollected = true;
}

/**
 * Reads the patches of `git diff`, one file after the other, from what its {@link ChunkReader} has at hand. Bytes of a patch are handed on as
 * views; a line can be of any length. At most one patch is held, and that only as long as it is wanted.
 */
export class PatchReader {
  readonly #reader: ChunkReader;
  /** From-path of the patch that comes next, when its first line has been read already. */
  #nextPath: Buffer | undefined;
  /** The patch that is being read. */
  #growing: GrowingPatch | undefined;
  /** The kind of the line that goes on in the next chunk. */
  #open: LineKind | undefined;

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /**
   * The patch of the file with this from-path, if that is the next one. Otherwise the file has none, and the next one is kept for a later file.
   *
   * @returns `undefined` when more bytes are needed: the same call is to be made once more when the reader has them, or has come to its end.
   * @throws {DiffFormatError} `diff header regexp mismatch` (Gitaly's words) when something else than a patch comes.
   */
  read(fromPath: Buffer, rules: PatchRules = {}): Patch | undefined {
    if (this.#growing === undefined) {
      if (this.#nextPath === undefined && !this.#readHeader(fromPath)) return undefined;
      const patch = new GrowingPatch();
      if (this.#nextPath?.equals(fromPath) !== true) return patch;
      this.#nextPath = undefined;
      patch.isPresent = true;
      patch.isCollected = rules.isSkipped !== true && rules.isWanted?.(patch) !== false;
      this.#growing = patch;
    }
    return this.#grow(this.#growing, rules);
  }

  #grow(patch: GrowingPatch, { isWanted, isSkipped = false }: PatchRules): Patch | undefined {
    const isComplete = this.#scan(patch, isSkipped) || this.#reader.isEnded;
    if (patch.isCollected && isWanted?.(patch) === false) {
      patch.isCollected = false;
      patch.pieces = [];
    }
    if (!isComplete) return undefined;
    this.#growing = undefined;
    this.#open = undefined;
    return patch;
  }

  /** Reads up to the next header. False when more bytes are needed; at the end there is none. */
  #readHeader(expected: Buffer): boolean {
    for (let line = this.#reader.lineAtHand(); line !== undefined; line = this.#reader.lineAtHand()) {
      if (TREES.test(line.toString('latin1', 0, MAX_TREES_LENGTH))) continue;
      this.#nextPath = isHeaderOf(line, expected) ? expected : pathOfHeader(line);
      return true;
    }
    return this.#reader.isEnded;
  }

  /** Takes what is at hand. True when the patch is complete, false when more bytes are needed to tell. */
  #scan(patch: GrowingPatch, isSkipped: boolean): boolean {
    const { buffer } = this.#reader;
    const end = buffer.length;
    let { at } = this.#reader;
    /** Where the bytes begin that belong to the patch and have not been taken yet. */
    let from = -1;
    while (at < end) {
      const isNewLine = this.#open === undefined;
      const isEmpty = isSkipped || (patch.patchBytes === 0 && from === -1);
      const kind = this.#open ?? this.#kindOf(buffer, at, isEmpty);
      if (kind === 'next file' || kind === 'unsure') {
        this.#take(patch, from, at, isSkipped);
        this.#reader.at = at;
        return kind === 'next file';
      }
      const feed = buffer.indexOf(LINE_FEED, at);
      const stop = feed === -1 ? end : feed + 1;
      this.#open = feed === -1 ? kind : undefined;
      if (kind === 'header') {
        this.#take(patch, from, at, isSkipped);
        from = -1;
      } else {
        if (from === -1) from = at;
        if (kind !== 'hunk') {
          patch.byteCount += stop - at;
          if (isNewLine) count(patch, kind);
        }
      }
      at = stop;
    }
    this.#take(patch, from, end, isSkipped);
    this.#reader.at = end;
    return false;
  }

  #take(patch: GrowingPatch, from: number, to: number, isSkipped: boolean): void {
    if (from === -1 || isSkipped) return;
    patch.patchBytes += to - from;
    if (patch.isCollected) patch.pieces.push(this.#reader.buffer.subarray(from, to));
  }

  /** What the line is that begins at an offset, judged by its first bytes. `isEmpty`: nothing of the patch was seen yet. */
  #kindOf(buffer: Buffer, at: number, isEmpty: boolean): LineKind {
    const known = buffer.length - at;
    const byte = buffer[at];
    switch (byte) {
      case SPACE:
      case BACKSLASH:
        return 'other';
      case PLUS:
      case MINUS:
        if (isEmpty) {
          if (known < 3 && this.#canWait(buffer, at)) return 'unsure';
          if (buffer[at + 1] === byte && buffer[at + 2] === byte) return 'header';
        }
        return byte === PLUS ? 'plus' : 'minus';
      case AT:
        if (known < 2 && this.#canWait(buffer, at)) return 'unsure';
        return buffer[at + 1] === AT ? 'hunk' : 'header';
      case TILDE:
        if (known < 2 && this.#canWait(buffer, at)) return 'unsure';
        return buffer[at + 1] === LINE_FEED ? 'other' : 'header';
      case LETTER_B:
        if (known < BINARY.length && this.#canWait(buffer, at)) return 'unsure';
        return startsWith(buffer, at, BINARY) ? 'binary' : 'header';
      case LETTER_D:
        if (known < NEXT_FILE.length && this.#canWait(buffer, at)) return 'unsure';
        return startsWith(buffer, at, NEXT_FILE) ? 'next file' : 'header';
      default:
        return 'header';
    }
  }

  /** Whether the line at an offset can still grow. */
  #canWait(buffer: Buffer, at: number): boolean {
    return !this.#reader.isEnded && buffer.indexOf(LINE_FEED, at) === -1;
  }
}

/** Whether a header names this path, where that can be told without taking it apart. */
function isHeaderOf(line: Buffer, path: Buffer): boolean {
  const end = HEADER_START.length + path.length;
  return (
    startsWith(line, 0, HEADER_START) &&
    startsWith(line, HEADER_START.length, path) &&
    startsWith(line, end, TO_SIDE) &&
    !path.includes(TO_SIDE)
  );
}

function pathOfHeader(line: Buffer): Buffer {
  const match = HEADER.exec(line.toString('latin1'));
  if (match === null) throw new DiffFormatError('diff header regexp mismatch');
  return unescapePath(Buffer.from(match[1] ?? '', 'latin1'));
}

function count(patch: GrowingPatch, kind: LineKind): void {
  patch.lineCount++;
  if (kind === 'plus') patch.linesAdded++;
  else if (kind === 'minus') patch.linesRemoved++;
  else if (kind === 'binary') patch.isBinary = true;
}

function startsWith(buffer: Buffer, at: number, prefix: Buffer): boolean {
  return buffer.length - at >= prefix.length && buffer.compare(prefix, 0, prefix.length, at, at + prefix.length) === 0;
}
