import { LoopSlice } from '#base/async/loop-turns';
import { isRegular } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import type { FileDrivers } from '../drivers/file-drivers.ts';
import { type ContentsReader, isBinarySide } from '../file-contents.ts';
import { countSpans, type Spans, sharedBytes } from './spans.ts';

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
