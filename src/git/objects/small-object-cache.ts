import type { Found } from './lookup.ts';

/** All remembered objects together. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Commits, most trees, small blobs. A bigger one costs git little more than its round trip. */
const MAX_OBJECT_BYTES = 8 * 1024;
/** What an entry costs beside its contents. */
const ENTRY_BYTES = 256;

/** A full id, perhaps peeled to a type. An id names its contents for ever, so an answer can be given again. */
const BY_ID = /^([0-9a-f]{40}|[0-9a-f]{64})(?:\^\{(commit|tree|blob|tag)\})?$/;

/** The id that a revision consists of, and the type that it has to have; `undefined` for any other revision. */
export function parseObjectId(revision: Buffer): { oid: string; type: string | undefined } | undefined {
  if (revision.length < 40 || revision.length > 73) return undefined;
  const [, oid, type] = BY_ID.exec(revision.toString('latin1')) ?? [];
  return oid === undefined ? undefined : { oid, type };
}

/**
 * Small objects that a living process has just read, by the process' repository and id. They live as long as the process: what makes the
 * pool ask another one (the repository was replaced, its alternates changed, nobody came for a while) makes them unreachable too.
 *
 * Contents are shared by all who ask: nobody may change them.
 */
export class SmallObjectCache {
  /** In order of use. */
  readonly #entries = new Map<string, Found>();
  #bytes = 0;

  get(generation: number, oid: string): Found | undefined {
    const key = `${generation} ${oid}`;
    const found = this.#entries.get(key);
    if (found === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found;
  }

  /** Remembers an object when it is small. */
  add(generation: number, { oid, type, size, data }: Found): void {
    const key = `${generation} ${oid}`;
    if (data === undefined || size > MAX_OBJECT_BYTES || this.#entries.has(key)) return;
    // A copy: the contents are a view on everything that came in one read.
    const own = Buffer.allocUnsafeSlow(data.length);
    data.copy(own);
    this.#entries.set(key, { oid, type, size, data: own });
    this.#bytes += own.length + ENTRY_BYTES;
    for (const [oldest, found] of this.#entries) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#entries.delete(oldest);
      this.#bytes -= (found.data?.length ?? 0) + ENTRY_BYTES;
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
