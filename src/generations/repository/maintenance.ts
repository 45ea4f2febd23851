import type { Floor } from '../chain/chain.ts';
import type { ChainState } from '../chain/chain-state.ts';
import { FLOOR, PIN } from '../codec/small-records.ts';
import { ProtocolError } from '../errors.ts';
import { leaseKey, nameOfKey, numberOfKey } from '../keys.ts';
import type { OwnedRepository } from './owned-repository.ts';

/** Packs that a maintenance adds and removes. */
export interface PackChange {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** Joins packs to one with the same objects. */
export type JoinPacks = (packs: readonly Buffer[]) => Promise<Buffer>;

/**
 * The work of an owner that is not for a call: checkpoints, packs, and deleting what is not used.
 */
export class Maintenance {
  readonly repository: OwnedRepository;
  readonly #joinPacks: JoinPacks;
  /** Nonce of a floor that was old when this owner wrote it again. */
  #claimed: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(repository: OwnedRepository, joinPacks: JoinPacks) {
    this.repository = repository;
    this.#joinPacks = joinPacks;
  }

  /**
   * Replaces packs by others. It is given up if the head is not the one that the packs were
   * computed from (I11).
   *
   * @returns whether the packs were replaced; false if there was nothing to replace.
   */
  async repack(work: (head: ChainState) => Promise<PackChange>): Promise<boolean> {
    const head = await this.repository.state?.copy();
    if (head === undefined || this.repository.isInDoubt) return false;
    const { add, remove } = await work(head);
    if (add.length + remove.length === 0) return false; // a generation would be a change
    return await this.repository.serial(async () => {
      const { state } = this.repository;
      if (state === undefined || this.repository.isInDoubt || !this.isHead(state, head)) return false;
      if (add.some((name) => state.doomed.has(name))) return false;
      const parts = { kind: 'maintenance', head: head.n, packsAdded: add, packsRemoved: remove } as const;
      await this.repository.add(this.repository.seal(state, parts));
      return true;
    });
  }

  isHead(state: ChainState, computedFrom: ChainState): boolean {
    return state.n === computedFrom.n;
  }

  /**
   * Erases a repository that was removed: its packs and earlier states are deleted once the floor
   * is at a checkpoint after that, which stays. Packs that forks have pinned stay, too.
   *
   * @returns whether it was erased now.
   */
  async erase(): Promise<boolean> {
    return await this.repository.serial(async () => {
      const { state } = this.repository;
      if (state === undefined || this.repository.isInDoubt || !this.mayErase(state)) return false;
      await this.repository.add(this.repository.seal(state, { kind: 'erased' }));
      return true;
    });
  }

  mayErase({ exists, isErased }: ChainState): boolean {
    return !exists && !isErased;
  }

  /**
   * Writes a checkpoint of the head and moves the floor to it (I10).
   *
   * @returns its number; `undefined` if there is nothing to do, or another owner came first.
   */
  async checkpoint(): Promise<number | undefined> {
    return await this.#alone(async () => {
      // The floor is read before the owner asks: it has not been written by a later owner then.
      const floor = await this.repository.options.chain.floor();
      if ((await this.#head()) === undefined) return undefined;
      await this.adoptFloor(floor);
      const state = await this.repository.serial(async () => await this.stateToStore(floor));
      if (state === undefined) return undefined;
      await this.coverInline(state, floor);
      const packs = await this.repository.options.chain.storeCheckpoint(state);
      return await this.#moveFloor(floor, { n: state.n, packs });
    });
  }

  /**
   * Takes over what the floor covers, if a former owner has written it after the takeover: it may
   * have deleted the inline packs below it.
   */
  async adoptFloor({ n }: Floor): Promise<void> {
    const { state } = this.repository;
    if (state?.inline.values().some((each) => each <= n) !== true) return;
    const checkpoint = await this.repository.options.chain.checkpoint(n);
    // After another takeover, the packs of this floor may be deleted.
    if (checkpoint !== undefined && this.repository.state === state) state.cover(checkpoint);
  }

  /**
   * Returns a copy of the state for a checkpoint: the one of the chain. It is compared with the
   * local repository, which is dropped if it differs.
   */
  async stateToStore(floor: Floor): Promise<ChainState | undefined> {
    const { state, options } = this.repository;
    if (state === undefined || !this.isAbove(floor, state)) return undefined;
    const { clock, times } = options.chain.options;
    state.prune(clock.wallMs(), times);
    if (await options.local.equals(state)) return await state.copy();
    await this.repository.drop();
    await options.local.drop();
    throw new ProtocolError('damaged', 'the local references are not those of the chain');
  }

