import { constants, mkdirSync } from 'node:fs';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';

/** Space for the paths of some hundred repositories. */
const SPARE_BYTES = 64 * 1024;
const FILE_MODE = 0o600;
const FILLING = '\n';
/** Line for all repositories. */
const ALL = '*';

/**
 * Repositories with changes under way for which not even an intent could be written: the disk is
 * full. They are noted in a file that was written while there was space, and that is renamed as a
 * mark; neither needs more.
 */
export class UnrecordedChanges implements AsyncDisposable {
  readonly #spare: string;
  readonly #marked: string;
  readonly #onProblem: (error: unknown) => void;
  readonly #noted = new Set<string>();
  #file: FileHandle | undefined;
  #bytes = 0;
  /** Notes are written one after another. */
  #work: Promise<void> = Promise.resolve();

  /** Creates the directory. */
  constructor(directory: string, onProblem: (error: unknown) => void) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#spare = join(directory, 'spare');
    this.#marked = join(directory, 'unrecorded');
    this.#onProblem = onProblem;
  }

  /**
   * Returns the paths that a dead process has recorded; an empty path represents all repositories.
   */
  async left(): Promise<readonly string[]> {
    const text = await readFile(this.#marked, 'utf8').catch(ignoreMissing);
    if (text === undefined) return [];
    const paths = text.split(FILLING).filter((line) => line !== '');
    return paths.length === 0 || paths.includes(ALL) ? [''] : paths;
  }

  /**
   * Removes the records of a dead process, and creates the file for later ones; not while this
   * process uses it.
   */
  async prepare(): Promise<void> {
    await this.#next(async () => {
      if (this.#file !== undefined) return;
      await rename(this.#marked, this.#spare).catch(ignoreMissing);
      // Written in place if the file exists, because it has its space already.
      const file = await open(this.#spare, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
      try {
        await file.writeFile(FILLING.repeat(SPARE_BYTES));
        await file.datasync();
      } finally {
        await file.close();
      }
    });
  }

  /** Notes that a repository is about to change, unless it is noted already. */
  async note(relativePath: string): Promise<void> {
    if (this.#noted.has(relativePath)) return;
    this.#noted.add(relativePath);
    await this.#next(async () => {
      this.#file ??= await this.#mark();
      const isPlain = !relativePath.includes(FILLING) && relativePath !== ALL;
      const line = Buffer.from(`${isPlain ? relativePath : ALL}${FILLING}`);
      // The first line represents all repositories when there is no space for another line.
      const fits = 2 + this.#bytes + line.length <= SPARE_BYTES;
      await this.#file.write(fits ? line : Buffer.from(ALL), 0, undefined, fits ? 2 + this.#bytes : 0);
      if (fits) this.#bytes += line.length;
    });
  }

  /** All noted changes are in the journal. */
  async clear(): Promise<void> {
    if (this.#noted.size === 0) return;
    this.#noted.clear();
    await this.#next(async () => {
      const [file, bytes] = [this.#file, 2 + this.#bytes];
      if (file === undefined) return;
      await rename(this.#marked, this.#spare);
      await file.write(Buffer.from(FILLING.repeat(bytes)), 0, undefined, 0);
      await this.#close();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#next(() => this.#close());
  }

  async #mark(): Promise<FileHandle> {
    await rename(this.#spare, this.#marked);
    return await open(this.#marked, 'r+');
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#bytes = 0;
    await file?.close();
  }

  async #next(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work).catch(this.#onProblem);
    await this.#work;
  }
}
