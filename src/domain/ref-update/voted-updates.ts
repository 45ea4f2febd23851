import { createHash } from 'node:crypto';
import { LoopSlice } from '#base/async/loop-turns';
import { isZeroOid, ZERO_OID } from '#git/names/object-id';
import { bytesOfName, type UncheckedRefName } from '#git/names/ref-name';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/storage/follow-ref';
import type { RefChange, RefTransaction } from '#git/refs/update/ref-transaction';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import {
  type EnterOrder,
  type NamedChange,
  type NamedReferences,
  namedReferences,
} from '../transactions/named-references.ts';

const LINE_FEED = Buffer.from('\n');

/** Changes of references that are applied together. */
export type RefUpdates = Pick<RefTransaction, 'commit' | 'prepare' | 'update' | 'updateSymbolic'>;

export interface VotedUpdatesOptions {
  readonly vote: Vote;
  /** Waits until references may be locked. */
  readonly enter?: EnterOrder | undefined;
  /** Symbolic references are changed themselves instead of their targets. */
  readonly noDereference: boolean;
}

/** A change of a reference that a symbolic one leads to. */
interface FollowedUpdate {
  readonly target: UncheckedRefName;
  readonly change: RefChange;
  /** Number of symbolic references before it. */
  readonly depth: number;
}

/**
 * Changes of references in one transaction on which the nodes of a cluster vote: after git has
 * locked them, and after the commit. The hash is that of the lines which git passes to its
 * reference-transaction hook (2.53: without those for reflogs), so that nodes whose git runs the
 * hook agree. No hook runs here.
 */
export class VotedUpdates implements RefUpdates {
  readonly #repository: Repository;
  readonly #transaction: RefTransaction;
  readonly #options: VotedUpdatesOptions;
  readonly #lines = createHash('sha1');
  readonly #slice = new LoopSlice();
  readonly #followed: FollowedUpdate[] = [];
  /** Queued changes, each of which locks its name. */
  readonly #named: NamedChange[] = [];
  /** True if there is a change that locks more. */
  #locksMore = false;
  /** The SHA-1 of all lines, once the references are locked. */
  #hash: Buffer | undefined;
  /**
   * True if there is more than deletions without an expected value, on which git's hook does not
   * vote.
   */
  #hasChanges = false;

  constructor(repository: Repository, transaction: RefTransaction, options: VotedUpdatesOptions) {
    this.#repository = repository;
    this.#transaction = transaction;
    this.#options = options;
  }

  async update(name: UncheckedRefName, change: RefChange): Promise<void> {
    await this.#transaction.update(name, change);
    this.#named.push({ name: bytesOfName(name), newOid: change.newOid });
    // A deletion never follows a symbolic reference.
    const isFollowed = !this.#options.noDereference && !isZeroOid(change.newOid);
    const target = isFollowed ? await this.#targetOf(name) : undefined;
    if (target === undefined) this.#add(name, change);
    else this.#followed.push({ target, change, depth: 1 });
    this.#locksMore ||= target !== undefined;
  }

  async updateSymbolic(name: UncheckedRefName, target: UncheckedRefName): Promise<void> {
    this.#locksMore = true;
    await this.#transaction.updateSymbolic(name, target);
    this.#hasChanges = true;
    this.#lines.update(`${this.#zeros} ref:`).update(bytesOfName(target));
    this.#lines.update(' ').update(bytesOfName(name)).update(LINE_FEED);
  }

  /** Locks and checks all references, and votes. @throws {GitExitError} for a lost vote. */
  async prepare(): Promise<void> {
    await this.#options.enter?.(this.#references());
    await this.#transaction.prepare();
    await this.#addFollowed();
    this.#hash = this.#lines.digest();
    try {
      await this.#vote('prepared');
    } catch (cause) {
      throw this.#transaction.refusedByHook(cause);
    }
  }

  /** Applies the change, prepared or not, and votes. */
  async commit(): Promise<void> {
    if (this.#hash === undefined) await this.prepare();
    await this.#transaction.commit();
    await this.#vote('committed').catch(() => {}); // reported; git ignores it, too
  }

  /**
   * Adds the references that symbolic ones lead to. git appends them to the transaction when it
   * reaches the symbolic one, and follows them in the same way.
   */
  async #addFollowed(): Promise<void> {
    for (const { target: name, change, depth } of this.#followed) {
      const target = depth < MAX_SYMBOLIC_DEPTH ? await this.#targetOf(name) : undefined;
      if (target === undefined) this.#add(name, change);
      else this.#followed.push({ target, change, depth: depth + 1 });
    }
  }

  async #targetOf(name: UncheckedRefName): Promise<UncheckedRefName | undefined> {
    await this.#slice.pause();
    // git refuses a broken reference itself, with its own words.
    const reference = await this.#repository.refs.read(name).catch(() => undefined);
    return reference?.symbolicTarget;
  }

  #add(name: UncheckedRefName, { newOid, oldOid = '' }: RefChange): void {
    const expected = oldOid === '' ? this.#zeros : oldOid;
    this.#lines.update(`${expected} ${newOid} `).update(bytesOfName(name)).update(LINE_FEED);
    if (!isZeroOid(expected) || !isZeroOid(newOid)) this.#hasChanges = true;
  }

  #references(): NamedReferences {
    return this.#locksMore ? undefined : namedReferences(this.#repository, this.#named);
  }

  async #vote(phase: 'committed' | 'prepared'): Promise<void> {
    if (this.#hasChanges && this.#hash !== undefined) await this.#options.vote(phase, this.#hash);
  }

  get #zeros(): string {
    return ZERO_OID[this.#repository.objectFormat];
  }
}
