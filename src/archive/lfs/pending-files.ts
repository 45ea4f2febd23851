import { readFile } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { integer, list, object, parseAs, type Shaped, text } from '#base/shape';
import type { LfsPointer } from '#object-store/lfs-objects';

/** A file that was not archived with the commit that names it. */
const file = object({
  /** Ids of the repository, its own first. */
  ids: list(text),
  oid: text,
  size: integer,
  /** When it was noted; milliseconds since 1970. */
  atMs: integer,
});

export type PendingFile = Shaped<typeof file>;

/** Further ones are left to `verify`. */
const MAX_FILES = 2000;
/** A history may name files for ever that nobody has. */
const MAX_AGE_MS = 7 * 24 * 3600_000;

/** The files that are still to be archived, in a file: those that the store lacks, or that failed. */
export class PendingFiles {
  readonly #path: string;
  readonly #files = new Map<string, PendingFile>();
  #isChanged = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, files: readonly PendingFile[]) {
    this.#path = path;
    for (const each of files) this.#files.set(keyOf(each), each);
  }

  /** Reads the file. One that cannot be read has no content. */
  static async open(path: string): Promise<PendingFiles> {
    const content = await readFile(path, 'utf8').catch(ignoreMissing);
    return new PendingFiles(path, (content === undefined ? undefined : parseAs(list(file), content)) ?? []);
  }

  add(ids: readonly string[], { oid, size }: LfsPointer, nowMs: number): void {
    const pending = { ids, oid, size, atMs: nowMs };
    if (this.#files.size >= MAX_FILES || this.#files.has(keyOf(pending))) return;
    this.#files.set(keyOf(pending), pending);
    this.#isChanged = true;
  }

  delete(pending: PendingFile): void {
    this.#isChanged = this.#files.delete(keyOf(pending)) || this.#isChanged;
  }

  /** Returns the files, without those that were noted too long ago. */
  of(nowMs: number): PendingFile[] {
    const all = [...this.#files.values()];
    for (const each of all) if (nowMs - each.atMs > MAX_AGE_MS) this.delete(each);
    return [...this.#files.values()];
  }

  /** Writes the file, if anything has changed; one write after another. */
  async save(): Promise<void> {
    const writing = this.#writing.then(() => this.#write());
    this.#writing = writing.catch(() => {}); // who waits for it gets the error
    await writing;
  }

  async #write(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    try {
      await replaceFile(this.#path, JSON.stringify([...this.#files.values()]), { durable: true });
    } catch (error) {
      this.#isChanged = true;
      throw error;
    }
  }
}

function keyOf({ ids, oid }: PendingFile): string {
  return `${ids[0]} ${oid}`;
}
