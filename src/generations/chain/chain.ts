import { hash } from 'node:crypto';
import { openCheckpoint, sealCheckpoint } from '../codec/checkpoint.ts';
import {
  openChanges,
  openGeneration,
  type ReadGeneration,
  type SealedGeneration,
} from '../codec/generation.ts';
import { openReferences, sealReferences } from '../codec/references.ts';
import { FLOOR, type FloorRecord, type Mark } from '../codec/small-records.ts';
import type { Environment, ProtocolTimes } from '../environment.ts';
import { ProtocolError } from '../errors.ts';
import type { RepositoryKeys } from '../keys.ts';
import { ChainState } from './chain-state.ts';

/** Attempts to follow a chain whose floor moves meanwhile. */
const MAX_ATTEMPTS = 20;
/** Generations that are requested at once. */
const READ_AHEAD = 16;

/** The floor as it was read. A repository without one has number 0. */
export interface Floor {
  readonly n: number;
  readonly record: FloorRecord | undefined;
  readonly version: string | undefined;
  readonly modifiedMs: number;
}

/** The head of a chain, and the way there. */
export interface Followed {
  readonly state: ChainState;
  readonly floor: Floor;
  /** Generations after the one of the mark, if that is on the chain. */
  readonly missed: readonly ReadGeneration[] | undefined;
}

export type CreateOutcome =
  | { readonly kind: 'done' | 'unknown' }
  /** Another record has the number. */
  | { readonly kind: 'lost'; readonly found: ReadGeneration };

export interface ChainOptions extends Environment {
  readonly keys: RepositoryKeys;
  readonly times: ProtocolTimes;
  readonly readAhead?: number;
}

type Walk = { readonly isWall: boolean } & Omit<Followed, 'floor'>;

/** Reads the chain of a repository, and adds to it. It has no state of its own. */
export class Chain {
  readonly options: ChainOptions;

  constructor(options: ChainOptions) {
    this.options = options;
  }

  /** Returns generation n; `undefined` if it does not exist, or was deleted. */
  async generation(n: number): Promise<ReadGeneration | undefined> {
    const { bucket, keys } = this.options;
    const object = await bucket.get(keys.generation(n));
    if (object === undefined) return undefined;
    const read = openGeneration(object.content);
    const { changesIn } = read.generation;
    if (changesIn === undefined) return read;
    const stored = await bucket.get(changesIn.key);
    // The collector deletes the generation first.
    if (stored === undefined && (await bucket.get(keys.generation(n))) === undefined) return undefined;
    const { changes, checksum } = openChanges(stored?.content ?? Buffer.alloc(0));
    if (checksum !== changesIn.checksum)
      throw new ProtocolError('damaged', `the changes of generation ${n} are damaged`);
    return { ...read, generation: { ...read.generation, changes } };
  }

  async floor(): Promise<Floor> {
    const object = await this.options.bucket.get(this.options.keys.floor);
    if (object === undefined) return { n: 0, record: undefined, version: undefined, modifiedMs: 0 };
    const record = FLOOR.open(object.content);
    return { n: record.n, record, version: object.version, modifiedMs: object.modifiedMs };
  }

  /**
   * Returns the state at a checkpoint; `undefined` if it does not exist. Number 0 is the empty
   * state.
   */
  async checkpoint(n: number): Promise<ChainState | undefined> {
    const { bucket, keys } = this.options;
    if (n === 0) return new ChainState();
    const [object, references] = await Promise.all([
      bucket.get(keys.checkpoint(n)),
      bucket.get(keys.references(n)),
    ]);
    if (object === undefined || references === undefined) return undefined;
    const checkpoint = openCheckpoint(object.content);
    return ChainState.fromCheckpoint(
      checkpoint,
      await openReferences(references.content, checkpoint.references),
    );
  }

