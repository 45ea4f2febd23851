import { OID_DIGITS, OID_SOURCE } from '#git/names/object-id';
import { unescapePath } from '#git/names/unquote-path';
import type { ChunkReader } from './chunk-reader.ts';
import { DiffFormatError } from './diff-format-error.ts';

/**
 * Statistics of one file's patch: from the first `@@` on, without the lines that name the file.
 */
export interface PatchProgress {
  readonly isBinary: boolean;
  /** Lines that start with `+` or `-`. */
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** All lines except `@@`, and their bytes. */
  readonly lineCount: number;
  readonly byteCount: number;
  /** Bytes of the whole patch. */
  readonly patchBytes: number;
}

/** The patch of one file. */
export interface Patch extends PatchProgress {
  /** True if git printed anything about this file apart from the raw line. */
  readonly isPresent: boolean;
  /** The patch as views of git's output, in pieces of any size; empty if it was not requested. */
  readonly pieces: readonly Buffer[];
}

export interface PatchRules {
  /**
   * Called from time to time while a patch grows, with the statistics so far. Once it returns
   * false, the patch is only counted. Default: all patches.
   */
  readonly isWanted?: (progress: PatchProgress) => boolean;
  /**
   * Patches are not collected, and `patchBytes` stays 0. Lines that start with `---` or `+++` then
   * count as headers anywhere (as in Gitaly after a limit was exceeded).
   */
  readonly isSkipped?: boolean;
}

/**
 * Matches `diff --git` with the from-path up to the first ` b/`, as Gitaly splits it, even if the
 * path itself contains that.
 */
const HEADER = /^diff --git "?a\/(.*?)"? "?b\/(.*?)"?$/s;

/** Matches a line of `git diff-tree --stdin` that names the compared trees. */
const TREES = new RegExp(`^${OID_SOURCE} ${OID_SOURCE}$`);
const MAX_TREES_LENGTH = OID_DIGITS.sha256 + 1 + OID_DIGITS.sha256;

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
 * Reads the patches of `git diff`, one file after the other, from the buffer of its {@link
 * ChunkReader}. Bytes of a patch are returned as views; a line may have any length. At most one
 * patch is buffered, while it is requested.
 */
export class PatchReader {
  readonly #reader: ChunkReader;
  /** From-path of the next patch, if its first line was read already. */
  #nextPath: Buffer | undefined;
  /** The patch that is being read. */
  #growing: GrowingPatch | undefined;
  /** Kind of the line that continues in the next chunk. */
  #open: LineKind | undefined;

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /**
   * Reads the patch of the file with this from-path, if that is the next one. Otherwise the file
   * has none, and the next patch is kept for a later file.
   *
   * @returns `undefined` if more bytes are needed: repeat the call when the reader has them, or has
   *   reached its end.
   * @throws {DiffFormatError} `diff header regexp mismatch` (Gitaly's text) for anything but a
   *   patch.
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

  /**
   * Reads up to the next header. Returns false if more bytes are needed; at the end none follow.
   */
  #readHeader(expected: Buffer): boolean {
    for (let line = this.#reader.lineAtHand(); line !== undefined; line = this.#reader.lineAtHand()) {
      if (TREES.test(line.toString('latin1', 0, MAX_TREES_LENGTH))) continue;
      this.#nextPath = isHeaderOf(line, expected) ? expected : pathOfHeader(line);
      return true;
    }
    return this.#reader.isEnded;
  }

  /**
   * Reads the buffered bytes. Returns true if the patch is complete, false if more bytes are
   * needed.
   */
  #scan(patch: GrowingPatch, isSkipped: boolean): boolean {
    const { buffer } = this.#reader;
    const end = buffer.length;
    let { at } = this.#reader;
    /** Start of bytes of the patch that have not been added yet. */
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

  /**
   * Returns the kind of the line at an offset, from its first bytes. `isEmpty`: no line of the
   * patch was read yet.
   */
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

  /** Reports whether the line at an offset may be incomplete. */
  #canWait(buffer: Buffer, at: number): boolean {
    return !this.#reader.isEnded && buffer.indexOf(LINE_FEED, at) === -1;
  }
}

/** Reports whether a header names this path, if that is possible without parsing it. */
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
  return (
    buffer.length - at >= prefix.length &&
    buffer.compare(prefix, 0, prefix.length, at, at + prefix.length) === 0
  );
}
