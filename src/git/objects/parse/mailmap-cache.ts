import { BoundedMap } from '#base/bounded-map';
import { Mailmap } from './mailmap.ts';

/** Limit of all mailmaps together, as files; parsed ones take some four times as much. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Limit of the number, because empty ones have no weight. */
const MAX_MAILMAPS = 10_000;
/** Larger mailmaps are ignored, because reading them would cost too much. */
export const MAX_MAILMAP_BYTES = 1024 * 1024;

/** Parsed mailmaps by the id of their blob, shared by all repositories. */
export class MailmapCache {
  readonly #entries = new BoundedMap<string, { mailmap: Mailmap; bytes: number }>({
    maxEntries: MAX_MAILMAPS,
    maxWeight: MAX_BYTES,
    weigh: ({ bytes }) => bytes,
  });

  get(oid: string): Mailmap | undefined {
    return this.#entries.get(oid)?.mailmap;
  }

  /** Parses and caches a mailmap; the least recently used ones are removed. */
  add(oid: string, data: Buffer): Mailmap {
    const mailmap = Mailmap.parse(data);
    this.#entries.set(oid, { mailmap, bytes: data.length });
    return mailmap;
  }
}
