import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import { OID_DIGITS, OID_SOURCE } from '#git/names/object-id';
import type { RawObject } from '#git/names/object-info';

/** Limit of all cached objects together. */
const MAX_BYTES = 8 * 1024 * 1024;
/**
 * Limit for commits and small blobs. Reading a bigger one costs git little more than its round
 * trip.
 */
const MAX_OBJECT_BYTES = 8 * 1024;
/** Limit for directories: some thousand entries, which are read repeatedly. */
const MAX_TREE_BYTES = 64 * 1024;
/** Limits of the number and the length of cached paths. */
const MAX_PLACES = 4_000;
const MAX_PLACE_BYTES = 300;
/** Memory of an entry in addition to its contents. */
const ENTRY_BYTES = 256;

/**
 * Matches a full id, possibly peeled to a type. An id always names the same contents, so its result
 * can be cached.
 */
const BY_ID = new RegExp(String.raw`^(${OID_SOURCE})(?:\^\{(commit|tree|blob|tag|)\})?$`);
const MAX_BY_ID_BYTES = OID_DIGITS.sha256 + '^{commit}'.length;

/**
 * Parses a revision that is an id, with the required type, which is empty for the first object that
 * is not a tag; `undefined` for any other revision.
 */
export function parseObjectId(revision: Buffer): { oid: string; type: string | undefined } | undefined {
  if (revision.length < OID_DIGITS.sha1 || revision.length > MAX_BY_ID_BYTES) return undefined;
  const [, oid, type] = BY_ID.exec(revision.toString('latin1')) ?? [];
  return oid === undefined ? undefined : { oid, type };
}

/**
 * Parses a path relative to a full id (`<id>:<path>`), which always leads to the same object;
 * `undefined` for any other revision.
 */
export function parsePlace(revision: Buffer): string | undefined {
  if (
    revision.length > MAX_PLACE_BYTES ||
    (revision[OID_DIGITS.sha1] !== COLON && revision[OID_DIGITS.sha256] !== COLON)
  )
    return undefined;
  const text = revision.toString('latin1');
  return PLACE.test(text) ? text : undefined;
}

const PLACE = new RegExp(`^${OID_SOURCE}:`);
const COLON = 0x3a;

/**
 * Small objects that were read, by the generation of their database and id. When it changes (the
 * repository was replaced, its packs or alternates changed, some minutes have passed), they become
 * unreachable.
 *
 * Contents are shared by all callers and must not be changed.
 */
export class SmallObjectCache {
  readonly #entries = new BoundedMap<string, RawObject>({
    maxEntries: MAX_BYTES / ENTRY_BYTES,
    maxWeight: MAX_BYTES,
    weigh: ({ data }) => data.length + ENTRY_BYTES,
  });
  /** Ids of the objects at paths. */
  readonly #places = new BoundedMap<string, string>({ maxEntries: MAX_PLACES });

  /** Returns the object at a place in the format of {@link parsePlace}. */
  getAt(generation: number, place: string): RawObject | undefined {
    const oid = this.#places.get(`${generation} ${place}`);
    return oid === undefined ? undefined : this.get(generation, oid);
  }

  /** Caches the object at a place, if it is small. */
  addAt(generation: number, place: string, found: RawObject): void {
    this.add(generation, found);
    this.#places.set(`${generation} ${place}`, found.oid);
  }

  get(generation: number, oid: string): RawObject | undefined {
    return this.#entries.get(`${generation} ${oid}`);
  }

  /** Caches a small object. Returns the cached object, or the given one. */
  add(generation: number, object: RawObject): RawObject {
    const { oid, type, size, data, isCached = false } = object;
    if (isCached || size > (type === 'tree' ? MAX_TREE_BYTES : MAX_OBJECT_BYTES)) return object;
    // The contents may be a view of everything that one read returned.
    const own = data.length === data.buffer.byteLength ? data : keptBytes([data]);
    const cached = { oid, type, size, data: own, isCached: true };
    this.#entries.set(`${generation} ${oid}`, cached);
    return cached;
  }

  clear(): void {
    this.#entries.clear();
    this.#places.clear();
  }
}
