import { DeltaBases } from './delta-bases.ts';
import { PageCache } from './page-cache.ts';

/** Limit of open packs, with two files each, and of multi-pack-indexes. */
const MAX_OPEN = 256;

interface Closable {
  close(): void;
}

/** A pack, or a multi-pack-index, that a directory lists. Its files are opened when they are needed. */
export class ListedFile<T extends Closable> {
  readonly path: string;
  readonly #make: () => T;
  readonly #all: OpenPacks;
  #opened: T | undefined;

  constructor(path: string, make: () => T, all: OpenPacks) {
    this.path = path;
    this.#make = make;
    this.#all = all;
  }

  /** Returns the open file. @throws as its constructor. */
  open(): T {
    this.#opened ??= this.#make();
    this.#all.use(this);
    return this.#opened;
  }

  close(): void {
    this.#opened?.close();
    this.#opened = undefined;
    this.#all.drop(this);
  }
}

/** The open packs of all repositories, with the parts of them in memory. */
export class OpenPacks {
  readonly caches = { pages: new PageCache(), bases: new DeltaBases() };
  /** Packs in the order of use, the latest last. */
  readonly #files = new Set<Closable>();
  #newest: Closable | undefined;

  /** Notes that a file is needed, and closes the one that was not needed for longest. */
  use(file: Closable): void {
    if (file === this.#newest) return;
    this.#files.delete(file);
    this.#files.add(file);
    this.#newest = file;
    if (this.#files.size <= MAX_OPEN) return;
    for (const oldest of this.#files) {
      oldest.close();
      return;
    }
  }

  drop(file: Closable): void {
    this.#files.delete(file);
    if (this.#newest === file) this.#newest = undefined;
  }

  /** Frees the parts in memory. Files stay open. */
  clear(): void {
    this.caches.pages.clear();
    this.caches.bases.clear();
  }
}
