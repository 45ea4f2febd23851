import { mkdirSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { messageOf } from '#base/gitaly-error';
import { either, number, object, oneOf, optional, parseAs, record, type Shaped, text } from '#base/shape';
import { formatCheckedLine, parseCheckedLine } from './checked-line.ts';
import { writeNow } from './write-now.ts';

/** A change that may have been made when the server died. */
const intent = object({
  kind: oneOf('references', 'created', 'removed', 'renamed'),
  relativePath: text,
  previousPath: optional(text),
  /** Last sequence of the journal before the change. */
  after: number,
  /** Values before the change, by full name; absent if any reference may have changed. */
  values: optional(record(either(text, oneOf(null)))),
});
export type Intent = Shaped<typeof intent>;

const FILE_MODE = 0o600;
const NAME_DIGITS = 12;
const END = '\n';
/** Number of files that are kept open for later intents. */
const MAX_FREE = 64;
/** A larger file is removed. */
const MAX_FREE_BYTES = 64 * 1024;

export interface IntentFile {
  readonly path: string;
  readonly handle: FileHandle;
  bytes: number;
}

/**
 * The changes of one storage that are under way, each a line in a file of its own: written before
 * references move, cleared when its events are in the journal. A cleared file is used again, so
 * that a change costs one write before it and one after it.
 */
export class Intents implements AsyncDisposable {
  readonly #directory: string;
  readonly #onProblem: (error: unknown) => void;
  readonly #free: IntentFile[] = [];
  readonly #clearing = new Set<Promise<void>>();
  #hasEnded = false;
  #number = 0;

  /** Creates the directory. @param onProblem called when an intent cannot be cleared. */
  constructor(directory: string, onProblem: (error: unknown) => void) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
    this.#onProblem = onProblem;
  }

  /** Writes an intent. @returns its file, for {@link clear}. */
  async write(intent: Intent): Promise<IntentFile> {
    const file = this.#free.pop() ?? (await this.#create());
    const bytes = Buffer.from(formatCheckedLine(intent));
    file.bytes = Math.max(file.bytes, bytes.length);
    try {
      writeNow(file.handle, bytes, 0);
    } catch (error) {
      await this.#remove(file).catch(this.#onProblem);
      throw error;
    }
    return file;
  }

  /** Clears an intent, soon: one that is left is compared with the journal. */
  clear(file: IntentFile): void {
    const clearing = this.#clear(file)
      .catch(this.#onProblem)
      .finally(() => this.#clearing.delete(clearing));
    this.#clearing.add(clearing);
  }

  /** Leaves an intent to the next start: its events are not in the journal. */
  async leave({ handle }: IntentFile): Promise<void> {
    await handle.close();
  }

  /** Removes the files. Intents that were not cleared are kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasEnded = true;
    await Promise.all([...this.#clearing]);
    for (const file of this.#free.splice(0)) await this.#remove(file).catch(this.#onProblem);
  }

  /**
   * Returns the intents of a dead process in the order in which the changes started. No change
   * followed an intent that is incomplete. An unreadable one is reported. Before the first
   * {@link write}, files with the pid of this process are those of a dead one, too.
   */
  async left(): Promise<{ readonly files: readonly string[]; readonly intents: readonly Intent[] }> {
    const files: string[] = [];
    const intents: Intent[] = [];
    for (const name of await readdir(this.#directory)) {
      if (this.#number > 0 && name.startsWith(`${process.pid}-`)) continue;
      const file = join(this.#directory, name);
      const content = await readFile(file).catch((error: unknown) => this.#onProblem(named(error, file)));
      if (content === undefined) continue; // kept, for the next start
      files.push(file);
      const intent = parseIntent(content);
      if (intent !== undefined) intents.push(intent);
    }
    return { files, intents: intents.sort((one, other) => one.after - other.after) };
  }

  /** Removes the files that a dead process has left. */
  async forget(files: readonly string[]): Promise<void> {
    for (const file of files) await rm(file, { force: true });
  }

  async #create(): Promise<IntentFile> {
    const name = `${process.pid}-${String(++this.#number).padStart(NAME_DIGITS, '0')}.json`;
    const path = join(this.#directory, name);
    return { path, handle: await open(path, 'wx', FILE_MODE), bytes: 0 };
  }

  async #clear(file: IntentFile): Promise<void> {
    const isWanted = !this.#hasEnded && this.#free.length < MAX_FREE && file.bytes <= MAX_FREE_BYTES;
    if (isWanted && isCleared(file)) this.#free.push(file);
    else await this.#remove(file);
  }

  async #remove({ handle, path }: IntentFile): Promise<void> {
    try {
      await unlink(path).catch(ignoreMissing);
    } finally {
      await handle.close();
    }
  }
}

/** Only the first line is read. A file system that copies on write may need space for it. */
function isCleared({ handle }: IntentFile): boolean {
  try {
    writeNow(handle, Buffer.from(END), 0);
    return true;
  } catch {
    return false;
  }
}

function named(error: unknown, file: string): Error {
  return new Error(`${file} cannot be read: ${messageOf(error)}`, { cause: error });
}

/** Reads the intent in the first line of a file. Behind it may be the rest of an earlier one. */
function parseIntent(content: Buffer): Intent | undefined {
  const end = content.indexOf(END);
  const json = end === -1 ? undefined : parseCheckedLine(content.subarray(0, end));
  // Earlier versions wrote JSON only, in a new file.
  return parseAs(intent, json ?? content.toString());
}
