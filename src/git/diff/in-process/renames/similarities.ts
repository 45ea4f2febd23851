import { LoopSlice } from '#base/async/loop-turns';
import { isRegular } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import type { FileDrivers } from '../drivers/file-drivers.ts';
import { type ContentsReader, isBinarySide } from '../file-contents.ts';

/** The score of equal files. @see git: diffcore.h, MAX_SCORE */
export const MAX_SCORE = 60_000;
/** Limit of compared spans of a diff: some tens of milliseconds. */
const MAX_STEPS = 10_000_000;

/** A side of a change. */
export interface SimilarFile {
  readonly mode: number;
  readonly oid: string;
  readonly path: Buffer;
}

export interface SimilarityOptions {
  readonly contents: ContentsReader;
  /** Attributes determine whether a file is text. */
  readonly drivers: FileDrivers;
  /** Counts the bytes after the last complete span of a file. */
  readonly countsRest: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Longest span; a line feed ends one earlier. @see git: diffcore-delta.c */
const MAX_SPAN_BYTES = 64;
/** Number of hash values. */
const HASHES = 107_927;
const SECOND_FACTOR = 0x61;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Bytes by hash of their span. One instance is enough, because counting never waits. */
const bytesByHash = new Uint32Array(HASHES);

/** The bytes of a file by the hashes of their spans, for git's estimate of similarity. */
interface Spans {
  /** Different hashes, the smallest first. */
  readonly hashes: Uint32Array;
  /** Number of bytes with each hash. */
  readonly counts: Uint32Array;
}

interface SpanRules {
  /** Ignores the carriage return before a line feed. */
  readonly isText: boolean;
  /** Counts the bytes after the last complete span. */
  readonly countsRest: boolean;
}

/** Estimates how similar files of one diff are, as git does. Pauses for the event loop. */
export class Similarities {
  readonly #options: SimilarityOptions;
  readonly #spans = new Map<SimilarFile, Spans>();
  readonly #slice = new LoopSlice();
  #steps = 0;

  constructor(options: SimilarityOptions) {
    this.#options = options;
  }

  /**
   * Returns the score of two files, up to 60,000; 0 if their sizes show that it is below the
   * minimum.
   *
   * @throws {FallBackToGit} for files that are large, or cannot be read; the signal's reason when
   *   it is aborted.
   */
  async score(source: SimilarFile, target: SimilarFile, minimumScore: number): Promise<number> {
    if (!isRegular(source.mode) || !isRegular(target.mode)) return 0;
    await this.#slice.pause(this.#options.signal);
    const { contents } = this.#options;
    const sizes = [await contents.size(source.oid), await contents.size(target.oid)];
    const [smaller, larger] = [Math.min(...sizes), Math.max(...sizes)];
    if (larger === 0 || larger * (MAX_SCORE - minimumScore) < (larger - smaller) * MAX_SCORE) return 0;
    const [before, after] = [await this.#spansOf(source), await this.#spansOf(target)];
    this.#steps += before.hashes.length + after.hashes.length;
    if (this.#steps > MAX_STEPS) throw new FallBackToGit('many files may be renamed');
    return Math.floor((sharedBytes(before, after) * MAX_SCORE) / larger);
  }

  async #spansOf(file: SimilarFile): Promise<Spans> {
    const known = this.#spans.get(file);
    if (known !== undefined) return known;
    const { contents, drivers, countsRest } = this.#options;
    const bytes = await contents.blob(file.oid);
    const isText = !isBinarySide({ bytes, driver: drivers.of(file.mode, file.path) });
    const spans = countSpans(bytes, { isText, countsRest });
    this.#spans.set(file, spans);
    return spans;
  }
}

/** Counts the spans of a file. Blocks the event loop for some milliseconds per megabyte. */
function countSpans(bytes: Buffer, { isText, countsRest }: SpanRules): Spans {
  const found: number[] = [];
  let [first, second, length] = [0, 0, 0];
  const end = bytes.length;
  for (let at = 0; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (isText && byte === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED) continue;
    const shifted = (first << 7) ^ (second >>> 25);
    second = (second << 7) ^ (first >>> 25);
    first = (shifted + byte) | 0;
    length++;
    if (length < MAX_SPAN_BYTES && byte !== LINE_FEED) continue;
    addSpan(found, hashOf(first, second), length);
    [first, second, length] = [0, 0, 0];
  }
  if (countsRest && length > 0) addSpan(found, hashOf(first, second), length);
  const hashes = Uint32Array.from(found).sort();
  const counts = hashes.map((hash) => bytesByHash[hash] ?? 0);
  for (const hash of hashes) bytesByHash[hash] = 0;
  return { hashes, counts };
}

/** Returns the number of bytes that two files share. */
function sharedBytes(left: Spans, right: Spans): number {
  let shared = 0;
  for (let at = 0, other = 0; at < left.hashes.length && other < right.hashes.length; ) {
    const difference = (left.hashes[at] ?? 0) - (right.hashes[other] ?? 0);
    if (difference === 0) shared += Math.min(left.counts[at] ?? 0, right.counts[other] ?? 0);
    if (difference <= 0) at++;
    if (difference >= 0) other++;
  }
  return shared;
}

function hashOf(first: number, second: number): number {
  return ((first + Math.imul(second, SECOND_FACTOR)) >>> 0) % HASHES;
}

function addSpan(found: number[], hash: number, length: number): void {
  const count = bytesByHash[hash] ?? 0;
  if (count === 0) found.push(hash);
  bytesByHash[hash] = count + length;
}
