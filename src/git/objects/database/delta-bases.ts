import { BoundedMap } from '#base/memory/bounded-map';
import type { ObjectType } from '#git/names/object-info';
import type { ImmutableFile } from './immutable-file.ts';

/** Limit of all bases together. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Memory of an entry in addition to its contents. */
const ENTRY_BYTES = 200;

export interface PackedObject {
  readonly type: ObjectType;
  readonly data: Buffer;
}

/** Objects of packs that are the base of deltas, shared by all repositories. */
export class DeltaBases {
  readonly #entries = new BoundedMap<string, PackedObject>({
    maxEntries: MAX_BYTES / ENTRY_BYTES,
    maxWeight: MAX_BYTES,
    weigh: ({ data }) => data.length + ENTRY_BYTES,
  });

  get(pack: ImmutableFile, offset: number): PackedObject | undefined {
    return this.#entries.get(baseKey(pack, offset));
  }

  add(pack: ImmutableFile, offset: number, object: PackedObject): void {
    this.#entries.set(baseKey(pack, offset), object);
  }

  clear(): void {
    this.#entries.clear();
  }
}

function baseKey({ id }: ImmutableFile, offset: number): string {
  return `${id} ${offset}`;
}
