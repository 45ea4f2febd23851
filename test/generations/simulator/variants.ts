import { Chain, type Floor } from '#generations/chain/chain';
import type { ChainState } from '#generations/chain/chain-state';
import type { SealedGeneration } from '#generations/codec/generation';
import { Maintenance } from '#generations/repository/maintenance';
import { OwnedRepository } from '#generations/repository/owned-repository';
import type { Plant } from './run.ts';

export class HastyChain extends Chain {
  override async isStillFloor(): Promise<boolean> {
    return true;
  }
}

export class UnfencedMaintenance extends Maintenance {
  override async fence(): Promise<boolean> {
    return true;
  }
}

/** Variants in which other faults matter. A run with one of them alone is clean. */
export const BASES: Readonly<Record<string, Plant>> = {
  'doubt ended by the next write': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async endDoubt(): Promise<void> {
          const { state } = this;
          if (state === undefined) return;
          const found = await this.options.chain.generation(state.n + 1);
          if (found === undefined) this.isEnded = true;
          else await this.absorb(found);
        }
        override get isInDoubt(): boolean {
          return super.isInDoubt && !this.isEnded;
        }
        override async add(sealed: SealedGeneration): Promise<void> {
          this.isEnded = false;
          await super.add(sealed);
        }
        isEnded = false;
      },
    },
  },
  'collector of the first version': {
    parts: {
      Maintenance: class extends Maintenance {
        override isSettled(floor: Floor): boolean {
          return floor.record !== undefined;
        }
        override mayDelete(n: number, checkpoint: ChainState): boolean {
          return n <= checkpoint.n && !checkpoint.kept.has(n);
        }
      },
    },
  },
  '404 taken for the head': { parts: { Chain: HastyChain } },
  'collector without fence': { parts: { Maintenance: UnfencedMaintenance } },
};
