import type { ChainState } from '../chain/chain-state.ts';
import { type Change, type RequestFacts, sealChanges } from '../codec/generation.ts';
import { ProtocolError } from '../errors.ts';
import type { OwnedRepository } from './owned-repository.ts';

/** Writes that wait for the one under way. */
const MAX_WAITING = 1000;
/** Writes in one generation. */
const MAX_GROUP = 100;
/** Larger changes are an object of their own, so that a generation stays below 1 MiB. */
const MAX_CHANGES_BYTES = 256 * 1024;
/** Limit of the inline pack of a generation. */
export const MAX_INLINE_BYTES = 256 * 1024;

/** New objects of a write: packs that were uploaded, or an inline pack. */
export interface NewObjects {
  readonly packs?: readonly string[];
  readonly inline?: Buffer;
  /** Time of the uploads, by the clock of this server. */
  readonly uploadedMs?: number;
}

/** A write that is prepared: its references are locked. */
export interface Write {
  readonly changes: readonly Change[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly request?: RequestFacts;
  /** Time of the change, if it was made earlier. */
  readonly timeMs?: number;
  /**
   * Returns the objects of the new values that the references at the head do not reach (I1). That
   * the local disk has an object proves nothing. What was computed before `head.barrier` is
   * computed anew (I11). It is called again if the collector has doomed one of its packs.
   */
  newObjects(head: ChainState): Promise<NewObjects>;
}

interface Waiting {
  readonly write: Write;
  readonly resolve: (n: number) => void;
  readonly reject: (error: unknown) => void;
}

/** A write with its new objects, computed from a state. */
interface Prepared extends Waiting {
  readonly objects: NewObjects;
}

/**
 * Publishes writes: those that wait while a generation is sent share the next one, up to the second
 * that has an inline pack. Two packs one after another are no pack: git ignores the second one.
 */
export class Publisher {
  readonly repository: OwnedRepository;
  readonly #waiting: Waiting[] = [];
  #isSending = false;

  constructor(repository: OwnedRepository) {
    this.repository = repository;
  }

