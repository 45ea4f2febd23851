import type { Chain, Floor, Followed } from '../chain/chain.ts';
import { ChainState } from '../chain/chain-state.ts';
import {
  type Generation,
  type ReadGeneration,
  type SealedGeneration,
  sealGeneration,
} from '../codec/generation.ts';
import { isSameOwner, type Owner } from '../codec/owner.ts';
import type { Mark } from '../codec/small-records.ts';
import { ProtocolError } from '../errors.ts';
import type { OwnLease } from '../leases/own-lease.ts';
import type { WatchedLeases } from '../leases/watched-leases.ts';
import { isTrusted, type LocalRepository, markOf } from './local-repository.ts';

/** Takeovers that are overtaken by others, one after another. */
const MAX_ATTEMPTS = 5;

export interface OwnedRepositoryOptions {
  readonly chain: Chain;
  readonly lease: OwnLease;
  readonly leases: WatchedLeases;
  readonly local: LocalRepository;
}

/**
 * The repository of an owner: takes it over, answers reads, and adds generations, one at a time
 * (I4). The parts of a generation that callers choose come from `Publisher` and the maintenance.
 */
export class OwnedRepository {
  readonly options: OwnedRepositoryOptions;
  /** State at the head while this server owns the repository. */
  #state: ChainState | undefined;
  /** A generation whose outcome is unknown. */
  #doubt: SealedGeneration | undefined;
  #floorNonce: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: OwnedRepositoryOptions) {
    this.options = options;
  }

  /** The state at the head; `undefined` unless this server owns the repository in this epoch. */
  get state(): ChainState | undefined {
    const state = this.#state;
    return state !== undefined && this.options.lease.isOwner(state.owner) ? state : undefined;
  }

  get isInDoubt(): boolean {
    return this.#doubt !== undefined;
  }

  /** Runs a piece of work that may add a generation, after the one before has ended. */
  async serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return await result;
  }

  /**
   * Becomes the owner, if the current one is dead.
   *
   * @returns the owner: this server or the one to forward to.
   * @throws {ProtocolError} `missing` for a repository that does not exist.
   */
  async takeOver(): Promise<Owner> {
    return await this.serial(() => this.#become('takeover', { isRemoved: false }));
  }

  /**
   * Becomes the owner of a repository that was removed, to erase it.
   *
   * @throws {ProtocolError} `exists`, or `missing` if there never was one.
   */
  async takeOverRemoved(): Promise<Owner> {
    return await this.serial(() => this.#become('takeover', { isRemoved: true }));
  }

  /**
   * Creates a repository, also one that was removed. After a removal only its owner may, while it
   * lives (I5): its reads still report the removal.
   *
   * @param timeMs time of the creation, if it was made earlier.
   * @throws {ProtocolError} `exists`
   */
  async create(timeMs?: number): Promise<Owner> {
    return await this.serial(() => this.#become('create', { isRemoved: true, timeMs }));
  }

  /**
   * Creates a repository under an id that nobody has used, such as a new random one: nothing has to
   * be looked for, so that one request is enough.
   *
   * @param timeMs as of {@link create}.
   * @throws {ProtocolError} `unknown`; `exists`. The id must not be used again.
   */
  async createUnused(timeMs?: number): Promise<void> {
    await this.serial(async () => {
      const { chain, local } = this.options;
      const state = new ChainState();
      const sealed = this.seal(state, { kind: 'create', ...(timeMs !== undefined && { timeMs }) });
      const { kind } = await chain.create(sealed);
      if (kind === 'unknown') throw new ProtocolError('unknown', 'the bucket did not confirm a creation');
      if (kind === 'lost') throw new ProtocolError('exists', 'the id is used already');
      state.apply(sealed);
      await local.fill(state, markOf(state, local.identity));
      this.#state = state;
    });
  }

  /**
   * Checks that the local repository may be read: the owner answers while its lease is young.
   * Later, and in doubt, it asks the bucket first.
   *
   * @throws {ProtocolError} `not-owner`
   */
  async requireReadable(): Promise<ChainState> {
    if (!this.options.lease.mayRead()) throw this.#notOwner();
    if (this.state === undefined) throw this.#notOwner();
    if (this.mustAsk()) await this.confirmHead();
    const state = this.state;
    if (state === undefined) throw this.#notOwner();
    if (!state.exists) throw new ProtocolError('missing', 'the repository does not exist');
    return state;
  }

  /** Reports whether a read needs requests: not within the lease, except in doubt. */
  mustAsk(): boolean {
    return this.isInDoubt || !this.options.lease.isFresh();
  }

  /**
   * Returns the state for a reader that does not own the repository.
   *
   * @throws {ProtocolError} `not-owner` while the owner lives: it alone answers, because a reader
   *   next to it may return the new value before the owner returns the old one.
   */
  async readCold(): Promise<ChainState> {
    const { state } = await this.options.chain.follow();
    await this.requireDeadOwner(state);
    if (!state.exists) throw new ProtocolError('missing', 'the repository does not exist');
    return state;
  }

  async requireDeadOwner({ owner }: ChainState): Promise<void> {
    if (owner !== undefined && !(await this.options.leases.isDead(owner))) throw this.#notOwner(owner);
  }

  /**
   * Makes the next generation of a state. Its owner is that of the state, also when this server has
   * started another epoch since: only a takeover changes the owner (I14).
   */
  seal(
    state: ChainState,
    parts: Pick<Generation, 'kind'> & Partial<Generation>,
    inline?: Buffer,
  ): SealedGeneration {
    const { clock, random } = this.options.chain.options;
    return sealGeneration(
      {
        n: state.n + 1,
        previous: state.checksum,
        owner: state.owner ?? this.options.lease.owner,
        nonce: random.nonce(),
        head: state.n,
        timeMs: clock.wallMs(),
        changes: [],
        packsAdded: [],
        packsRemoved: [],
        doomed: [],
        settings: {},
        requests: [],
        ...parts,
      },
      inline,
    );
  }

  /**
   * Adds a generation to the head. The local references move only after it exists (I7). Runs inside
   * {@link serial}.
   *
   * @throws {ProtocolError} `unknown`: it may appear later; `not-owner`: another has the number,
   *   and this server, which is deposed, does not try the next one.
   */
  async add(sealed: SealedGeneration): Promise<void> {
    if (!this.options.lease.isOwner(sealed.generation.owner)) throw this.#notOwner();
    const outcome = await this.options.chain.create(sealed);
    if (outcome.kind === 'done') return await this.commit(sealed);
    if (outcome.kind === 'lost') {
      await this.absorb(outcome.found);
      throw this.#notOwner();
    }
    this.#doubt = sealed;
    throw new ProtocolError('unknown', 'the bucket did not confirm a write');
  }

  /**
   * Ends a doubt: a generation without changes takes the number, unless the doubtful one has it.
   */
  async endDoubt(): Promise<void> {
    const { chain } = this.options;
    const state = this.#state;
    if (this.#doubt === undefined || state === undefined) return;
    // It changes nothing, also not the time of the last change.
    const empty = this.seal(state, { kind: 'write', timeMs: state.timeMs });
    const found = await chain.generation(empty.generation.n);
    if (found !== undefined) return await this.absorb(found);
    const outcome = await chain.create(empty);
    if (outcome.kind === 'unknown') throw new ProtocolError('unavailable', 'the bucket does not respond');
    await (outcome.kind === 'lost' ? this.absorb(outcome.found) : this.commit(empty));
  }

  /** Applies a generation that exists to the state and the local repository. */
  async commit(read: ReadGeneration): Promise<void> {
    const state = this.#state;
    if (state === undefined) return;
    state.apply(read);
    this.#doubt = undefined;
    const { local } = this.options;
    try {
      await local.apply(read, markOf(state, local.identity));
    } catch {
      await this.drop(); // no refusal: the generation exists
      await local.drop();
    }
  }

  /**
   * Applies the generation after the head that another request, or another server, has put there.
   */
  async absorb(found: ReadGeneration): Promise<void> {
    const state = this.#state;
    if (state === undefined || found.generation.n <= state.n) return;
    const isOwn = this.options.lease.isOwner(found.generation.owner);
    if (isOwn && this.options.chain.continues(state, found)) await this.commit(found);
    else await this.drop();
  }

  /** Gives up the ownership in memory. */
  async drop(): Promise<void> {
    this.#state = undefined;
    this.#doubt = undefined;
    this.#floorNonce = undefined;
  }

  /** Notes that this server has moved the floor to a checkpoint. @param nonce of the floor. */
  coverFloor(checkpoint: { readonly n: number; readonly packs: readonly string[] }, nonce: string): void {
    this.#state?.cover(checkpoint);
    this.#floorNonce = nonce;
  }

  forgetFloor(): void {
    this.#floorNonce = undefined;
  }

  /** Nonce of the floor, if this server has written it since it took the repository over. */
  get floorNonce(): string | undefined {
    return this.#floorNonce;
  }

  /**
   * Checks with the bucket that nothing follows the head: the next generation is missing, and then
   * the floor is not above the head (I3).
   */
  async confirmHead(): Promise<void> {
    for (let state = this.#state; state !== undefined; state = this.#state) {
      const { n } = state;
      const found = await this.options.chain.generation(n + 1);
      if (found === undefined) {
        const floor = await this.options.chain.floor();
        if (this.#state === state && floor.n > state.n) await this.drop();
        return;
      }
      await this.serial(() => this.absorb(found));
      if (this.#state?.n === n) throw this.#notOwner();
    }
  }

  async #become(
    kind: 'takeover' | 'create',
    { isRemoved, timeMs }: { readonly isRemoved: boolean; readonly timeMs?: number | undefined },
  ): Promise<Owner> {
    const { chain, lease } = this.options;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (kind === 'takeover' && this.state?.exists === !isRemoved) return lease.owner;
      const mark = await this.trustedMark();
      const followed = await this.follow(mark);
      const { state, floor } = followed;
      this.#requireExistence(state, isRemoved);
      if (kind === 'takeover' && state.n === 0)
        throw new ProtocolError('missing', 'the repository has never existed');
      const former = await this.livingOwner(state);
      if (former !== undefined) return former;
      const sealed = this.seal(state, { kind, owner: lease.owner, ...(timeMs !== undefined && { timeMs }) });
      const outcome = await chain.create(sealed);
      if (outcome.kind === 'unknown')
        throw new ProtocolError('unknown', 'the bucket did not confirm a takeover');
      if (outcome.kind === 'lost' || !(await this.counts(floor))) continue;
      state.apply(sealed);
      await this.fillLocal(followed, sealed, mark);
      await this.drop();
      this.#state = state;
      if (this.state !== undefined) return lease.owner;
    }
    throw new ProtocolError('unavailable', 'the repository was taken over by others again and again');
  }

  /**
   * Finds the head, from the floor: an owner starts from it, too, when it takes over again (I4b).
   */
  async follow(mark: Mark | undefined): Promise<Followed> {
    return await this.options.chain.follow(mark);
  }

  /**
   * Reports whether a takeover counts: the floor, read after it, is the one that its number was
   * found from. Otherwise the number may have been deleted before (I4b).
   */
  async counts(floor: Floor): Promise<boolean> {
    return (await this.options.chain.floor()).n === floor.n;
  }

  /** Returns the owner if it lives. The lease of a dead one is ended, so that it stays dead. */
  async livingOwner(state: ChainState): Promise<Owner | undefined> {
    const { lease, leases } = this.options;
    const { owner } = state;
    if (owner === undefined || isSameOwner(owner, lease.owner)) return undefined;
    if (!(await leases.isDead(owner))) return owner;
    return (await leases.end(owner)) ? undefined : owner;
  }

  /** Returns the mark of the local repository, if it is trusted. */
  async trustedMark(): Promise<Mark | undefined> {
    const { local } = this.options;
    const mark = await local.mark();
    return mark !== undefined && isTrusted(mark, local.identity) ? mark : undefined;
  }

  /** Brings the local repository to the state: by what it misses, or as a whole. */
  async fillLocal(
    { state, missed }: Followed,
    takeover: SealedGeneration,
    mark: Mark | undefined,
  ): Promise<void> {
    const { local } = this.options;
    const marked = markOf(state, local.identity);
    if (mark === undefined || missed === undefined) return await local.fill(state, marked);
    for (const read of [...missed, takeover])
      await local.apply(read, { ...marked, n: read.generation.n, checksum: read.checksum });
  }

  #requireExistence({ exists }: ChainState, isRemoved: boolean): void {
    if (isRemoved && exists) throw new ProtocolError('exists', 'the repository exists');
    if (!isRemoved && !exists) throw new ProtocolError('missing', 'the repository does not exist');
  }

  #notOwner(owner?: Owner): ProtocolError {
    return new ProtocolError('not-owner', 'this server does not own the repository', { owner });
  }
}
