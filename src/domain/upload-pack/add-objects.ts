import { pipeline } from 'node:stream/promises';
import { createDeflate } from 'node:zlib';
import type { RawObject } from '#git/names/object-info';
import type { ObjectReader } from '#git/objects/object-reader';
import { encodedDistance, entryHeader } from '#git/objects/pack-header';
import { deflated, FAST_LEVEL } from '#git/objects/write/deflate';
import { encodeDelta } from '#git/objects/write/encode-delta';
import type { PackOutput } from './pack-output.ts';
import { damagedPack } from './pack-window.ts';
import type { DeltaChains } from './walked-packs/delta-chains.ts';

export interface AddObjectsOptions {
  /** Finds bases for deltas; absent for none. */
  readonly chains?: Pick<DeltaChains, 'add' | 'baseFor'>;
  /** Makes deltas only to objects that were added before, so that none names its base by its id. */
  readonly omitsNames?: boolean | undefined;
  readonly objects: ObjectReader;
  readonly output: PackOutput;
  readonly signal: AbortSignal;
}

/** Objects for which deltas are made, in some milliseconds. Larger ones are streamed. */
const MAX_WHOLE_BYTES = 512 * 1024;
/** A delta pays if it is less than half of its object. */
const MIN_GAIN = 2;
/** Shorter objects take little more than the id of a base. git refuses deltas of three bytes. */
const MIN_DELTA_OBJECT_BYTES = 64;

/**
 * Adds objects to a pack that no pack has in a form that can be sent.
 *
 * @returns the number of deltas.
 * @throws {GitalyError} INTERNAL when one is missing, or of an abort; errors of the output.
 */
export async function addObjects(oids: readonly string[], options: AddObjectsOptions): Promise<number> {
  const { objects, output, signal } = options;
  const starts = new Map<string, number>();
  let deltas = 0;
  for (const oid of oids) {
    const start = output.position;
    const object = await readSmall(objects, oid, signal);
    if (object === undefined) await addLargeObject(oid, options);
    else if (await addDelta(object, starts, options)) deltas++;
    else {
      output.add(entryHeader(object.type, object.size));
      output.add(await deflated(object.data));
    }
    starts.set(oid, start);
    await output.drain();
  }
  return deltas;
}

/**
 * Adds an object as a delta to an earlier one, if that is short; reports whether it was.
 *
 * @param starts where the objects begin that were added before.
 */
async function addDelta(
  { data, oid, type }: RawObject,
  starts: ReadonlyMap<string, number>,
  { chains, objects, omitsNames = false, output, signal }: AddObjectsOptions,
): Promise<boolean> {
  const base = data.length < MIN_DELTA_OBJECT_BYTES ? undefined : chains?.baseFor(oid);
  if (chains === undefined || base === undefined) return false;
  const start = starts.get(base);
  if (start === undefined && omitsNames) return false;
  const earlier = await readSmall(objects, base, signal);
  if (earlier?.type !== type) return false;
  const delta = encodeDelta(earlier.data, data, Math.floor(data.length / MIN_GAIN));
  if (delta === undefined) return false;
  chains.add(oid, base);
  const place = start === undefined ? Buffer.from(base, 'hex') : encodedDistance(output.position - start);
  output.add(entryHeader(start === undefined ? 'name-delta' : 'offset-delta', delta.length));
  output.add(place);
  output.add(await deflated(delta));
  return true;
}

/** Adds an object that only git can read, perhaps because of its size. */
async function addLargeObject(oid: string, { objects, output, signal }: AddObjectsOptions): Promise<void> {
  const object = await objects.openObject(oid, { signal });
  if (object === undefined) throw damagedPack();
  output.add(entryHeader(object.type, object.size));
  await pipeline(
    object.stream,
    createDeflate({ level: FAST_LEVEL }),
    async (pieces: AsyncIterable<Buffer>) => {
      for await (const bytes of pieces) {
        output.add(bytes);
        await output.drain();
      }
    },
  );
}

/** Reads an object into memory; `undefined` if it is large or missing. */
async function readSmall(
  objects: ObjectReader,
  oid: string,
  signal: AbortSignal,
): Promise<RawObject | undefined> {
  const info = await objects.info(oid, { signal });
  if (info === undefined || info.size > MAX_WHOLE_BYTES) return undefined;
  return await objects.readObject(oid, { signal });
}
