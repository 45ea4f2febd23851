import { appendFileSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { systemErrorCode } from '#base/go/system-error';

const BEGUN = '+';
const ENDED = '-';
const FILE_MODE = 0o600;
const NAME = 'marks';
/** The process of a longer change has died. */
const MAX_UNDER_WAY_MS = 3600_000;
/** Files that are kept while a bucket is away; further marks stay together until it is back. */
const MAX_KEPT = 100;
/** Size of a file that nobody reads, such as that of an archive which another server writes. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Marks of a process between two looks at the size. */
const MARKS_PER_LOOK = 256;
/** Path in a mark that represents all repositories. */
export const ALL_REPOSITORIES = '';
const READ_NAME = /^marks\.\d+$/;

/**
 * Returns a function that marks a change of the settings of a repository, which the change feed
 * does not record: in a file, so that no change is missed after a crash. Any process of the server
 * may call it. If the file becomes too large, one mark for all repositories replaces it.
 */
export function settingsMarker(directory: string): (relativePath: string, phase: 'begin' | 'end') => void {
  let count = 0;
  return (relativePath, phase) => {
    if (relativePath.includes('\n')) return; // no client can open it
    const line = `${phase === 'begin' ? BEGUN : ENDED}${relativePath}\n`;
    const file = join(directory, NAME);
    try {
      if (
        ++count % MARKS_PER_LOOK === 0 &&
        (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_BYTES
      )
        markAllIn(file);
      appendFileSync(file, line, { mode: FILE_MODE });
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      appendFileSync(file, line, { mode: FILE_MODE });
    }
  };
}

/**
 * Replaces a file of marks by one for all repositories. @throws {Error} ENOENT if another process
 * did so at the same time.
 */
function markAllIn(file: string): void {
  const next = `${file}.all`;
  writeFileSync(next, `${ENDED}${ALL_REPOSITORIES}\n`, { mode: FILE_MODE });
  renameSync(next, file);
}

/** The marked repositories of a file, which {@link MarkedSettings.forget} removes. */
export interface Marked {
  readonly file: string;
  readonly paths: readonly string[];
}

/** Changes of a repository that are under way: the calls that run, and since when. */
interface UnderWay {
  readonly count: number;
  readonly sinceMs: number;
}

/** Reads the marks of all processes of a server. */
export class MarkedSettings {
  readonly #directory: string;
  #next = 0;
  /** A file that may still be written by who has opened it before it was renamed. */
  #renamed: string | undefined;
  /** Those that {@link take} has returned, and that were not forgotten. */
  readonly #kept = new Set<Marked>();
  /** Changes under way, by path. */
  #underWay: ReadonlyMap<string, UnderWay> = new Map();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reports whether nothing is to be taken before something is forgotten. */
  get isFull(): boolean {
    return this.#kept.size >= MAX_KEPT;
  }

  /** Returns the marks that dead processes have left, in one file: each may be a change. */
  async left(): Promise<Marked | undefined> {
    const names = (await readdir(this.#directory).catch(ignoreMissing)) ?? [];
    const read = names.filter((name) => READ_NAME.test(name));
    this.#next = Math.max(0, ...read.map((name) => Number(name.slice(NAME.length + 1)) + 1));
    if (names.includes(NAME)) read.push(await this.#rename());
    const [file, ...others] = read.map((name) => join(this.#directory, name));
    if (file === undefined) return undefined;
    const paths = new Set<string>();
    for (const each of [file, ...others])
      for (const line of (await readFile(each, 'utf8')).split('\n'))
        if (line !== '') paths.add(line.slice(1));
    if (others.length > 0)
      await replaceFile(file, [...paths].map((path) => `${ENDED}${path}\n`).join(''), { durable: false });
    for (const other of others) await rm(other, { force: true });
    return { file, paths: [...paths] };
  }

  /**
   * Returns the changes that have ended since the last call but one, if there are any. After a
   * failure, the next call returns them.
   */
  async take(): Promise<Marked | undefined> {
    const file = this.#renamed;
    const content = file && (await readFile(file, 'utf8').catch(ignoreMissing));
    const paths = content === undefined ? [] : this.#endedOf(content);
    const size = (await stat(join(this.#directory, NAME)).catch(ignoreMissing))?.size ?? 0;
    this.#renamed = size > 0 ? join(this.#directory, await this.#rename()) : undefined;
    if (file === undefined) return undefined;
    const marked = { file, paths };
    this.#kept.add(marked);
    return marked;
  }

  /** Returns the changes that have ended according to a file, and marks those under way again. */
  #endedOf(content: string): readonly string[] {
    const ended = new Set<string>();
    const underWay = new Map<string, UnderWay>();
    for (const line of content.split('\n')) {
      if (line === '') continue;
      const path = line.slice(1);
      if (line.startsWith(ENDED)) ended.add(path);
      const { count = 0 } = underWay.get(path) ?? {};
      const { sinceMs = Date.now() } = this.#underWay.get(path) ?? {};
      underWay.set(path, { count: count + (line.startsWith(BEGUN) ? 1 : -1), sinceMs });
    }
    // What is under way is marked again, before this file is forgotten.
    const mark = settingsMarker(this.#directory);
    for (const [path, { count, sinceMs }] of underWay) {
      if (count > 0 && Date.now() - sinceMs > MAX_UNDER_WAY_MS) ended.add(path);
      else for (let left = count; left > 0; left--) mark(path, 'begin');
      if (count <= 0) underWay.delete(path);
    }
    this.#underWay = underWay;
    return [...ended];
  }

  async #rename(): Promise<string> {
    const name = `${NAME}.${this.#next++}`;
    await rename(join(this.#directory, NAME), join(this.#directory, name));
    return name;
  }

  async forget(marked: Marked): Promise<void> {
    this.#kept.delete(marked);
    await rm(marked.file, { force: true });
  }
}
