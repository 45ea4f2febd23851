import { pipeline } from 'node:stream/promises';
import { createDeflate } from 'node:zlib';
import { BriefMemory } from '#base/memory/brief-memory';
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
  const { chains, objects, output, signal } = options;
  const starts = new Map<string, number>();
  let deltas = 0;
  for (const oid of oids) {
    const start = output.position;
    const base = baseOf(oid, starts, options);
    const known = base && recentDeltas.get(keyOf(oid, base));
    const object = known === undefined ? await readSmall(objects, oid, signal) : undefined;
    const delta = known ?? (object && base && (await makeDelta(object, base, options)));
    if (base !== undefined && delta !== undefined) {
      chains?.add(oid, base.oid);
      addDelta(delta, base, output);
      deltas++;
    } else if (object === undefined) await addLargeObject(oid, options);
    else {
      output.add(entryHeader(object.type, object.size));
      output.add(await deflated(object.data));
    }
    starts.set(oid, start);
    await output.drain();
  }
  return deltas;
}

/** The base of a delta. */
interface Base {
  readonly oid: string;
  /** Where it begins in the output; `undefined` if only the client has it. */
  readonly start: number | undefined;
}

/** A delta between two objects, which their ids determine. */
interface Delta {
  readonly size: number;
  readonly bytes: Buffer;
}

/** Several clients often get the same new objects. */
const recentDeltas = new BriefMemory<Delta>({
  maxBytes: 8 << 20,
  maxValueBytes: 64 << 10,
  maxAgeMs: 30_000,
  sizeOf: ({ bytes }) => bytes.length,
});

function keyOf(oid: string, base: Base): string {
  return `${oid} ${base.oid}`;
}

/** Returns an object to which another one may become a delta. */
function baseOf(
  oid: string,
  starts: ReadonlyMap<string, number>,
  { chains, omitsNames = false }: AddObjectsOptions,
): Base | undefined {
  const base = chains?.baseFor(oid);
  const start = base === undefined ? undefined : starts.get(base);
  return base === undefined || (start === undefined && omitsNames) ? undefined : { oid: base, start };
}

/** Makes an object a delta to an earlier one, if that is short. */
async function makeDelta(
  { data, oid, type }: RawObject,
  base: Base,
  { objects, signal }: AddObjectsOptions,
): Promise<Delta | undefined> {
  if (data.length < MIN_DELTA_OBJECT_BYTES) return undefined;
  const earlier = await readSmall(objects, base.oid, signal);
  if (earlier?.type !== type) return undefined;
  const delta = encodeDelta(earlier.data, data, Math.floor(data.length / MIN_GAIN));
  if (delta === undefined) return undefined;
  const made = { size: delta.length, bytes: await deflated(delta) };
  recentDeltas.set(keyOf(oid, base), made);
  return made;
}

function addDelta({ bytes, size }: Delta, { oid, start }: Base, output: PackOutput): void {
  const place = start === undefined ? Buffer.from(oid, 'hex') : encodedDistance(output.position - start);
  output.add(entryHeader(start === undefined ? 'name-delta' : 'offset-delta', size));
  output.add(place);
  output.add(bytes);
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