  /** Floors go up only. */
  isAbove(floor: Floor, { n }: ChainState): boolean {
    return n > floor.n;
  }

  /**
   * Uploads the objects of all inline packs that a checkpoint covers as one pack (I10). A missing
   * generation is damage only if the floor has not moved: a later owner deletes it after that.
   */
  async coverInline(state: ChainState, floor: Floor): Promise<void> {
    if (state.inline.size === 0) return;
    const { chain } = this.repository.options;
    const packs: Buffer[] = [];
    for (const n of state.inline) {
      const read = await chain.generation(n);
      if (read === undefined) {
        const isDamaged = (await chain.floor()).n === floor.n;
        throw new ProtocolError(isDamaged ? 'damaged' : 'not-owner', `generation ${n} has been deleted`);
      }
      packs.push(read.inline);
    }
    const name = await chain.uploadPack(await this.#joinPacks(packs));
    state.cover({ n: state.n, packs: [...state.packs, name] });
  }

  /**
   * Writes an old floor again, with the same number: what is below it may be deleted at once then
   * (I13). An idle repository needs no new checkpoint for that.
   *
   * @returns whether this owner has written the floor.
   */
  async claimFloor(): Promise<boolean> {
    return await this.#alone(async () => {
      const { chain } = this.repository.options;
      const floor = await chain.floor(); // before the owner asks, as for a checkpoint
      if (floor.record === undefined || (await this.#head()) === undefined) return false;
      if (floor.record.nonce === this.repository.floorNonce) return true;
      if (!this.mayClaim(floor, await this.#bucketTime())) return false;
      const checkpoint = await chain.checkpoint(floor.n);
      if (checkpoint === undefined) return false;
      const n = await this.#moveFloor(floor, { n: floor.n, packs: [...checkpoint.packs] });
      if (n !== undefined) this.#claimed = this.repository.floorNonce;
      return n !== undefined;
    });
  }

  /** Reports whether all who started below a floor have ended. */
  mayClaim(floor: Floor, nowMs: number): boolean {
    return this.isOld(floor, nowMs, this.repository.options.chain.options.times.graceMs);
  }

  /** Deletes what no reader needs. @returns the number of deleted objects. */
  async collect(): Promise<number> {
    return await this.#alone(async () => {
      const { chain } = this.repository.options;
      const floor = await chain.floor();
      const nowMs = await this.#bucketTime();
      if (!this.isSettled(floor, nowMs)) return 0;
      const checkpoint = await chain.checkpoint(floor.n);
      if (checkpoint === undefined) return 0;
      const packs = await this.#doomPacks(nowMs);
      // Readers of a record look for its changes and its packs, and a call deletes in any order.
      const isPart = (key: string): boolean => key.includes('.changes-');
      const old = await this.#oldRecords(checkpoint);
      const records = old.filter((key) => !isPart(key));
      const parts = [...old.filter(isPart), ...packs.map((name) => chain.options.keys.pack(name))];
      for (const keys of [records, parts]) if (keys.length > 0) await chain.options.bucket.delete(keys);
      return records.length + parts.length;
    });
  }

  /**
   * Reports whether what is below the floor may be deleted: all who started below it have ended,
   * and no older request can still move it. This owner has written the floor since its takeover, so
   * that requests of former owners, and its own without a response, have another version (I13).
   */
  isSettled(floor: Floor, nowMs: number): boolean {
    const { repository } = this;
    if (floor.record === undefined || floor.record.nonce !== repository.floorNonce) return false;
    return floor.record.nonce === this.#claimed || this.mayClaim(floor, nowMs);
  }

  isOld({ modifiedMs }: { readonly modifiedMs: number }, nowMs: number, graceMs: number): boolean {
    return nowMs - modifiedMs >= graceMs;
  }

  /**
   * Reports whether a generation is below the floor, and not the first or the last of an owner
   * (I4).
   */
  mayDelete(n: number, checkpoint: ChainState): boolean {
    return n < checkpoint.n && !checkpoint.kept.has(n);
  }

  /** Reports whether a checkpoint is below the floor. */
  mayDeleteCheckpoint(n: number, checkpoint: ChainState): boolean {
    return n < checkpoint.n;
  }

  /** Puts the generation that lists doomed packs (I12). @returns whether they may be deleted. */
  async fence(state: ChainState, doomed: readonly string[]): Promise<boolean> {
    await this.repository.add(this.repository.seal(state, { kind: 'doomed', doomed }));
    return true;
  }

  /** Returns the packs of this repository that forks name. */
  async pinned(): Promise<ReadonlySet<string>> {
    const { bucket, keys } = this.repository.options.chain.options;
    const pinned = new Set<string>();
    for await (const page of bucket.list(keys.pins))
      for (const { key } of page) {
        const object = await bucket.get(key);
        for (const name of object === undefined ? [] : PIN.open(object.content).packs) pinned.add(name);
      }
    return pinned;
  }

  /** Lists packs that nobody names, and dooms them. @returns those to delete. */
  async #doomPacks(nowMs: number): Promise<readonly string[]> {
    const { chain } = this.repository.options;
    const { keys, times, bucket } = chain.options;
    const old: string[] = [];
    for await (const page of bucket.list(keys.packs))
      for (const listed of page)
        if (this.isOld(listed, nowMs, times.graceMs)) old.push(nameOfKey(listed.key));
    // A pinned pack is not doomed again at each call.
    const before = old.length === 0 ? new Set<string>() : await this.pinned();
    const doomed = await this.repository.serial(async () => {
      const { state } = this.repository;
      if (state === undefined || this.repository.isInDoubt) return [];
      const unused = old.filter((name) => !before.has(name) && !state.isNamed(name));
      if (unused.length === 0 || !(await this.fence(state, unused))) return [];
      return unused;
    });
    const pinned = doomed.length === 0 ? new Set<string>() : await this.pinned();
    return doomed.filter((name) => !pinned.has(name));
  }

