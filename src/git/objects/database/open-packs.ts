import { DeltaBases } from './delta-bases.ts';
import { Pack } from './pack.ts';
import { PageCache } from './page-cache.ts';

/** Limit of open packs, with two files each. */
const MAX_OPEN = 256;

/** A pack that an object directory lists. Its files are opened when they are needed. */
export class ListedPack {
  /** Path without `.pack` and `.idx`. */
  readonly stem: string;
  readonly #open: OpenPacks;
  readonly #oidBytes: number;
  #pack: Pack | undefined;

  constructor(stem: string, open: OpenPacks, oidBytes: number) {
    this.stem = stem;
    this.#open = open;
    this.#oidBytes = oidBytes;
  }

  /** Returns the open pack. @throws as the constructor of `Pack`. */
  open(): Pack {
    this.#pack ??= new Pack(this.stem, this.#open.caches, this.#oidBytes);
    this.#open.use(this);
    return this.#pack;
  }

  close(): void {
    this.#pack?.close();
    this.#pack = undefined;
    this.#open.drop(this);
  }
}

/** The packs that are open, of all repositories, and what was read from them. */
export class OpenPacks {
  readonly caches = { pages: new PageCache(), bases: new DeltaBases() };
  /** In order of use, the latest last. */
  readonly #packs = new Set<ListedPack>();
  #newest: ListedPack | undefined;

  /** Notes that a pack is needed, and closes the one that was not needed for longest. */
  use(pack: ListedPack): void {
    if (pack === this.#newest) return;
    this.#packs.delete(pack);
    this.#packs.add(pack);
    this.#newest = pack;
    if (this.#packs.size <= MAX_OPEN) return;
    for (const oldest of this.#packs) {
      oldest.close();
      return;
    }
  }

  drop(pack: ListedPack): void {
    this.#packs.delete(pack);
    if (this.#newest === pack) this.#newest = undefined;
  }

  /** Frees what was read. Packs stay open. */
  clear(): void {
    this.caches.pages.clear();
    this.caches.bases.clear();
  }
}
