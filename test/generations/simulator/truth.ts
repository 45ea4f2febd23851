import { ChainState } from '#generations/chain/chain-state';
import { openCheckpoint } from '#generations/codec/checkpoint';
import { openGeneration, type ReadGeneration } from '#generations/codec/generation';
import { isSameOwner } from '#generations/codec/owner';
import { referencesIn } from '#generations/codec/references';
import { FLOOR } from '#generations/codec/small-records';
import type { StoredObject } from '#generations/environment';
import type { RepositoryKeys } from '#generations/keys';
import type { World } from './world.ts';

/**
 * The true chain of one repository, and the checker: each write has a unique value and names its
 * old one, so that acknowledged writes must be on the chain in the order of real time, and each
 * read returns a value that was current during it. Each needs one look at the chain.
 */
export class Truth {
  readonly world: World;
  readonly keys: RepositoryKeys;
  objects = new Map<string, StoredObject>();
  /** Number of the last generation whose effect a client has seen. */
  known = 0;
  readonly counts = { reads: 0, writes: 0, takeovers: 0, floors: 0, deletions: 0, zombies: 0 };
  readonly #records: ReadGeneration[] = [];
  readonly #state = new ChainState();
  /** References after each generation; entry 0 is the state before the first. */
  readonly #values: string[] = [shownReferences(undefined)];
  readonly #positions = new Map<string, number>();
  readonly #failed = new Set<string>();
  /** Packs that a fork names. */
  readonly #pinned = new Set<string>();
  #floor = 0;
  /** The state at the head, computed from the objects of the checkpoint at the floor. */
  #followed: { readonly from: readonly (StoredObject | undefined)[]; readonly state: ChainState } | undefined;

  constructor(world: World, keys: RepositoryKeys) {
    this.world = world;
    this.keys = keys;
  }

  get head(): number {
    return this.#records.length;
  }

  get value(): string {
    return this.#values[this.head] ?? '';
  }

  /** Called for each object that is stored. */
  stored(key: string, content: Buffer): void {
    if (key.startsWith(this.keys.generations)) this.#report(this.#created(openGeneration(content)));
    if (key === this.keys.floor) this.#report(this.#floorMoved(FLOOR.open(content).n));
  }

  deleted(key: string): void {
    this.counts.deletions++;
    if (key.startsWith(this.keys.packs) || key.startsWith(this.keys.generations))
      this.#report(this.#checkObjects(`after DELETE ${key}`) ?? this.#pinnedProblem(`after DELETE ${key}`));
  }

  /** Ends a read that began when generation `from` was known. */
  endRead(from: number, value: string, who: string): void {
    this.counts.reads++;
    for (let n = from; n <= this.head; n++)
      if (this.#values[n] === value) {
        this.known = Math.max(this.known, n);
        return;
      }
    const known = `g/${from} (${this.#values[from]})`;
    this.world.fail(`stale or wrong read: ${who} returns ${value}; when it started, ${known} was known`);
  }

  /** Ends a write that was acknowledged. */
  endWrite(from: number, id: string, who: string): void {
    this.counts.writes++;
    const n = this.#positions.get(id);
    if (n === undefined) this.world.fail(`I2: the acknowledged write ${id} of ${who} is lost`);
    else if (n <= from)
      this.world.fail(`order: ${who} acknowledges ${id} at g/${n}, but g/${from} was known before`);
    else this.known = Math.max(this.known, n);
  }

  /** Ends a write that was refused: it must never appear. */
  refuse(id: string, who: string): void {
    this.#failed.add(id);
    if (this.#positions.has(id)) this.world.fail(`the refused write ${id} of ${who} exists`);
  }

  /** Ends a creation that was acknowledged. */
  endCreate(from: number, who: string): void {
    const n = this.#values.findIndex((value, index) => index >= from && value !== shownReferences(undefined));
    if (n < 0) this.world.fail(`I2: ${who} acknowledges a creation, but the repository is removed`);
    else this.known = Math.max(this.known, n);
  }

  /** Ends a fork: its packs must remain. */
  pin(packs: Iterable<string>): void {
    for (const name of packs) this.#pinned.add(name);
    this.#report(this.#pinnedProblem('after the fork'));
  }

  /** Checks at the end of a run that a new reader sees the head with all its objects. */
  checkEnd(value: string): void {
    this.#report(this.#checkObjects('at the end'));
    if (value !== this.value) this.world.fail(`the last reader sees ${value}; the head is ${this.value}`);
  }

  /** Checks that what a reader has found stays for the grace. */
  checkObjects({ packs, inline }: ChainState): void {
    const keys = [
      ...[...packs].map((name) => this.keys.pack(name)),
      ...[...inline].map((n) => this.keys.generation(n)),
    ];
    const gone = keys.find((key) => !this.objects.has(key));
    this.#report(gone && `${gone} is gone while it is read`);
  }

  #pinnedProblem(when: string): string | undefined {
    const gone = [...this.#pinned].find((name) => !this.objects.has(this.keys.pack(name)));
    return gone && `I12: pack ${gone} of a fork is gone ${when}`;
  }

  #report(problem: string | undefined): void {
    if (problem !== undefined) this.world.fail(problem);
  }

