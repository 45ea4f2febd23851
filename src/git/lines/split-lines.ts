import { randomInt } from 'node:crypto';
import { equalLength } from '#base/equal-length';
import { FallBackToGit } from '../command/in-process.ts';

/** Limit of lines of a file: splitting more takes several milliseconds, and git compares them otherwise. */
export const MAX_LINES = 20_000;
const LINE_FEED = 0x0a;
const WORD_BYTES = 4;
/** A word of them, and the bits by which a word shows that one of its bytes is zero. */
const LINE_FEEDS = 0x0a0a0a0a;
const LOW_BITS = 0x01010101;
const HIGH_BITS = 0x80808080;

/** Limit of probes in the hash table: by chance, a line needs a few. */
const MAX_STEPS = 16 * MAX_LINES;
/** Multiplier of FNV-1a. */
const FACTOR = 0x0100_0193;
/** Different in each process: lines with equal hashes cannot be made. */
const SEED = randomInt(2 ** 32) | 0;

/** Bytes of a short line: the table has places for as many lines. */
const SHORT_LINE_BYTES = 16;
const MIN_LINES = 64;
/** Numbers that are kept of a line. */
const WORDS = 4;

/** Lines of the file that is being split. One instance is enough, because splitting never waits. */
const idsOfFile = new Uint32Array(MAX_LINES);
const startsOfFile = new Uint32Array(MAX_LINES + 1);
/** Versions of a file that are split together. */
const MAX_FILES = 3;
/**
 * Different lines of the last splitter by id: the index of their file, position, length and hash.
 * Memory outside of the heap makes the garbage collector run.
 */
const knownLines = new Int32Array(WORDS * MAX_FILES * MAX_LINES);
/** Its table: ids plus one, by hash; a line whose slot is taken is in one of the next slots. */
const table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * MAX_FILES * MAX_LINES)));
let lastSplitter: LineSplitter | undefined;

/** A file as lines. Equal lines have equal ids; a last line without a line feed differs. */
export interface Lines {
  readonly bytes: Buffer;
  readonly ids: Uint32Array;
  /** Position of each line, and the end of the file. */
  readonly starts: Uint32Array;
}

/** Assigns ids to lines, the same in all files that it splits. Only the last one that was made works. */
export class LineSplitter {
  readonly #files: Buffer[] = [];
  #count = 0;
  /** Used slots of the table, a power of two. */
  #places = 0;
  #steps = 0;

  constructor() {
    lastSplitter = this;
    this.#reserve(MIN_LINES);
  }

