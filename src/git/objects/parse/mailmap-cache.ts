import { BoundedMap } from '#base/memory/bounded-map';
import { Mailmap } from './mailmap.ts';

/** Limit of the memory of all mailmaps together: one that is as large as possible fits. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Memory of a replacement in addition to its text, which is in memory as a whole. */
const REPLACEMENT_BYTES = 150;
/** Limit of the number, because empty ones have no weight. */
const MAX_MAILMAPS = 10_000;
/** Larger mailmaps are ignored, because reading them would cost too much. */
export const MAX_MAILMAP_BYTES = 1024 * 1024;

/** Limit of the commits whose mailmap is known, some 200 bytes each. */
const MAX_PLACES = 10_000;

/** Parsed mailmaps by the id of their blob, shared by all repositories. */
export class MailmapCache {
  readonly #places = new BoundedMap<string, { readonly oid: string | undefined }>({
    maxEntries: MAX_PLACES,
  });
  readonly #entries = new BoundedMap<string, { mailmap: Mailmap; bytes: number }>({
    maxEntries: MAX_MAILMAPS,
    maxWeight: MAX_BYTES,
    weigh: ({ bytes, mailmap }) => bytes + REPLACEMENT_BYTES * mailmap.size,
  });
  /** Mailmaps that are being parsed, each once. */
  readonly #parsing = new Map<string, Promise<Mailmap>>();

  /**
   * Returns the id of the mailmap at a place, `<commit id>:.mailmap`, if it is known. Its own id is
   * `undefined` if there is no mailmap at the place.
   */
  idAt(place: Buffer): { readonly oid: string | undefined } | undefined {
    return this.#places.get(place.toString('latin1'));
  }

  /** Remembers the id of the mailmap at a place. */
  setIdAt(place: Buffer, oid: string | undefined): void {
    this.#places.set(place.toString('latin1'), { oid });
  }

  get(oid: string): Mailmap | undefined {
    return this.#entries.get(oid)?.mailmap;
  }

  /** Parses and caches a mailmap; the least recently used ones are removed. */
  async add(oid: string, data: Buffer): Promise<Mailmap> {
    let parsing = this.#parsing.get(oid);
    if (parsing === undefined) {
      parsing = this.#parse(oid, data).finally(() => this.#parsing.delete(oid));
      this.#parsing.set(oid, parsing);
    }
    return await parsing;
  }

  async #parse(oid: string, data: Buffer): Promise<Mailmap> {
    const mailmap = await Mailmap.parse(data);
    this.#entries.set(oid, { mailmap, bytes: data.length });
    return mailmap;
  }
}
