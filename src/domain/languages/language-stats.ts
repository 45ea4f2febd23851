import { readFile, rename, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { systemErrorCode } from '#base/system-error';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** In the repository. Gitaly's name and format, so that either server can go on with what the other one counted. */
const FILE_NAME = 'gitaly-language.stats';
const VERSION = 'v3:gitaly';
/** Of the file's contents, unpacked: some two million files. */
const MAX_BYTES = 256 * 1024 * 1024;

const pack = promisify(deflate);
const unpack = promisify(inflate);

/** Bytes by language. */
type Bytes = Readonly<Record<string, number>>;

/** The file's contents. */
interface Stored {
  readonly version: string;
  readonly commit_id: string;
  readonly totals: Bytes;
  /** By path; bytes of paths that are no UTF-8 are replaced. */
  readonly by_file: Readonly<Record<string, Bytes>>;
}

/** How many bytes of which language the files of one commit have, and each of them. */
export class LanguageStats {
  /** What was counted; empty before anything was. */
  readonly commitId: string;
  readonly #totals: Map<string, number>;
  readonly #byFile: Map<string, Bytes>;

  private constructor(commitId: string, totals: Bytes, byFile: Stored['by_file']) {
    this.commitId = commitId;
    this.#totals = new Map(Object.entries(totals));
    this.#byFile = new Map(Object.entries(byFile));
  }

  static empty(): LanguageStats {
    return new LanguageStats('', {}, {});
  }

  /** What was counted last; empty when nothing was, or the file is not to be understood. */
  static async load(repository: Repository): Promise<LanguageStats> {
    try {
      const stored: unknown = JSON.parse(
        (await unpack(await readFile(`${repository.path}/${FILE_NAME}`), { maxOutputLength: MAX_BYTES })).toString(),
      );
      if (isStored(stored)) return new LanguageStats(stored.commit_id, stored.totals, stored.by_file);
    } catch (error) {
      // Anything but a file that is not there is a file that is broken; counting anew replaces it.
      if (systemErrorCode(error) === 'EACCES') throw error;
    }
    return LanguageStats.empty();
  }

  /** Bytes by language; every language has some. */
  get totals(): ReadonlyMap<string, number> {
    return this.#totals;
  }

  /** Counts a file, or counts it anew. */
  add(path: string, language: string, bytes: number): void {
    this.drop(path);
    this.#byFile.set(path, { [language]: bytes });
    if (bytes > 0) this.#totals.set(language, (this.#totals.get(language) ?? 0) + bytes);
  }

  /** Does not count a file any more. */
  drop(path: string): void {
    for (const [language, bytes] of Object.entries(this.#byFile.get(path) ?? {})) {
      const left = (this.#totals.get(language) ?? 0) - bytes;
      if (left > 0) this.#totals.set(language, left);
      else this.#totals.delete(language);
    }
    this.#byFile.delete(path);
  }

  /** Writes what was counted for a commit, for the next time. The last of several who do so at once wins. */
  async save(repository: Repository, commitId: string): Promise<void> {
    const stored: Stored = {
      version: VERSION,
      commit_id: commitId,
      totals: Object.fromEntries(this.#totals),
      by_file: Object.fromEntries(this.#byFile),
    };
    await using directory = await createTempDirectory(repository.storage, 'languages-');
    const file = `${directory.path}/${FILE_NAME}`;
    await writeFile(file, await pack(`${JSON.stringify(stored)}\n`));
    await rename(file, `${repository.path}/${FILE_NAME}`);
  }
}

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false;
  // Nothing is taken for granted about the properties.
  const { version, commit_id: commitId, totals, by_file: byFile } = value as Partial<Record<keyof Stored, unknown>>;
  return (
    version === VERSION &&
    typeof commitId === 'string' &&
    isBytes(totals) &&
    isObject(byFile) &&
    Object.values(byFile).every(isBytes)
  );
}

function isBytes(value: unknown): value is Bytes {
  return isObject(value) && Object.values(value).every((bytes) => typeof bytes === 'number');
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
