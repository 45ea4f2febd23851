import { LoopSlice } from '#base/async/loop-turns';
import { isZeroOid } from '#git/names/object-id';
import type { HookCall } from '../hooks/hook-call.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { HookOutput } from '../hooks/hook-output.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';

/** A line `<old> <new> <reference>` of a hook's input. */
interface PushedChange {
  readonly oldValue: string;
  readonly newValue: string;
  readonly reference: Buffer;
}

export interface PushVotesOptions {
  readonly manager: HookManager;
  /** Reports whether git starts a hook. */
  readonly isStarted: (hook: RelayedHook) => boolean;
  /** git 2.51 or newer: all deletions of a push are a transaction, and all other changes. */
  readonly areBatched: boolean;
}

/** git has ended; its client got all output. */
const NO_OUTPUT: HookOutput = { stdout: async () => {}, stderr: async () => {} };

/**
 * Casts the votes of a push for hooks that git does not start, because nothing else is done in
 * them: those of `update` together with the first vote after it, that of `post-receive` when git
 * has ended. Number and order are those of nodes that start these hooks.
 */
export class PushVotes {
  readonly #options: PushVotesOptions;
  /** The call of `pre-receive`, once it has allowed the push. */
  #allowed: HookCall | undefined;
  /** Changes in the order in which git makes them. */
  #changes: readonly PushedChange[] = [];
  /** Place of the last change of each reference. */
  #places: ReadonlyMap<string, number> = new Map();
  /** Index of the first change that is not a deletion, if git makes all deletions before. */
  #deletions = 0;
  /** Number of changes whose votes of `update` were cast. */
  #cast = 0;
  readonly #made: PushedChange[] = [];

  constructor(options: PushVotesOptions) {
    this.#options = options;
  }

  /** Notes the changes of a push that `pre-receive` has allowed. */
  allowed(call: HookCall, lines: Buffer): void {
    this.#allowed = call;
    const changes = parseChanges(lines);
    const { areBatched } = this.#options;
    const [deletions, others] = [changes.filter(isDeletion), changes.filter((each) => !isDeletion(each))];
    this.#changes = areBatched ? [...deletions, ...others] : changes;
    this.#deletions = areBatched ? deletions.length : 0;
    this.#places = new Map(this.#changes.map((change, place) => [referenceKey(change), place]));
  }

  /** Casts the votes of `update` that come before the vote on a transaction. */
  async beforePrepared(call: HookCall, lines: Buffer): Promise<void> {
    const places = parseChanges(lines).map((change) => this.#places.get(referenceKey(change)) ?? -1);
    const last = places.reduce((one, other) => Math.max(one, other), -1);
    if (last < this.#cast) return;
    // git runs `update` for all changes of a batch, also for those that it refuses afterwards.
    const end = last < this.#deletions ? this.#deletions : this.#changes.length;
    await this.#update(call, this.#options.areBatched ? end : last + 1);
  }

  /**
   * Notes the changes of a transaction that were made. git's lines also have those that it refused
   * for their old value (2.51 and newer).
   */
  async committed({ repository, signal }: HookCall, lines: Buffer): Promise<void> {
    const slice = new LoopSlice();
    for (const change of parseChanges(lines)) {
      await slice.pause(signal);
      const { oid = undefined } = (await repository.refs.resolve(change.reference, { signal })) ?? {};
      if (isDeletion(change) ? oid === undefined : oid === change.newValue) this.#made.push(change);
    }
  }

  /** Casts all votes of `update` that are due, before that of `post-receive`. */
  async beforePostReceive(call: HookCall): Promise<void> {
    await this.#update(call, this.#changes.length);
  }

  /** Casts the votes that are due after git has ended. */
  async ended(signal: AbortSignal): Promise<void> {
    if (this.#allowed === undefined) return;
    const call = { ...this.#allowed, output: NO_OUTPUT, signal };
    await this.beforePostReceive(call);
    if (this.#made.length > 0 && !this.#options.isStarted('post-receive'))
      await this.#options.manager.postReceive(call, linesOf(this.#made));
  }

  /** Casts the votes of `update` up to a place. */
  async #update(call: HookCall, end: number): Promise<void> {
    const changes = this.#changes.slice(this.#cast, end);
    this.#cast = Math.max(this.#cast, end);
    if (call.payload.transaction === undefined || this.#options.isStarted('update')) return;
    for (const change of changes) await this.#options.manager.update(call, change);
  }
}

function referenceKey({ reference }: PushedChange): string {
  return reference.toString('latin1');
}

function isDeletion({ newValue }: PushedChange): boolean {
  return isZeroOid(newValue);
}

function linesOf(changes: readonly PushedChange[]): Buffer {
  return Buffer.concat(
    changes.flatMap(({ newValue, oldValue, reference }) => [
      Buffer.from(`${oldValue} ${newValue} `),
      reference,
      Buffer.from('\n'),
    ]),
  );
}

function parseChanges(lines: Buffer): PushedChange[] {
  const changes: PushedChange[] = [];
  for (let start = 0; start < lines.length; ) {
    const found = lines.indexOf('\n', start);
    const end = found === -1 ? lines.length : found;
    const first = lines.indexOf(' ', start);
    const second = lines.indexOf(' ', first + 1);
    if (first !== -1 && second !== -1 && second < end)
      changes.push({
        oldValue: lines.toString('latin1', start, first),
        newValue: lines.toString('latin1', first + 1, second),
        reference: lines.subarray(second + 1, end),
      });
    start = end + 1;
  }
  return changes;
}