  /** Number of different lines so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Splits a file.
   *
   * @param known Another version that was split; lines with which both begin or end are not read.
   * @throws {FallBackToGit} for very many lines, and those that are made to have equal hashes;
   *   {Error} for a fourth file, and after another splitter was made.
   */
  split(bytes: Buffer, known?: Lines): Lines {
    if (lastSplitter !== this || this.#files.push(bytes) > MAX_FILES)
      throw new Error('these files cannot be split together');
    if (known === undefined) {
      this.#reserve(bytes.length / SHORT_LINE_BYTES);
      return linesUpTo(bytes, this.#splitPart(bytes, { from: 0, to: bytes.length, count: 0 }));
    }
    const { ids, starts } = known;
    const start = commonStart(known.bytes, bytes);
    const end = commonEnd(known.bytes, bytes, start);
    const first = lineAt(starts, start);
    const last = lineAt(starts, known.bytes.length - end);
    idsOfFile.set(ids.subarray(0, first));
    startsOfFile.set(starts.subarray(0, first));
    const count = this.#splitPart(bytes, { from: start, to: bytes.length - end, count: first });
    const total = count + ids.length - last;
    if (total > MAX_LINES) throw new FallBackToGit('a file has very many lines');
    idsOfFile.set(ids.subarray(last), count);
    const shift = bytes.length - known.bytes.length;
    for (let line = last; line < ids.length; line++)
      startsOfFile[count + line - last] = (starts[line] ?? 0) + shift;
    return linesUpTo(bytes, total);
  }

  /** Adds the lines of a part to the file. Returns their number with that of the lines before. */
  #splitPart(
    bytes: Buffer,
    part: { readonly from: number; readonly to: number; readonly count: number },
  ): number {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let { count } = part;
    for (let at = part.from; at < part.to; count++) {
      if (count === MAX_LINES) throw new FallBackToGit('a file has very many lines');
      const start = at;
      let hash = SEED;
      for (; at + WORD_BYTES <= part.to; at += WORD_BYTES) {
        const word = words.getInt32(at, true);
        const zeros = word ^ LINE_FEEDS;
        if (((zeros - LOW_BITS) & ~zeros & HIGH_BITS) !== 0) break;
        hash = Math.imul(hash ^ word, FACTOR);
        hash ^= hash >>> 15; // the high bits of a word would only change high bits
      }
      for (let byte = -1; byte !== LINE_FEED && at < part.to; at++) {
        byte = bytes[at] ?? 0;
        hash = Math.imul(hash ^ byte, FACTOR);
      }
      startsOfFile[count] = start;
      idsOfFile[count] = this.#idOf(bytes, start, at - start, hash);
    }
    return count;
  }

  #idOf(bytes: Buffer, start: number, length: number, hash: number): number {
    let place = placeOf(hash, this.#places);
    for (let known = table[place] ?? 0; known !== 0; known = table[place] ?? 0) {
      const at = (known - 1) * WORDS;
      if (knownLines[at + 3] === hash && this.#isLine(at, bytes, start, length)) return known - 1;
      if (++this.#steps > MAX_STEPS) throw new FallBackToGit('many lines of a file have equal hashes');
      place = (place + 1) % this.#places;
    }
    const id = this.#count++;
    const at = id * WORDS;
    knownLines[at] = this.#files.length - 1;
    knownLines[at + 1] = start;
    knownLines[at + 2] = length;
    knownLines[at + 3] = hash;
    table[place] = id + 1;
    this.#reserve(this.#count);
    return id;
  }

  /** @param at Position of a known line. */
  #isLine(at: number, bytes: Buffer, start: number, length: number): boolean {
    if (knownLines[at + 2] !== length) return false;
    const [known, knownStart] = [this.#files[knownLines[at] ?? 0], knownLines[at + 1] ?? 0];
    if (known === undefined) return false;
    for (let index = 0; index < length; index++)
      if (known[knownStart + index] !== bytes[start + index]) return false;
    return true;
  }

  /** Makes the table large enough for as many lines. */
  #reserve(count: number): void {
    if (2 * count <= this.#places) return;
    while (this.#places < 2 * count) this.#places = Math.max(2 * this.#places, 2 * MIN_LINES);
    table.fill(0, 0, this.#places);
    for (let id = 0; id < this.#count; id++) {
      let place = placeOf(knownLines[id * WORDS + 3] ?? 0, this.#places);
      while (table[place] !== 0) place = (place + 1) % this.#places;
      table[place] = id + 1;
    }
  }
}

/** Returns the lines of the file that was split. */
function linesUpTo(bytes: Buffer, count: number): Lines {
  startsOfFile[count] = bytes.length;
  return { bytes, ids: idsOfFile.slice(0, count), starts: startsOfFile.slice(0, count + 1) };
}

/** Returns the line that starts at a position. */
function lineAt(starts: Uint32Array, position: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param places A power of two. */
function placeOf(hash: number, places: number): number {
  return Math.imul(hash ^ (hash >>> 15), FACTOR) >>> (Math.clz32(places) + 1);
}

/** Returns the bytes of the lines from one up to another, as a view. */
export function bytesOfLines({ bytes, starts }: Lines, from: number, to: number): Buffer {
  return bytes.subarray(starts[from], starts[to]);
}

/** Returns the length of the complete lines with which both texts begin. */
function commonStart(left: Buffer, right: Buffer): number {
  const limit = Math.min(left.length, right.length);
  const same = equalLength(limit, (from, to) => left.compare(right, from, to, from, to) === 0);
  return left.subarray(0, same).lastIndexOf(LINE_FEED) + 1;
}

/** Returns the length of the complete lines with which both texts end, after `start` bytes of both. */
function commonEnd(left: Buffer, right: Buffer, start: number): number {
  const limit = Math.min(left.length, right.length) - start;
  const same = equalLength(
    limit,
    (from, to) =>
      left.compare(right, right.length - to, right.length - from, left.length - to, left.length - from) === 0,
  );
  // The first of these lines may start before them.
  const begin = left.indexOf(LINE_FEED, left.length - same);
  return begin === -1 ? 0 : left.length - begin - 1;
}
