import { type BigIntStats, statSync } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { LoopSlice } from '#base/async/loop-turns';
import { systemErrorCode } from '#base/go/system-error';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { type ByteCounts, formatStored, parseFilesInTurns, parseStored } from './stored-stats.ts';

/**
 * In the repository. Gitaly's name and format, so that either server can go on with what the other
 * one counted.
 */
const FILE_NAME = 'gitaly-language.stats';
/** Limit of the unpacked contents of the file: some two million files. */
const MAX_BYTES = 256 * 1024 * 1024;

/** The file is written for every counted commit, so a fast compression. */
const PACKED = { level: 1 };
const pack = promisify(deflate);
const unpack = promisify(inflate);

/** A counted file in memory. */
const FILE_BYTES = 300;
const NO_FILES = Buffer.alloc(0);

/** Bytes per language in the files of one commit, and the language of each file. */
export class LanguageStats {
  /** Counted commit; empty before the first count. */
  readonly commitId: string;
  readonly #totals: Map<string, number>;
  readonly #byFile = new Map<string, ByteCounts>();
  /** Counts of the files as they are stored: only another commit needs them. */
  readonly #stored: Buffer;

  private constructor(commitId: string, totals: Iterable<[string, number]>, stored: Buffer) {
    this.commitId = commitId;
    this.#totals = new Map(totals);
    this.#stored = stored;
  }

  /** Returns the counts of a commit before anything is counted. */
  static empty(commitId = ''): LanguageStats {
    return new LanguageStats(commitId, [], NO_FILES);
  }

  /**
   * Returns counts for another commit, which begin as a copy of these; `undefined` when the stored
   * ones are invalid. Copies in slices of the event loop.
   *
   * @throws the reason of the signal.
   */
  async for(commitId: string, signal: AbortSignal): Promise<LanguageStats | undefined> {
    const copy = new LanguageStats(commitId, this.#totals, NO_FILES);
    for await (const files of parseFilesInTurns(this.#stored, signal)) {
      if (files === undefined) return undefined;
      for (const [path, bytes] of files) copy.#byFile.set(path, bytes);
    }
    const slice = new LoopSlice();
    for (const [path, bytes] of this.#byFile) {
      copy.#byFile.set(path, bytes);
      if (slice.isOverAfterItem()) await slice.pause(signal);
    }
    return copy;
  }

  /** Returns the state of the stored counts, which changes with them; `undefined` if there are none. */
  static stampOf(repository: Repository): string | undefined {
    const stats = statSync(`${repository.path}/${FILE_NAME}`, { bigint: true, throwIfNoEntry: false });
    return stats && stampOf(stats);
  }

  /** Loads the last counts; empty if there are none or the file is invalid. */
  static async load(repository: Repository): Promise<LanguageStats> {
    try {
      const packed = await readFile(`${repository.path}/${FILE_NAME}`);
      const json = await unpack(packed, { maxOutputLength: MAX_BYTES });
      const stored = parseStored(json);
      if (stored !== undefined) return new LanguageStats(stored.commitId, stored.totals, stored.files);
    } catch (error) {
      // Any other error means a missing or damaged file; a new count replaces it.
      if (systemErrorCode(error) === 'EACCES') throw error;
    }
    return LanguageStats.empty();
  }

  /** Memory of the counts, as a number of files. */
  get weight(): number {
    return this.#byFile.size + Math.ceil(this.#stored.length / FILE_BYTES);
  }

  /** Bytes by language; every language has some. */
  get totals(): ReadonlyMap<string, number> {
    return this.#totals;
  }

  /** Adds a file to the counts, or replaces its count. */
  add(path: string, language: string, bytes: number): void {
    this.drop(path);
    this.#byFile.set(path, { [language]: bytes });
    if (bytes > 0) this.#totals.set(language, (this.#totals.get(language) ?? 0) + bytes);
  }

  /** Removes a file from the counts. */
  drop(path: string): void {
    for (const [language, bytes] of Object.entries(this.#byFile.get(path) ?? {})) {
      const left = (this.#totals.get(language) ?? 0) - bytes;
      if (left > 0) this.#totals.set(language, left);
      else this.#totals.delete(language);
    }
    this.#byFile.delete(path);
  }

  /**
   * Writes the counts for later calls. Of several writers, the last one wins.
   *
   * @returns the state of the file, see {@link stampOf}.
   */
  async save(repository: Repository): Promise<string> {
    const stored = await formatStored(this.commitId, this.#totals, this.#byFile);
    await using directory = await createTempDirectory(repository.storage, 'languages-');
    const file = `${directory.path}/${FILE_NAME}`;
    await writeFile(file, await pack(stored, PACKED));
    const stamp = stampOf(await stat(file, { bigint: true }));
    await rename(file, `${repository.path}/${FILE_NAME}`);
    return stamp;
  }
}

function stampOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs}`;
}
