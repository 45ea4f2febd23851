import { mapAhead } from '#base/streams/map-ahead';
import { checkpointsOf } from '#generations/chain/past-state';
import type { GenerationKind } from '#generations/codec/generation';
import { numberOfKey } from '#generations/keys';
import { type ArchiveBucket, chainOf } from './bucket/archive-bucket.ts';
import { SETTING } from './capture/capture-settings.ts';

/** Generations that are requested at once. */
const READ_AHEAD = 8;

/** A generation that an archive keeps: a state that can be restored. */
export interface LoggedGeneration {
  /** Id of the repository: a path may have had several, one after another. */
  readonly id: string;
  readonly generation: number;
  /** Time of its last change; milliseconds since 1970. */
  readonly timeMs: number;
  readonly kind: GenerationKind;
  /** Number of changed references; 0 if only settings, or nothing, changed. */
  readonly references: number;
  readonly settings: readonly string[];
}

/** Yields the kept generations of a path, the newest first. */
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
    const restorable = withoutRemains(numbers, checkpoints).reverse();
    const generations = mapAhead(restorable, READ_AHEAD, (n) => chain.generation(n));
    for await (const read of generations) {
      if (read === undefined) continue; // the collector was faster
      const { changes, kind, n, settings, timeMs } = read.generation;
      const names = Object.keys(settings).filter((name) => name !== SETTING.event);
      yield { id, generation: n, timeMs, kind, references: changes.length, settings: names };
    }
  }
}

/**
 * Leaves out the generations before a checkpoint of which others were deleted: they are kept for
 * the protocol (I4), but their states cannot be restored. Both lists are ascending.
 */
function withoutRemains(numbers: readonly number[], checkpoints: readonly number[]): number[] {
  const left: number[] = [];
  let [at, before] = [0, 0];
  for (const checkpoint of checkpoints) {
    const first = at;
    while ((numbers[at] ?? Number.POSITIVE_INFINITY) <= checkpoint) at++;
    const isComplete = at - first === checkpoint - before;
    for (const n of numbers.slice(first, at)) if (isComplete || n === checkpoint) left.push(n);
    before = checkpoint;
  }
  return [...left, ...numbers.slice(at)];
}
