import type { Chain } from './chain/chain.ts';
import type { ChainState } from './chain/chain-state.ts';
import { PIN } from './codec/small-records.ts';
import { ProtocolError } from './errors.ts';

/** Attempts against a collector that dooms a pack at the same time. */
const MAX_ATTEMPTS = 3;

/**
 * Pins the packs of a repository for a fork, so that its collector leaves them. The pin is written
 * first, and the doomed packs are read after it: the collector writes these first and reads the
 * pins after them, so that one of both sees the other (I12).
 *
 * @returns the pinned state. The objects of its inline packs are not pinned: the fork copies them.
 */
export async function pinPacks(source: Chain, fork: string): Promise<ChainState> {
  const { bucket, keys } = source.options;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { state } = await source.follow();
    const content = PIN.seal({ packs: [...state.packs] });
    const before = await bucket.get(keys.pin(fork));
    const isWritten =
      before === undefined
        ? await source.store(keys.pin(fork), content)
        : (await bucket.replace(keys.pin(fork), content, before.version)) !== undefined;
    if (!isWritten) continue;
    const { state: later } = await source.follow();
    if (![...state.packs].some((name) => later.doomed.has(name))) return state;
  }
  throw new ProtocolError('unavailable', 'the collector removes the packs of the source again and again');
}

/** Notes a fork that may use any pack of a repository, which therefore must not be erased. */
export async function holdPacks(source: Chain, fork: string): Promise<void> {
  await source.store(source.options.keys.pin(fork), PIN.seal({ packs: [] }));
}

/** Removes a pin, once no generation of the fork names a pack of the source. */
export async function unpin(source: Chain, fork: string): Promise<void> {
  const { bucket, keys } = source.options;
  await bucket.delete([keys.pin(fork)]);
}
