import type { ChainState } from '#generations/chain/chain-state';
import { openCheckpoint } from '#generations/codec/checkpoint';
import { numberOfKey } from '#generations/keys';
import { Maintenance } from '#generations/repository/maintenance';
import { chooseKept, type DatedCheckpoint, type Kept, type Retention } from './retention.ts';

const NOTHING_CHOSEN: Kept = { checkpoints: new Set(), from: 0 };
const EVERYTHING_GOES: Kept = { checkpoints: new Set(), from: Number.POSITIVE_INFINITY };

/**
 * The maintenance of an archived repository: the collector keeps earlier states, besides what
 * readers of the last one need.
 */
export class RetainingMaintenance extends Maintenance {
  #kept: Kept = NOTHING_CHOSEN;
  #packs: ReadonlySet<string> = new Set();

  /**
   * Deletes what is not kept: all of an erased repository.
   *
   * @returns the number of deleted objects.
   */
  async prune(retention: Retention): Promise<number> {
    const { bucket, clock, keys } = this.repository.options.chain.options;
    const dated: DatedCheckpoint[] = [];
    for await (const page of bucket.list(keys.checkpoints))
      for (const { key, modifiedMs } of page)
        if (!key.endsWith('.refs')) dated.push({ n: numberOfKey(key), timeMs: modifiedMs });
    const isErased = this.repository.state?.isErased === true;
    this.#kept = isErased ? EVERYTHING_GOES : chooseKept(dated, retention, clock.wallMs());
    const packs = new Set<string>();
    for (const n of this.#kept.checkpoints) {
      const object = await bucket.get(keys.checkpoint(n));
      if (object !== undefined) for (const name of openCheckpoint(object.content).packs) packs.add(name);
    }
    this.#packs = packs;
    if (this.repository.floorNonce === undefined) await this.claimFloor();
    return await this.collect();
  }

  /**
   * Generations before the first one that is kept are deleted, besides those of the protocol. Of an
   * erased repository these go, too: no path leads to it, so that nothing reads what a former owner
   * writes at a free number.
   */
  override mayDelete(n: number, checkpoint: ChainState): boolean {
    if (checkpoint.isErased) return n < checkpoint.n;
    return super.mayDelete(n, checkpoint) && n < this.#kept.from;
  }

  override mayDeleteCheckpoint(n: number, checkpoint: ChainState): boolean {
    return super.mayDeleteCheckpoint(n, checkpoint) && !this.#kept.checkpoints.has(n);
  }

  /**
   * Returns the packs that forks name, and those of the kept states. A pack that a generation adds
   * is in the next checkpoint, because packs are joined only after a checkpoint.
   */
  override async pinned(): Promise<ReadonlySet<string>> {
    return new Set([...(await super.pinned()), ...this.#packs]);
  }
}
