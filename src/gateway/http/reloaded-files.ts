import type { BigIntStats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '#base/gitaly-error';

export interface ReloadedFilesOptions<T> {
  readonly paths: readonly string[];
  /** Makes something of the contents, in the order of the paths. */
  readonly parse: (contents: readonly Buffer[]) => T;
  /** Told once of each state of the files that cannot be used; what was read before stays in use. */
  readonly onProblem: (error: unknown) => void;
}

/** Longest time until a change is seen, while somebody asks. */
const LOOK_EVERY_MS = 1000;
/** Far above any list of users or chain of certificates. */
const MAX_FILE_BYTES = 16n * 1024n * 1024n;

/** What a few small files hold, read again when one of them has changed. */
export class ReloadedFiles<T> {
  readonly #options: ReloadedFilesOptions<T>;
  #value: T;
  /** Size, times and number of the files when they were last looked at, or why that failed; whether they could be used or not. */
  #seen: string;
  #lookedAtMs = performance.now();
  #looking: Promise<void> | undefined;

  private constructor(options: ReloadedFilesOptions<T>, value: T, seen: string) {
    this.#options = options;
    this.#value = value;
    this.#seen = seen;
  }

  /** @throws what reading or parsing throws: at the start a file must be right. */
  static async open<T>(options: ReloadedFilesOptions<T>): Promise<ReloadedFiles<T>> {
    const seen = await stateOf(options.paths); // before reading: a change in between is seen at the next look
    return new ReloadedFiles(options, options.parse(await contentsOf(options.paths)), seen);
  }

  /** The newest contents that could be used, at most a second old. */
  async current(): Promise<T> {
    if (performance.now() - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    return this.#value;
  }

  async #look(): Promise<void> {
    const { onProblem, parse, paths } = this.#options;
    try {
      const state = await stateOf(paths).catch((error: unknown) => new Error(messageOf(error), { cause: error }));
      if (String(state) === this.#seen) return;
      this.#seen = String(state);
      if (state instanceof Error) throw state;
      this.#value = parse(await contentsOf(paths));
    } catch (error) {
      onProblem(error);
    } finally {
      this.#lookedAtMs = performance.now();
    }
  }
}

async function stateOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
  return stats.map(identityOf).join(' ');
}

function identityOf({ ctimeNs, dev, ino, mtimeNs, size }: BigIntStats): string {
  if (size > MAX_FILE_BYTES) throw new Error(`a file of more than ${MAX_FILE_BYTES} bytes is not read`);
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

function contentsOf(paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path)));
}