  /** Lists generations and checkpoints that may be deleted. */
  async #oldRecords(checkpoint: ChainState): Promise<string[]> {
    const { keys, bucket } = this.repository.options.chain.options;
    const old: string[] = [];
    for await (const page of bucket.list(keys.generations))
      for (const { key } of page) if (this.mayDelete(numberOfKey(key), checkpoint)) old.push(key);
    for await (const page of bucket.list(keys.checkpoints))
      for (const { key } of page) if (this.mayDeleteCheckpoint(numberOfKey(key), checkpoint)) old.push(key);
    return old;
  }

  /** Returns the state at the head, after the bucket has confirmed that it is the head. */
  async #head(): Promise<ChainState | undefined> {
    if (this.repository.state === undefined || this.repository.isInDoubt) return undefined;
    await this.repository.confirmHead();
    return this.repository.state;
  }

  async #moveFloor(
    floor: Floor,
    checkpoint: { readonly n: number; readonly packs: readonly string[] },
  ): Promise<number | undefined> {
    const { chain, lease } = this.repository.options;
    const { bucket, keys, random } = chain.options;
    const nonce = random.nonce();
    const content = FLOOR.seal({ n: checkpoint.n, owner: lease.owner, nonce });
    // A request without a response may still move the floor, so that what the collector knows of it
    // is out of date from here on.
    this.repository.forgetFloor();
    const isWritten = await this.replaceFloor(content, floor).catch(() => false);
    if (!isWritten && (await bucket.get(keys.floor))?.content.equals(content) !== true) return undefined;
    this.repository.coverFloor(checkpoint, nonce);
    return checkpoint.n;
  }

  /** Writes the floor, if it is still the one that was read. */
  async replaceFloor(content: Buffer, { version }: Floor): Promise<boolean> {
    const { bucket, keys } = this.repository.options.chain.options;
    if (version === undefined) return (await bucket.create(keys.floor, content)) === 'created';
    return (await bucket.replace(keys.floor, content, version)) !== undefined;
  }

  /** Returns a time that the bucket's clock has passed: that of the last renewal of the lease. */
  async #bucketTime(): Promise<number> {
    const { lease, chain } = this.repository.options;
    const object = await chain.options.bucket.get(leaseKey(lease.options.server));
    return object?.modifiedMs ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * Runs a checkpoint or the collector, never both: a checkpoint uses packs that nobody names yet.
   */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return await result;
  }
}
