import { randomInt } from 'node:crypto';
import { FallBackToGit } from '../command/in-process.ts';
import { commonEnd, commonStart } from './common-ends.ts';

/** Limit of lines of a file: splitting more takes several milliseconds, and git compares them otherwise. */
export const MAX_LINES = 20_000;
const LINE_FEED = 0x0a;

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

/** A file as lines. Equal lines have equal ids; a last line without a line feed differs. */
export interface Lines {
  readonly bytes: Buffer;
  readonly ids: Uint32Array;
  /** Position of each line, and the end of the file. */
  readonly starts: Uint32Array;
}

/** Assigns ids to lines, the same in all files that it splits. */
export class LineSplitter {
  readonly #files: Buffer[] = [];
  #count = 0;
  /** Different lines by id: the index of their file, position, length and hash. */
  #lines = new Int32Array(WORDS * MIN_LINES);
  /** Ids plus one, by hash; a line whose slot is taken is in one of the next slots. */
  #table = new Uint32Array(2 * MIN_LINES);
  #steps = 0;

  /** Number of different lines so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Splits a file.
   *
   * @param known Another version that was split; lines with which both begin or end are not read.
   * @throws {FallBackToGit} for very many lines, and those that are made to have equal hashes.
   */
  split(bytes: Buffer, known?: Lines): Lines {
    this.#files.push(bytes);
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
    let { count } = part;
    for (let at = part.from; at < part.to; count++) {
      if (count === MAX_LINES) throw new FallBackToGit('a file has very many lines');
      const start = at;
      let hash = SEED;
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
    let place = placeOf(hash, this.#table.length);
    for (let known = this.#table[place] ?? 0; known !== 0; known = this.#table[place] ?? 0) {
      const at = (known - 1) * WORDS;
      if (this.#lines[at + 3] === hash && this.#isLine(at, bytes, start, length)) return known - 1;
      if (++this.#steps > MAX_STEPS) throw new FallBackToGit('many lines of a file have equal hashes');
      place = (place + 1) % this.#table.length;
    }
    const id = this.#count;
    const at = id * WORDS;
    this.#lines[at] = this.#files.length - 1;
    this.#lines[at + 1] = start;
    this.#lines[at + 2] = length;
    this.#lines[at + 3] = hash;
    this.#table[place] = id + 1;
    this.#reserve(++this.#count);
    return id;
  }

  /** @param at Position of a known line in `#lines`. */
  #isLine(at: number, bytes: Buffer, start: number, length: number): boolean {
    if (this.#lines[at + 2] !== length) return false;
    const [known, knownStart] = [this.#files[this.#lines[at] ?? 0], this.#lines[at + 1] ?? 0];
    if (known === undefined) return false;
    for (let index = 0; index < length; index++)
      if (known[knownStart + index] !== bytes[start + index]) return false;
    return true;
  }

  /** Makes room for one more line than so many, and for their places. */
  #reserve(count: number): void {
    if (count * WORDS < this.#lines.length) return;
    let room = this.#lines.length / WORDS;
    while (room <= count) room *= 2;
    const lines = new Int32Array(WORDS * room);
    lines.set(this.#lines);
    this.#lines = lines;
    this.#table = new Uint32Array(2 * room);
    for (let id = 0; id < this.#count; id++) {
      let place = placeOf(lines[id * WORDS + 3] ?? 0, this.#table.length);
      while (this.#table[place] !== 0) place = (place + 1) % this.#table.length;
      this.#table[place] = id + 1;
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
