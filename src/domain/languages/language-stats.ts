import { type BigIntStats, statSync } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { systemErrorCode } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/**
 * In the repository. Gitaly's name and format, so that either server can go on with what the other
 * one counted.
 */
const FILE_NAME = 'gitaly-language.stats';
const VERSION = 'v3:gitaly';
/** Of the file's contents, unpacked: some two million files. */
const MAX_BYTES = 256 * 1024 * 1024;

/** The file is written for every counted commit, so a fast compression. */
const PACKED = { level: 1 };
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

/** Bytes per language in the files of one commit, and the language of each file. */
export class LanguageStats {
  /** Counted commit; empty before the first count. */
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

  /** Returns counts for another commit, which begin as a copy of these. */
  for(commitId: string): LanguageStats {
    const copy = new LanguageStats(commitId, {}, {});
    for (const [language, bytes] of this.#totals) copy.#totals.set(language, bytes);
    for (const [path, bytes] of this.#byFile) copy.#byFile.set(path, bytes);
    return copy;
  }

  /** Returns the state of the stored counts, which changes with them; `undefined` if there are none. */
  static stampOf(repository: Repository): string | undefined {
    const stats = statSync(`${repository.path}/${FILE_NAME}`, { bigint: true, throwIfNoEntry: false });
    return stats && stampOf(stats);
  }

  /** Loads the last counts; empty when there are none, or the file is invalid. */
  static async load(repository: Repository): Promise<LanguageStats> {
    try {
      const packed = await readFile(`${repository.path}/${FILE_NAME}`);
      const json = await unpack(packed, { maxOutputLength: MAX_BYTES });
      const stored = parseStored(json.toString());
      if (stored !== undefined) return new LanguageStats(stored.commit_id, stored.totals, stored.by_file);
    } catch (error) {
      // Any other error means a missing or damaged file; a new count replaces it.
      if (systemErrorCode(error) === 'EACCES') throw error;
    }
    return LanguageStats.empty();
  }

  /** Number of counted files. */
  get fileCount(): number {
    return this.#byFile.size;
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

  /**
   * Writes the counts, for the next time. The last of several who do so at once wins.
   *
   * @returns the state of the file, see {@link stampOf}.
   */
  async save(repository: Repository): Promise<string> {
    const stored: Stored = {
      version: VERSION,
      commit_id: this.commitId,
      totals: Object.fromEntries(this.#totals),
      by_file: Object.fromEntries(this.#byFile),
    };
    await using directory = await createTempDirectory(repository.storage, 'languages-');
    const file = `${directory.path}/${FILE_NAME}`;
    await writeFile(file, await pack(`${JSON.stringify(stored)}\n`, PACKED));
    const stamp = stampOf(await stat(file, { bigint: true }));
    await rename(file, `${repository.path}/${FILE_NAME}`);
    return stamp;
  }
}

function stampOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs}`;
}

/** Parses the stored counts; `undefined` when they are invalid or have another version. */
function parseStored(json: string): Stored | undefined {
  const fields = JsonFields.parse(json);
  const [commitId, totals] = [fields?.text('commit_id'), bytesOf(fields?.object('totals'))];
  const byFile = fields?.object('by_file');
  if (fields?.text('version') !== VERSION) return undefined;
  if (commitId === undefined || totals === undefined || byFile === undefined) return undefined;
  const files: [string, Bytes][] = [];
  for (const [path] of byFile.entries()) {
    const bytes = bytesOf(byFile.object(path));
    if (bytes === undefined) return undefined;
    files.push([path, bytes]);
  }
  return { version: VERSION, commit_id: commitId, totals, by_file: Object.fromEntries(files) };
}

function bytesOf(fields: JsonFields | undefined): Bytes | undefined {
  const entries = fields?.entries() ?? [];
  return fields !== undefined && entries.every(isCount) ? Object.fromEntries(entries) : undefined;
}

function isCount(entry: [string, unknown]): entry is [string, number] {
  return typeof entry[1] === 'number';
}