  /**
   * Publishes a write. It exists when this resolves (I2).
   *
   * @returns the number of its generation.
   * @throws {ProtocolError}
   */
  async publish(write: Write): Promise<number> {
    const answered = this.answered(write);
    if (answered !== undefined) return answered;
    if (this.#waiting.length >= MAX_WAITING) throw new ProtocolError('full', 'too many writes wait');
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.push({ write, resolve, reject });
    if (!this.#isSending) void this.#sendAll();
    return await promise;
  }

  /**
   * Returns the generation that has the request already: a repeated call gets the first response.
   */
  answered({ request }: Write): number | undefined {
    const first = request && this.repository.state?.requests.get(request.correlationId);
    if (first === undefined) return undefined;
    if (first.hash === request?.hash) return first.n;
    throw new ProtocolError('exists', 'another request has this correlation id');
  }

  /** Adds the generation of a removal. @param timeMs time of the removal, if it was made earlier. */
  async remove(timeMs?: number): Promise<number> {
    return await this.repository.serial(async () => {
      const state = await this.#head();
      await this.repository.add(
        this.repository.seal(state, { kind: 'removed', ...(timeMs !== undefined && { timeMs }) }),
      );
      return state.n;
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) await this.repository.serial(() => this.#sendGroup());
    this.#isSending = false;
  }

  async #sendGroup(): Promise<void> {
    const group = this.#waiting.splice(0, MAX_GROUP);
    let sent: readonly Waiting[] = group;
    try {
      const state = await this.#head();
      const prepared = await this.#prepare(group, state);
      sent = prepared;
      if (prepared.length === 0) return;
      await this.send(state, prepared);
      for (const { resolve } of prepared) resolve(state.n);
    } catch (error) {
      for (const { reject } of sent) reject(error);
    }
  }

  /** Sends a group. Its bytes are never made anew under the same nonce. */
  async send(state: ChainState, group: readonly Prepared[]): Promise<void> {
    const inline = group.map(({ objects }) => objects.inline).find(isFilled) ?? Buffer.alloc(0);
    const changes = group.flatMap(({ write }) => write.changes);
    const timeMs = group.at(-1)?.write.timeMs;
    const parts = {
      kind: 'write' as const,
      ...(timeMs !== undefined && { timeMs }),
      settings: Object.assign({}, ...group.map(({ write }) => write.settings)),
      packsAdded: group.flatMap(({ objects }) => objects.packs ?? []),
      requests: group.flatMap(({ write }) => write.request ?? []),
    };
    if (bytesOf(changes) <= MAX_CHANGES_BYTES)
      return await this.repository.add(this.repository.seal(state, { ...parts, changes }, inline));
    const changesIn = await this.#storeChanges(state.n + 1, changes);
    const sealed = this.repository.seal(state, { ...parts, changesIn }, inline);
    await this.repository.add({ ...sealed, generation: { ...sealed.generation, changes } });
  }

  /** Returns the state at the head, once no write is in doubt. */
  async #head(): Promise<ChainState> {
    if (this.repository.isInDoubt) await this.repository.endDoubt();
    const { state } = this.repository;
    if (state === undefined || !this.repository.options.lease.mayRead())
      throw new ProtocolError('not-owner', 'this server does not own the repository');
    if (!state.exists) throw new ProtocolError('missing', 'the repository does not exist');
    return state;
  }

  /**
   * Checks the old values against the head and the writes before (I6), and collects new objects.
   */
  async #prepare(group: readonly Waiting[], state: ChainState): Promise<Prepared[]> {
    const values = new Map<string, string | undefined>();
    const prepared: Prepared[] = [];
    for (const [index, waiting] of group.entries()) {
      try {
        const { write } = waiting;
        const answered = this.answered(write);
        if (answered !== undefined) {
          waiting.resolve(answered);
          continue;
        }
        if (prepared.some((each) => isSameRequest(each.write, write))) {
          this.#waiting.push(waiting); // it is answered by the next group
          continue;
        }
        const isCurrent = (change: Change): boolean => this.isCurrent(change, values, state);
        if (!write.changes.every(isCurrent))
          throw new ProtocolError('old-value', 'a reference has another value');
        const objects = await this.#objects(write, state);
        if ((objects.inline?.length ?? 0) > MAX_INLINE_BYTES)
          throw new RangeError(`an inline pack has more than ${MAX_INLINE_BYTES} bytes`);
        if (isFilled(objects.inline) && prepared.some((each) => isFilled(each.objects.inline))) {
          this.#waiting.unshift(...group.slice(index));
          break;
        }
        for (const change of write.changes) values.set(change.name, change.new);
        prepared.push({ ...waiting, objects });
      } catch (error) {
        waiting.reject(error);
      }
    }
    return prepared;
  }

  isCurrent(
    { name, old }: Change,
    values: ReadonlyMap<string, string | undefined>,
    state: ChainState,
  ): boolean {
    return (values.has(name) ? values.get(name) : state.references.get(name)) === old;
  }

  /** Returns new objects whose packs may be named. */
  async #objects(write: Write, state: ChainState): Promise<NewObjects> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const objects = await write.newObjects(state);
      if (this.mayName(objects, state)) return objects;
    }
    throw new ProtocolError('unavailable', 'the collector removes the packs of a write again and again');
  }

  /** Reports whether packs are neither doomed (I12) nor so old that they may have been. */
  mayName({ packs = [], uploadedMs }: NewObjects, { doomed }: ChainState): boolean {
    const { clock, times } = this.repository.options.chain.options;
    if (uploadedMs !== undefined && clock.nowMs() - uploadedMs > times.packUseMs) return false;
    return !packs.some((name) => doomed.has(name));
  }

  /** Stores changes next to their generation, with which they are deleted. */
  async #storeChanges(n: number, changes: readonly Change[]): Promise<{ key: string; checksum: string }> {
    const { chain } = this.repository.options;
    const { bytes, checksum } = sealChanges(changes);
    const key = `${chain.options.keys.generation(n)}.changes-${chain.options.random.nonce()}`;
    await chain.store(key, bytes);
    return { key, checksum };
  }
}

function isFilled(pack: Buffer | undefined): boolean {
  return (pack?.length ?? 0) > 0;
}

function isSameRequest({ request: one }: Write, { request: other }: Write): boolean {
  return one !== undefined && one.correlationId === other?.correlationId;
}

function bytesOf(changes: readonly Change[]): number {
  let bytes = 0;
  for (const { name, old = '', new: value = '' } of changes) bytes += name.length + old.length + value.length;
  return bytes;
}
