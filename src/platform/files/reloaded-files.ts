import { readFile, stat } from 'node:fs/promises';
import { stampOf } from '#base/files/file-stamp';
import { messageOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';

export interface ReloadedFilesOptions<T> {
  readonly paths: readonly string[];
  /** Parses the contents, in the order of the paths. */
  readonly parse: (contents: readonly Buffer[]) => T;
  /** Called once for each unusable state of the files; the previous value stays in use. */
  readonly onProblem: (error: unknown) => void;
}

/** Age up to which a value is returned without checking the files. */
const MAX_AGE_MS = 1000;
/** Size limit, far above any list of users or chain of certificates. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** The parsed value of a few small files, which are read again when one of them has changed. */
export class ReloadedFiles<T> {
  readonly #options: ReloadedFilesOptions<T>;
  #value: T;
  /** Stamps of the files at the last check, or its error; also set for unusable files. */
  #seen: string;
  /** True if the files could not be read at the last check, as without a free descriptor. */
  #isUnread = false;
  #lookedAtMs = performance.now();
  #looking: Promise<void> | undefined;

  private constructor(options: ReloadedFilesOptions<T>, value: T, seen: string) {
    this.#options = options;
    this.#value = value;
    this.#seen = seen;
  }

  /**
   * Opens the files. @throws the error of reading or parsing: at the start the files must be
   * usable.
   */
  static async open<T>(options: ReloadedFilesOptions<T>): Promise<ReloadedFiles<T>> {
    // before reading: the next check detects a change in between
    const seen = await stateOf(options.paths);
    return new ReloadedFiles(options, options.parse(await contentsOf(options.paths)), seen);
  }

  /** Returns the newest usable value. It may be one second old. */
  async current(): Promise<T> {
    if (performance.now() - this.#lookedAtMs < MAX_AGE_MS) return this.#value;
    return await this.refreshed();
  }

  /** Reports that the newest value cannot be used. */
  report(error: unknown): void {
    this.#options.onProblem(error);
  }

  /** Checks the files and returns the newest usable value. */
  async refreshed(): Promise<T> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
    return this.#value;
  }

  async #look(): Promise<void> {
    const { onProblem, parse, paths } = this.#options;
    try {
      const state = await stateOf(paths).catch(
        (error: unknown) => new Error(messageOf(error), { cause: error }),
      );
      const isSame = String(state) === this.#seen;
      if (isSame && !this.#isUnread) return;
      this.#seen = String(state);
      this.#isUnread = false;
      if (isError(state)) throw state;
      const contents = await contentsOf(paths).catch((error: unknown) => {
        this.#isUnread = true;
        if (!isSame) throw error; // else it was reported
      });
      if (contents !== undefined) this.#value = parse(contents);
    } catch (error) {
      onProblem(error);
    } finally {
      this.#lookedAtMs = performance.now();
    }
  }
}

async function stateOf(paths: readonly string[]): Promise<string> {
  const all = await Promise.all(paths.map((path) => stat(path)));
  if (all.some(({ size }) => size > MAX_FILE_BYTES))
    throw new Error(`the file has more than ${MAX_FILE_BYTES} bytes`);
  return all.map(stampOf).join(' ');
}

function contentsOf(paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path)));
}
