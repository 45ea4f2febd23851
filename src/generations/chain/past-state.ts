import type { Generation } from '../codec/generation.ts';
import { ProtocolError } from '../errors.ts';
import { numberOfKey } from '../keys.ts';
import type { Chain } from './chain.ts';
import { ChainState, isChange } from './chain-state.ts';

/** A state of the past: the generation with a number, or the last one up to a time. */
export type PastMoment = { readonly generation: number } | { readonly timeMs: number };

/** Generations that are requested at once. */
const READ_AHEAD = 8;

/**
 * Returns the state of a repository at an earlier moment: from the last checkpoint before it that
 * is left, and the generations after that. It lists the checkpoints.
 *
 * @returns `undefined` if the repository did not exist yet.
 * @throws {ProtocolError} `missing` for a generation that was deleted, or does not exist;
 *   `damaged`.
 */
export async function pastState(chain: Chain, moment: PastMoment): Promise<ChainState | undefined> {
  const isReached = ({ n, timeMs }: Pick<ChainState, 'n' | 'timeMs'>): boolean =>
    'generation' in moment ? n <= moment.generation : timeMs <= moment.timeMs;
  const state = await startBefore(chain, isReached);
  let isPruned = false;
  for (let isOver = false; !isOver; ) {
    const numbers = Array.from({ length: READ_AHEAD }, (_, index) => state.n + 1 + index);
    for (const read of await Promise.all(numbers.map((n) => chain.generation(n)))) {
      isOver = read === undefined || !isReached(timed(read.generation, state));
      isPruned = read === undefined;
      if (read === undefined || isOver) break;
      if (!chain.continues(state, read))
        throw new ProtocolError('damaged', `the chain is damaged after generation ${state.n}`);
      state.apply(read);
    }
  }
  if ('generation' in moment && state.n !== moment.generation)
    throw new ProtocolError('missing', `generation ${moment.generation} is not kept, or does not exist`);
  // Of generations that were deleted some are left, but perhaps not their packs.
  if (isPruned && state.n < (await chain.floor()).n) return await startBefore(chain, isReached);
  return state.n === 0 ? undefined : state;
}

/** Returns a generation with the time that counts: what changes nothing has that of the state before. */
function timed(generation: Generation, { timeMs }: ChainState): Pick<ChainState, 'n' | 'timeMs'> {
  return { n: generation.n, timeMs: isChange(generation) ? generation.timeMs : timeMs };
}

/** Returns the last checkpoint that is not after the moment; the empty state without one. */
async function startBefore(
  chain: Chain,
  isReached: (state: Pick<ChainState, 'n' | 'timeMs'>) => boolean,
): Promise<ChainState> {
  for (const n of (await checkpointsOf(chain)).reverse()) {
    const state = await chain.checkpoint(n);
    if (state !== undefined && isReached(state)) return state;
  }
  return new ChainState();
}

/** Lists the numbers of the checkpoints of a chain, the oldest first. */
export async function checkpointsOf({ options }: Chain): Promise<number[]> {
  const numbers: number[] = [];
  for await (const page of options.bucket.list(options.keys.checkpoints))
    for (const { key } of page) if (!key.endsWith('.refs')) numbers.push(numberOfKey(key));
  return numbers;
}
