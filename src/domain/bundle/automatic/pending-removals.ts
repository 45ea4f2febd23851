import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeDirectory } from '#base/files/make-directory';
import { isLeftDraft, replaceFile } from '#base/files/replace-file';
import { object, parseAs, type Shaped, text } from '#base/shape';
import { DIRECTORY_MODE } from '#storage/storage-layout';

/** A repository that is gone from a path; its storage is the one in the bucket. */
const removedRepository = object({ storageName: text, relativePath: text });
export type RemovedRepository = Shaped<typeof removedRepository>;

/** Files in the directory. A bucket that never works must not fill the disk. */
const MAX_PENDING = 10_000;
/** Removals in one page of a sweep. */
const MAX_LISTED = 1000;
const FILE_NAME = /^[0-9a-f]{64}\.json$/;

/**
 * Removed repositories whose bundles may still be in the bucket: a file for each, so that they are
 * removed when the bucket works again, and after a restart.
 */
export class PendingRemovals {
  readonly #directory: string;
  /** Files in the directory that this process knows; `undefined` before the first call. */
  #count: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Notes a removal. It is lost if there are too many. */
  async add(target: RemovedRepository): Promise<void> {
    await makeDirectory(this.#directory, { mode: DIRECTORY_MODE });
    this.#count ??= (await this.#allNames()).filter((name) => FILE_NAME.test(name)).length;
    if (this.#count >= MAX_PENDING) return;
    this.#count++;
    // A sweep removes what is left: there may be many files.
    await replaceFile(this.#pathOf(target), JSON.stringify(target), { durable: false, removesLeft: false });
  }

  /** Forgets a removal after it has ended. */
  async end(target: RemovedRepository): Promise<void> {
    await rm(this.#pathOf(target), { force: true });
    if (this.#count !== undefined && this.#count > 0) this.#count--;
  }

  /** Returns removals that have not ended, at most {@link MAX_LISTED}. */
  async list(): Promise<RemovedRepository[]> {
    const found: RemovedRepository[] = [];
    const all = await this.#allNames();
    const names = all.filter((name) => FILE_NAME.test(name));
    this.#count = names.length;
    for (const name of all) {
      const path = `${this.#directory}/${name}`;
      if (await isLeftDraft(path)) await rm(path, { force: true });
    }
    for (const name of names.slice(0, MAX_LISTED)) {
      const path = `${this.#directory}/${name}`;
      const json = await readFile(path, 'utf8').catch(() => undefined); // gone, or tried at the next sweep
      if (json === undefined) continue;
      const removed = parseAs(removedRepository, json);
      if (removed !== undefined) found.push(removed);
      else await rm(path, { force: true }); // of another program
    }
    return found;
  }

  async #allNames(): Promise<string[]> {
    return (await readdir(this.#directory).catch(ignoreMissing)) ?? [];
  }

  #pathOf({ storageName, relativePath }: RemovedRepository): string {
    const hash = createHash('sha256').update(`${storageName}\0${relativePath}`).digest('hex');
    return `${this.#directory}/${hash}.json`;
  }
}
