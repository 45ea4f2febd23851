import { Chain, type CreateOutcome, type Floor, type Followed } from '#generations/chain/chain';
import { ChainState } from '#generations/chain/chain-state';
import { type ReadGeneration, type SealedGeneration, sealGeneration } from '#generations/codec/generation';
import type { Owner } from '#generations/codec/owner';
import { type Lease, type Mark, PIN } from '#generations/codec/small-records';
import { ASK_SHARE } from '#generations/environment';
import { OwnLease } from '#generations/leases/own-lease';
import { WatchedLeases } from '#generations/leases/watched-leases';
import { Maintenance } from '#generations/repository/maintenance';
import { OwnedRepository } from '#generations/repository/owned-repository';
import { type NewObjects, Publisher, type Write } from '#generations/repository/publisher';
import type { Plant } from './run.ts';
import { BASES, HastyChain, UnfencedMaintenance } from './variants.ts';

/** A planted fault, and the variant that it is planted in. */
export interface PlantedFault extends Plant {
  readonly base?: string;
}

/** One step of the protocol done wrongly, by a class that overrides it. */
export const FAULTS: Readonly<Record<string, PlantedFault>> = {
  'nonce ignored': {
    parts: {
      Chain: class extends Chain {
        override isOwn(): boolean {
          return false;
        }
      },
    },
  },
  '409 taken for lost': {
    parts: {
      Chain: class extends Chain {
        override async put(sealed: SealedGeneration): Promise<'created' | 'exists' | 'conflict'> {
          const result = await super.put(sealed);
          return result === 'conflict' ? 'exists' : result;
        }
        override async create(sealed: SealedGeneration): Promise<CreateOutcome> {
          const outcome = await this.put(sealed).catch(() => 'unknown' as const);
          if (outcome !== 'exists')
            return outcome === 'created' ? { kind: 'done' } : await super.create(sealed);
          const found = await this.generation(sealed.generation.n);
          return { kind: 'lost', found: found ?? sealed };
        }
      },
    },
  },
  'living repository erased': {
    parts: {
      Maintenance: class extends Maintenance {
        override mayErase(): boolean {
          return true;
        }
      },
    },
  },
  'first and last generation of an owner deleted': {
    parts: {
      Maintenance: class extends Maintenance {
        override mayDelete(n: number, checkpoint: ChainState): boolean {
          return n < checkpoint.n;
        }
      },
    },
  },
  'last generation of an owner deleted': {
    base: 'doubt ended by the next write',
    parts: {
      Maintenance: class extends Maintenance {
        override mayDelete(n: number, checkpoint: ChainState): boolean {
          return n < checkpoint.n && !(checkpoint.kept.has(n) && (n === 1 || checkpoint.kept.has(n - 1)));
        }
      },
    },
  },
  'applied before the PUT': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async add(sealed: SealedGeneration): Promise<void> {
          const { local } = this.options;
          const mark = { n: sealed.generation.n, checksum: sealed.checksum, ...local.identity };
          await local.apply(sealed, mark);
          await super.add(sealed);
        }
      },
    },
  },
  'margin of dead leases off': {
    parts: {
      WatchedLeases: class extends WatchedLeases {
        override deadMs({ ttlMs }: Lease): number {
          return ASK_SHARE * ttlMs * 0.5;
        }
      },
    },
  },
  'floor moved down': {
    parts: {
      Maintenance: class extends Maintenance {
        override isAbove(): boolean {
          return true;
        }
        override async replaceFloor(content: Buffer, floor: Floor): Promise<boolean> {
          const { chain } = this.repository.options;
          const now = await chain.floor();
          return await super.replaceFloor(content, { ...floor, version: now.version });
        }
      },
    },
  },
  'probing from an old position': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        old: ChainState | undefined;
        override async drop(): Promise<void> {
          this.old = this.state ?? this.old;
          await super.drop();
        }
        override async follow(mark: Mark | undefined): Promise<Followed> {
          const floor = await this.options.chain.floor();
          const state = (await this.old?.copy()) ?? new ChainState();
          if (this.old === undefined) return await super.follow(mark);
          for (;;) {
            const read = await this.options.chain.generation(state.n + 1);
            if (read === undefined) return { state, floor, missed: undefined };
            state.apply(read);
          }
        }
      },
    },
  },
  'takeover without the second look': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async counts(): Promise<boolean> {
          return true;
        }
      },
    },
  },
  'second look that compares with n': {
    base: 'collector of the first version',
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async counts(): Promise<boolean> {
          return (await this.options.chain.floor()).n <= this.last;
        }
        override seal(...args: Parameters<OwnedRepository['seal']>): SealedGeneration {
          const sealed = super.seal(...args);
          this.last = sealed.generation.n;
          return sealed;
        }
        last = 0;
      },
    },
  },
  'checksum of n-1 ignored': {
    base: '404 taken for the head',
    parts: {
      Chain: class extends HastyChain {
        override continues(state: ChainState, { generation }: ReadGeneration): boolean {
          return generation.n === state.n + 1;
        }
      },
    },
  },
  'collector without grace': {
    base: 'collector without fence',
    parts: {
      Maintenance: class extends UnfencedMaintenance {
        override isOld(): boolean {
          return true;
        }
      },
    },
  },
  'collector without fence': { parts: { Maintenance: UnfencedMaintenance } },
  'doomed packs named': {
    parts: {
      Publisher: class extends Publisher {
        override mayName(): boolean {
          return true;
        }
      },
    },
  },
  'collector after the floor of another': {
    parts: {
      Maintenance: class extends Maintenance {
        override isSettled({ record, modifiedMs }: Floor, nowMs: number): boolean {
          const { chain, lease } = this.repository.options;
          return lease.isOwner(record?.owner) && nowMs - modifiedMs >= chain.options.times.graceMs;
        }
      },
    },
  },
  'late floor of a former owner not adopted': {
    parts: {
      Maintenance: class extends Maintenance {
        override async adoptFloor(): Promise<void> {}
      },
    },
  },
  'young floor claimed': {
    parts: {
      Maintenance: class extends Maintenance {
        override mayClaim(): boolean {
          return true;
        }
      },
    },
  },
  'pins not read': {
    parts: {
      Maintenance: class extends Maintenance {
        override async pinned(): Promise<ReadonlySet<string>> {
          return new Set();
        }
      },
    },
  },
  'fork that does not read the doomed packs again': {
    parts: {
      pinPacks: async (source, fork) => {
        const { state } = await source.follow();
        await source.store(source.options.keys.pin(fork), PIN.seal({ packs: [...state.packs] }));
        return state;
      },
    },
  },
  'floor trusted after a lost request': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override forgetFloor(): void {}
      },
    },
  },
  'owner of a later epoch without a takeover': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override seal(...[state, parts, inline]: Parameters<OwnedRepository['seal']>): SealedGeneration {
          return super.seal(state, { owner: this.options.lease.owner, ...parts }, inline);
        }
      },
    },
  },
  'pack names without a nonce': {
    parts: {
      Chain: class extends Chain {
        override packName(checksum: string): string {
          return `${checksum}.pack`;
        }
      },
    },
  },
  'inline packs not in the checkpoint': {
    parts: {
      Maintenance: class extends Maintenance {
        override async coverInline(state: ChainState): Promise<void> {
          state.inline.clear();
        }
      },
    },
  },
  'maintenance of an old head': {
    parts: {
      Maintenance: class extends Maintenance {
        override isHead(): boolean {
          return true;
        }
      },
    },
  },
  'new objects of an old head': {
    parts: {
      Publisher: class extends Publisher {
        override async publish(write: Write): Promise<number> {
          const { state } = this.repository;
          let first: NewObjects | undefined = state && (await write.newObjects(state));
          const newObjects = async (head: ChainState): Promise<NewObjects> => {
            const objects = first ?? (await write.newObjects(head));
            first = undefined;
            return objects;
          };
          return await super.publish({ ...write, newObjects });
        }
      },
    },
  },
  'dead lease not ended': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async livingOwner({ owner }: ChainState): Promise<Owner | undefined> {
          const { lease, leases } = this.options;
          if (owner === undefined || lease.isOwner(owner) || (await leases.isDead(owner))) return undefined;
          return owner;
        }
      },
    },
  },
  'age counted from the response': {
    parts: {
      OwnLease: class extends OwnLease {
        override renewedAt(): number {
          return this.options.clock.nowMs();
        }
      },
    },
  },
  'boot id ignored': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async trustedMark(): Promise<Mark | undefined> {
          return await this.options.local.mark();
        }
      },
    },
  },
  'epoch not part of the owner': {
    parts: {
      OwnLease: class extends OwnLease {
        override nextEpoch(): number {
          return 1;
        }
      },
    },
  },
  'group made anew under one nonce': {
    parts: {
      Chain: class extends Chain {
        override async put(sealed: SealedGeneration): Promise<'created' | 'exists' | 'conflict'> {
          const again = this.sent.has(sealed.generation.nonce);
          this.sent.add(sealed.generation.nonce);
          if (!again || sealed.generation.changes.length < 2) return await super.put(sealed);
          const changes = sealed.generation.changes.slice(0, 1);
          return await super.put(sealGeneration({ ...sealed.generation, changes }, sealed.inline));
        }
        readonly sent = new Set<string>();
      },
    },
  },
  'deposed owner goes on': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async add(sealed: SealedGeneration): Promise<void> {
          const { chain } = this.options;
          const outcome = await chain.create(sealed);
          const { state } = this;
          if (outcome.kind !== 'lost' || state === undefined) {
            if (outcome.kind === 'done') await this.commit(sealed);
            else await super.add(sealed);
            return;
          }
          state.apply(outcome.found);
          const { n: _n, previous: _previous, ...parts } = sealed.generation;
          const next = this.seal(state, parts, sealed.inline);
          if ((await chain.create(next)).kind === 'done') state.apply(next);
        }
      },
    },
  },
  'reads after the release': {
    parts: {
      OwnLease: class extends OwnLease {
        override mayRead(): boolean {
          return this.state === 'live' || this.state === 'released';
        }
        override isFresh(): boolean {
          return this.state === 'released' || super.isFresh();
        }
      },
    },
  },
  'reader next to the owner': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async requireDeadOwner(): Promise<void> {}
      },
    },
  },
  '404 taken for the head': { parts: { Chain: HastyChain } },
  'created elsewhere after a removal': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override async livingOwner(state: ChainState): Promise<Owner | undefined> {
          return state.exists ? await super.livingOwner(state) : undefined;
        }
      },
    },
  },
  'reads with an old lease do not ask': {
    parts: {
      OwnedRepository: class extends OwnedRepository {
        override mustAsk(): boolean {
          return this.isInDoubt;
        }
      },
    },
  },
  'old values not checked': {
    parts: {
      Publisher: class extends Publisher {
        override isCurrent(): boolean {
          return true;
        }
      },
    },
  },
  'store ignores conditions': { defects: { ignoresConditions: true } },
};

/** Returns the classes of a fault together with its variant. */
export function plantOf({ base = '', parts, defects }: PlantedFault): Plant {
  return { parts: { ...BASES[base]?.parts, ...parts }, ...(defects !== undefined && { defects }) };
}