  #created(read: ReadGeneration): string | undefined {
    const { generation } = read;
    const { n, owner, kind, changes } = generation;
    const state = this.#state;
    if (n > this.head + 1) return `I3: g/${n} leaves a hole; the head is g/${this.head}`;
    if (n <= this.head) {
      this.counts.zombies++;
      return undefined;
    }
    const isTakeover = kind === 'takeover' || kind === 'create';
    if (isTakeover) this.counts.takeovers++;
    else if (!isSameOwner(state.owner, owner))
      return `owner: g/${n} of ${owner.server}.${owner.epoch} follows another owner`;
    if (generation.previous !== state.checksum) return `I3: g/${n} does not follow what is at g/${this.head}`;
    const values = new Map(state.references);
    for (const { name, old, new: value } of changes) {
      if (values.get(name) !== old) return `I6: g/${n} changes ${name} from a wrong value`;
      if (value !== undefined) {
        values.set(name, value);
        this.#positions.set(value, n);
        if (this.#failed.has(value)) return `the refused write ${value} appears at g/${n}`;
      }
    }
    this.#positions.set(generation.nonce, n);
    this.#records.push(read);
    state.apply(read);
    this.#values.push(shownReferences(state.exists ? state.references : undefined));
    return this.#checkObjects(`after g/${n}`);
  }

  #floorMoved(n: number): string | undefined {
    this.counts.floors++;
    if (n < this.#floor) return `the floor moves down, from ${this.#floor} to ${n}`;
    this.#floor = n;
    const state = this.#stored(n);
    const value = state && shownReferences(state.exists ? state.references : undefined);
    if (value !== this.#values[n])
      this.world.fail(`the floor moves to checkpoint ${n}: ${value}; the chain has ${this.#values[n]}`);
    return this.#checkObjects(`after the floor moved to ${n}`);
  }

  #stored(n: number): ChainState | undefined {
    if (n === 0) return new ChainState();
    const checkpoint = this.objects.get(this.keys.checkpoint(n));
    const references = this.objects.get(this.keys.references(n));
    if (checkpoint === undefined || references === undefined) return undefined;
    const opened = openCheckpoint(checkpoint.content);
    return ChainState.fromCheckpoint(opened, new Map(referencesIn(references.content)));
  }

  /**
   * Returns the state that a reader finds; `undefined` without the checkpoint at the floor. What
   * was computed from the same objects is continued.
   */
  #follow(): ChainState | undefined {
    const floor = this.objects.get(this.keys.floor);
    const n = floor === undefined ? 0 : FLOOR.open(floor.content).n;
    const from = [
      floor,
      this.objects.get(this.keys.checkpoint(n)),
      this.objects.get(this.keys.references(n)),
    ];
    const isSame = this.#followed?.from.every((object, at) => object === from[at]) === true;
    const state = isSame ? this.#followed?.state : this.#stored(n);
    this.#followed = state && { from, state };
    for (const read of this.#records.slice(state?.n)) state?.apply(read);
    return state;
  }

  /** I1: all that the references at the head reach is in packs that exist. */
  #checkObjects(when: string): string | undefined {
    const state = this.#follow();
    if (state === undefined) return `the checkpoint at the floor is missing ${when}`;
    const have = new Set<string>();
    for (const name of state.packs) {
      const pack = this.objects.get(this.keys.pack(name));
      if (pack === undefined) return `I1: pack ${name} of the head is gone ${when}`;
      for (const id of idsOf(pack.content)) have.add(id);
    }
    for (const n of state.inline) {
      const record = this.#records[n - 1];
      const object = this.objects.get(this.keys.generation(n));
      if (object === undefined || record === undefined)
        return `I1: the inline pack of g/${n} is gone ${when}`;
      for (const id of idsOf(record.inline)) have.add(id);
    }
    for (const value of state.references.values())
      if (!have.has(value)) return `I1: the object ${value} is in no pack of the head ${when}`;
  }
}

const ids = new WeakMap<Buffer, readonly string[]>();

/** Returns the ids of the objects in a pack of the simulation: one per line. */
export function idsOf(pack: Buffer): readonly string[] {
  const known = ids.get(pack);
  if (known !== undefined) return known;
  const found = pack.toString().split('\n').filter(Boolean);
  ids.set(pack, found);
  return found;
}

export function packOf(ids: Iterable<string>): Buffer {
  return Buffer.from([...ids].map((id) => `${id}\n`).join(''));
}

/** Returns the value of a read: all references, or that the repository does not exist. */
export function shownReferences(references: ReadonlyMap<string, string> | undefined): string {
  if (references === undefined) return 'removed';
  return [...references]
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(' ');
}
