import { mapAhead } from '#base/streams/map-ahead';
import type { Chain } from '#generations/chain/chain';
import { isChange } from '#generations/chain/chain-state';
import { checkpointsOf } from '#generations/chain/past-state';
import { openCheckpoint } from '#generations/codec/checkpoint';
import type { GenerationKind } from '#generations/codec/generation';
import { numberOfKey } from '#generations/keys';
import { type ArchiveBucket, chainOf } from './bucket/archive-bucket.ts';
import { SETTING } from './capture/capture-settings.ts';

/** Generations that are requested at once. */
const READ_AHEAD = 8;

/** A state that an archive keeps, and that can be restored. */
export interface LoggedGeneration {
  /** Id of the repository: a path may have had several, one after another. */
  readonly id: string;
  readonly generation: number;
  /** Time of its last change; milliseconds since 1970. */
  readonly timeMs: number;
  /** `checkpoint`: the changes before it were deleted. */
  readonly kind: GenerationKind | 'checkpoint';
  /** Number of changed references; 0 if only settings, or nothing, changed. */
  readonly references: number;
  readonly settings: readonly string[];
}

/** Yields the kept states of a path, the newest first. */
export async function* logOf(bucket: ArchiveBucket, path: string): AsyncGenerator<LoggedGeneration> {
  const seen = new Set<string>();
  for await (const { id } of bucket.paths.records(path)) {
    if (seen.has(id)) continue;
    seen.add(id);
    const chain = chainOf(bucket, id);
    const { bucket: objects } = bucket.environment;
    if ((await objects.get(chain.options.keys.givenUp)) !== undefined) continue;
    if ((await chain.start(await chain.floor()))?.isErased === true) continue;
    const checkpoints = await checkpointsOf(chain);
    const numbers: number[] = [];
    for await (const page of objects.list(chain.options.keys.generations))
      for (const { key } of page) if (/\/\d+$/.test(key)) numbers.push(numberOfKey(key));
    const restorable = restorableOf(numbers, checkpoints).reverse();
    for await (const logged of mapAhead(restorable, READ_AHEAD, (state) => readLogged(chain, state)))
      if (logged !== undefined) yield { id, ...logged };
  }
}

interface Restorable {
  readonly n: number;
  /** True for a checkpoint without all generations before it. */
  readonly isAlone: boolean;
}

/**
 * Leaves out the generations before a checkpoint of which others were deleted: they are kept for
 * the protocol (I4), but their states cannot be restored. Both lists are ascending.
 */
function restorableOf(numbers: readonly number[], checkpoints: readonly number[]): Restorable[] {
  const found: Restorable[] = [];
  let [at, before] = [0, 0];
  for (const checkpoint of checkpoints) {
    const first = at;
    while ((numbers[at] ?? Number.POSITIVE_INFINITY) <= checkpoint) at++;
    if (at - first < checkpoint - before) found.push({ n: checkpoint, isAlone: true });
    else for (const n of numbers.slice(first, at)) found.push({ n, isAlone: false });
    before = checkpoint;
  }
  return [...found, ...numbers.slice(at).map((n) => ({ n, isAlone: false }))];
}

/** Returns `undefined` if the collector was faster, or the repository was removed. */
async function readLogged(
  chain: Chain,
  { isAlone, n }: Restorable,
): Promise<Omit<LoggedGeneration, 'id'> | undefined> {
  const generation = (await chain.generation(n))?.generation;
  if (generation !== undefined && (!isAlone || isChange(generation))) {
    const { changes, kind, settings, timeMs } = generation;
    const names = Object.keys(settings).filter((name) => name !== SETTING.event);
    return { generation: n, timeMs, kind, references: changes.length, settings: names };
  }
  const { bucket, keys } = chain.options;
  const object = isAlone ? await bucket.get(keys.checkpoint(n)) : undefined;
  const { exists, timeMs = 0 } = object === undefined ? {} : openCheckpoint(object.content);
  if (exists !== true) return undefined;
  return { generation: n, timeMs, kind: 'checkpoint', references: 0, settings: [] };
}
