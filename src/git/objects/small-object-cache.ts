import type { Found } from './lookup.ts';

/** All remembered objects together. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Commits and small blobs. A bigger one costs git little more than its round trip. */
const MAX_OBJECT_BYTES = 8 * 1024;
/** Directories of some thousand entries, which are looked into again and again. */
const MAX_TREE_BYTES = 64 * 1024;
/** Paths that are remembered, and the longest one. */
const MAX_PLACES = 4_000;
const MAX_PLACE_BYTES = 300;
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

/** A path behind a full id (`<id>:<path>`), which leads to the same object for ever; `undefined` for any other revision. */
export function parsePlace(revision: Buffer): string | undefined {
  if (revision.length > MAX_PLACE_BYTES || (revision[40] !== COLON && revision[64] !== COLON)) return undefined;
  const text = revision.toString('latin1');
  return PLACE.test(text) ? text : undefined;
}

const PLACE = /^(?:[0-9a-f]{40}|[0-9a-f]{64}):/;
const COLON = 0x3a;

/**
 * Small objects that a living process has just read, by the process' repository and id. They live as long as the process: what makes the
 * pool ask another one (the repository was replaced, its alternates changed, nobody came for a while) makes them unreachable too.
 *
 * Contents are shared by all who ask: nobody may change them.
 */
export class SmallObjectCache {
  /** In order of use. */
  readonly #entries = new Map<string, Found>();
  /** Ids of what lies at a path, in order of use. */
  readonly #places = new Map<string, string>();
  #bytes = 0;

  /** The object at a place as {@link parsePlace} gives it. */
  getAt(generation: number, place: string): Found | undefined {
    const key = `${generation} ${place}`;
    const oid = this.#places.get(key);
    if (oid === undefined) return undefined;
    this.#places.delete(key);
    this.#places.set(key, oid);
    return this.get(generation, oid);
  }

  /** Remembers the object that lies at a place, when it is small. */
  addAt(generation: number, place: string, found: Found): void {
    this.add(generation, found);
    this.#places.set(`${generation} ${place}`, found.oid);
    if (this.#places.size <= MAX_PLACES) return;
    const [oldest] = this.#places.keys();
    if (oldest !== undefined) this.#places.delete(oldest);
  }

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
    if (data === undefined || size > (type === 'tree' ? MAX_TREE_BYTES : MAX_OBJECT_BYTES) || this.#entries.has(key)) return;
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
    this.#places.clear();
    this.#bytes = 0;
  }
}
