import { Mailmap } from './mailmap.ts';

/** All mailmaps together, as files; parsed ones take some four times as much. */
const MAX_BYTES = 4 * 1024 * 1024;
/** A bigger mailmap is not applied: reading it would cost more than it is worth. */
export const MAX_MAILMAP_BYTES = 1024 * 1024;

/** Parsed mailmaps by the id of their blob, shared by all repositories: the id says all there is to say about the contents. */
export class MailmapCache {
  readonly #entries = new Map<string, { mailmap: Mailmap; bytes: number }>();
  #bytes = 0;

  get(oid: string): Mailmap | undefined {
    const entry = this.#entries.get(oid);
    if (entry === undefined) return undefined;
    this.#entries.delete(oid);
    this.#entries.set(oid, entry);
    return entry.mailmap;
  }

  /** Parses a mailmap and keeps it, at the cost of those not used for longest. */
  add(oid: string, data: Buffer): Mailmap {
    const mailmap = Mailmap.parse(data);
    if (!this.#entries.has(oid)) {
      this.#entries.set(oid, { mailmap, bytes: data.length });
      this.#bytes += data.length;
    }
    for (const [oldest, { bytes }] of this.#entries) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#entries.delete(oldest);
      this.#bytes -= bytes;
    }
    return mailmap;
  }
}