  /**
   * Follows the chain from the floor to its head. A follower starts from the floor, never from a
   * position of its own (I4b). A missing generation is the end only if the floor, read after it, is
   * still the one that the follower started from (I3).
   *
   * @param mark state of a local repository.
   */
  async follow(mark?: Mark): Promise<Followed> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const floor = await this.floor();
      const start = await this.start(floor);
      const walk = start && (await this.#walk(start, mark));
      const isComplete = walk !== undefined && !walk.isWall;
      if (isComplete && (await this.isStillFloor(floor))) return { ...walk, floor };
      // A missing checkpoint, too, is damage only when the floor has not moved (I12).
      if (!isComplete && (await this.floor()).n === floor.n)
        throw new ProtocolError('damaged', `the chain is damaged after generation ${start?.n ?? floor.n}`);
    }
    throw new ProtocolError('unavailable', 'the floor of the repository moves faster than it is read');
  }

  /** Returns the state from which a follower starts. */
  async start(floor: Floor): Promise<ChainState | undefined> {
    return await this.checkpoint(floor.n);
  }

  /** Reports whether the floor has not moved: that what is missing above it does not exist (I3). */
  async isStillFloor(floor: Floor): Promise<boolean> {
    return (await this.floor()).n === floor.n;
  }

  /**
   * Reports whether a generation follows a state. A wrong checksum is a wall, not a bridge (I4c).
   */
  continues(state: ChainState, { generation }: ReadGeneration): boolean {
    return generation.n === state.n + 1 && generation.previous === state.checksum;
  }

  /**
   * Creates a generation, and repeats the same bytes until the outcome is known or time is over. A
   * number that exists is lost only to another nonce: the first request may have succeeded without
   * a response.
   */
  async create(sealed: SealedGeneration): Promise<CreateOutcome> {
    const { clock, times } = this.options;
    const deadlineMs = clock.nowMs() + times.writeMs;
    do {
      const result = await this.put(sealed).catch(() => 'unknown' as const);
      if (result === 'created') return { kind: 'done' };
      if (result !== 'conflict') {
        const found = await this.generation(sealed.generation.n).catch(ifReadable);
        if (found !== undefined)
          return this.isOwn(sealed, found) ? { kind: 'done' } : { kind: 'lost', found };
      }
      await clock.sleep(times.retryMs);
    } while (clock.nowMs() < deadlineMs);
    return { kind: 'unknown' };
  }

  /** Sends a generation once. */
  async put(sealed: SealedGeneration): Promise<'created' | 'exists' | 'conflict'> {
    return await this.options.bucket.create(this.options.keys.generation(sealed.generation.n), sealed.bytes);
  }

  isOwn(sealed: SealedGeneration, found: ReadGeneration): boolean {
    return found.generation.nonce === sealed.generation.nonce;
  }

  /** Uploads a pack. No two uploads have the same name, so that one can be deleted for ever. */
  async uploadPack(content: Buffer, kind?: string): Promise<string> {
    const name = this.packName(hash('sha256', content), kind);
    await this.store(this.options.keys.pack(name), content);
    return name;
  }

  /**
   * Creates an object whose contents are the same in every attempt, such as a part of a record.
   *
   * @returns whether it was created now.
   */
  async store(key: string, content: Buffer): Promise<boolean> {
    const { bucket, clock, times } = this.options;
    const deadlineMs = clock.nowMs() + times.writeMs;
    for (;;) {
      const result = await bucket.create(key, content);
      if (result !== 'conflict') return result === 'created';
      if (clock.nowMs() > deadlineMs) throw new ProtocolError('unavailable', `${key} was not stored`);
      await clock.sleep(times.retryMs);
    }
  }

  /** @param kind of the file: packs, or others that are kept like them. */
  packName(checksum: string, kind = 'pack'): string {
    return `${checksum}-${this.options.random.nonce()}.${kind}`;
  }

  /**
   * Stores a checkpoint of a state, unless there is one. @returns the packs of the stored one.
   *
   * @throws {ProtocolError} `damaged` if the stored one is of another chain.
   */
  async storeCheckpoint(state: ChainState): Promise<readonly string[]> {
    const { keys } = this.options;
    const { bytes, checksum } = await sealReferences(state.references);
    await this.store(keys.references(state.n), bytes);
    const sealed = sealCheckpoint(state.toCheckpoint(checksum));
    if (await this.store(keys.checkpoint(state.n), sealed.bytes)) return [...state.packs];
    const stored = await this.checkpoint(state.n);
    if (stored === undefined) throw new ProtocolError('unavailable', 'a checkpoint was not stored');
    if (stored.checksum !== state.checksum)
      throw new ProtocolError('damaged', `checkpoint ${state.n} is of another chain`);
    return [...stored.packs];
  }

  /** Applies the generations that follow a state, until one is missing or does not continue it. */
  async #walk(state: ChainState, mark: Mark | undefined): Promise<Walk> {
    let missed: ReadGeneration[] | undefined;
    const { readAhead = READ_AHEAD } = this.options;
    const noteMark = (): void => {
      if (mark?.n === state.n && mark.checksum === state.checksum) missed = [];
    };
    noteMark();
    for (;;) {
      const numbers = Array.from({ length: readAhead }, (_, index) => state.n + 1 + index);
      for (const read of await Promise.all(numbers.map((n) => this.generation(n)))) {
        if (read === undefined) return { state, missed, isWall: false };
        if (!this.continues(state, read)) return { state, missed, isWall: true };
        state.apply(read);
        missed?.push(read);
        noteMark();
      }
    }
  }
}

/** Ignores a failed request. @throws the error of a damaged record. */
function ifReadable(error: unknown): undefined {
  if (error instanceof ProtocolError) throw error;
}
