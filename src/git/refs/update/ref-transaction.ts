import type { EventEmitter } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { attempt } from '#base/attempt';
import { abortError, type GitExitError } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import { isOid } from '#git/names/object-id';
import { bytesOfName, type UncheckedRefName } from '#git/names/ref-name';
import type { GitRepository } from '#git/repository';
import type { ReferenceBackend } from '#git/repository-files/repository-format';
import type { RefChangeRecording } from './ref-change-recorder.ts';
import { refUpdateError } from './ref-update-error.ts';

export interface RefTransactionOptions {
  /** Changes symbolic references themselves instead of their targets. */
  readonly noDereference?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface RefChange {
  /** The new object id; zeros delete the reference. */
  readonly newOid: string;
  /**
   * The expected current object id; zeros mean that the reference must not exist. Without it any
   * value is accepted.
   */
  readonly oldOid?: string | undefined;
}

/** Time for git to revert a prepared change before it is ended. */
const UNDO_MS = 5_000;
/** Size of the pieces in which queued updates are written. */
const WRITE_BYTES = 32 * 1024;

/** The process of a transaction; `pool` and `isAsleep` as the fields of the same names. */
interface Source {
  readonly process: GitProcess;
  readonly pool: Pool;
  readonly isAsleep?: boolean;
}

interface Pool {
  start(): Promise<GitProcess>;
  giveBack(process: GitProcess): void;
}

const STARTED = 'start: ok';
const NOTHING = Buffer.alloc(0);
const NO_DEREFERENCE = Buffer.from('option no-deref\0');
const UPDATE = Buffer.from('update ');
const UPDATE_SYMBOLIC = Buffer.from('symref-update ');
const DELETE = Buffer.from('delete ');
const END_OF_DELETE = Buffer.from('\0\0');

/** The exit of a git that refuses something. */
const FATAL = { code: 128, signal: undefined, usage: undefined, realMs: 0, ended: undefined };

type State = 'started' | 'prepared' | 'closed';

/**
 * One atomic change of references through `git update-ref --stdin`: updates are queued, `prepare`
 * locks and checks them, `commit` applies all or none. Disposing before the commit reverts
 * everything.
 *
 *     await using transaction = await RefTransaction.start(repository);
 *     await transaction.update('refs/heads/main', { newOid });
 *     await transaction.commit();
 *
 * Methods throw {RefUpdateError} if git gives a reason for its refusal, {GitExitError} for other
 * failures. An update is checked at the next step, not when it is queued. No hooks run. The process
 * comes from a pool and returns to it.
 */
export class RefTransaction implements AsyncDisposable {
  readonly #repository: GitRepository;
  readonly #options: RefTransactionOptions;
  readonly #pool: Pool;
  readonly #onAbort = (): void => this.process.kill();
  #process: GitProcess;
  /** True if the process has waited in the pool and got no command yet. It may be dead. */
  #isAsleep: boolean;
  #state: State = 'started';
  /** Output of git after the last line that was read. */
  #answers = '';
  #queued: Uint8Array[] = [];
  #queuedBytes = 0;
  #hasNul = false;
  readonly #slice = new LoopSlice();
  /** Names of the changes, if they are recorded. */
  readonly #names: string[] | undefined;
  /** The values after the changes, where they are known. */
  readonly #values = new Map<string, string | undefined>();
  #recording: RefChangeRecording | undefined;
  #lastOids: { readonly newOid: string; readonly oldOid: string; readonly bytes: Buffer } | undefined;

  private constructor(repository: GitRepository, options: RefTransactionOptions, from: Source) {
    const { process, pool, isAsleep = false } = from;
    this.#repository = repository;
    this.#process = process;
    this.#options = options;
    this.#pool = pool;
    this.#isAsleep = isAsleep;
    this.#names = repository.changeRecorder && [];
    // A pooled process does not observe the signal of its current call.
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get process(): GitProcess {
    return this.#process;
  }

  /**
   * Starts a transaction. @throws {GitalyError} CANCELLED or DEADLINE_EXCEEDED when the signal is
   * already aborted.
   */
  static async start(
    repository: GitRepository,
    options: RefTransactionOptions = {},
  ): Promise<RefTransaction> {
    const { signal } = options;
    if (signal?.aborted === true) throw abortError(signal);
    const pool: Pool = {
      start: async () => {
        await repository.spawnTurn(signal);
        return repository.updateRefs.start(repository);
      },
      giveBack: (process) => repository.updateRefs.giveBack(repository, process),
    };
    const waiting = repository.updateRefs.take(repository);
    if (waiting !== undefined)
      return new RefTransaction(repository, options, { process: waiting, pool, isAsleep: true });
    return await new RefTransaction(repository, options, { process: await pool.start(), pool }).#begin();
  }

  /**
   * Queues the change of a reference. A deletion never follows a symbolic reference: git would
   * delete its target and leave it dangling.
   */
  async update(name: UncheckedRefName, { newOid, oldOid = '' }: RefChange): Promise<void> {
    if (newOid.includes('\0') || oldOid.includes('\0')) this.#hasNul = true;
    const isDeletion = /^0+$/.test(newOid);
    // Git takes other texts for revisions.
    if (this.#names !== undefined && isOid(newOid))
      this.#values.set(Buffer.from(bytesOfName(name)).toString('latin1'), isDeletion ? undefined : newOid);
    const option = isDeletion || this.#options.noDereference === true ? NO_DEREFERENCE : NOTHING;
    if (isDeletion && oldOid === '') await this.#queue([option, DELETE, bytesOfName(name), END_OF_DELETE]);
    else await this.#queue([option, UPDATE, bytesOfName(name), this.#oids(newOid, oldOid)]);
  }

  /**
   * Queues the change of a reference to a symbolic one; its target need not exist. Needs git 2.46
   * (`capabilities.symrefUpdate`).
   */
  async updateSymbolic(name: UncheckedRefName, target: UncheckedRefName): Promise<void> {
    if (bytesOfName(target).includes(0)) this.#hasNul = true;
    const option = this.#options.noDereference === true ? NO_DEREFERENCE : NOTHING;
    await this.#queue([
      option,
      UPDATE_SYMBOLIC,
      bytesOfName(name),
      Buffer.concat([Buffer.of(0), bytesOfName(target), Buffer.alloc(3)]),
    ]);
  }

  /**
   * Locks and checks all references. Afterwards a commit fails only for reasons like a full disk.
   */
  async prepare(): Promise<void> {
    this.#expect('started');
    await this.#step('prepare');
    this.#state = 'prepared';
    const { changeRecorder } = this.#repository;
    this.#recording = await changeRecorder?.begin(this.#repository, this.#names, {
      isLocked: true,
      wanted: this.#values,
    });
  }

  /** Applies the change, prepared or not. */
  async commit(): Promise<void> {
    if (this.#state === 'closed') this.#expect('started');
    if (this.#state === 'started' && this.#names !== undefined) await this.prepare();
    await this.#step('commit');
    this.#state = 'closed';
    this.#recording?.succeeded(this.#values);
    await this.#endRecording();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (!this.process.isEnding) this.#pool.giveBack(this.process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#state === 'closed') return; // the process is in the pool
    if (this.#isAsleep && !this.process.isEnding) {
      this.#state = 'closed';
      this.#pool.giveBack(this.process);
      return;
    }
    if (!this.process.isEnding) {
      // The end of its input makes git revert everything.
      this.process.stdin.end();
      await Promise.race([this.process.exited, setTimeout(UNDO_MS, undefined, { ref: false })]);
    }
    this.#state = 'closed';
    await this.process[Symbol.asyncDispose]();
    await this.#endRecording();
  }

  async #endRecording(): Promise<void> {
    await this.#recording?.[Symbol.asyncDispose]();
    this.#recording = undefined;
  }

  async #begin(): Promise<this> {
    try {
      await this.#step('start');
      return this;
    } catch (error) {
      await this.process[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Queues a command. There may be very many, so nothing is copied before it is written, and they
   * are written in slices of the event loop.
   */
  async #queue(
    command: readonly [option: Buffer, verb: Buffer, name: Uint8Array, rest: Buffer],
  ): Promise<void> {
    this.#expect('started');
    this.#names?.push(Buffer.from(command[2]).toString('latin1'));
    // It would end the name, and the rest would be parsed as another command.
    if (command[2].includes(0)) this.#hasNul = true;
    for (const piece of command) {
      this.#queued.push(piece);
      this.#queuedBytes += piece.length;
    }
    if (this.#queuedBytes < WRITE_BYTES) return;
    await this.#flush('');
    await this.#slice.pause();
  }

  /** Returns the ids after the name, which are often the same for many references. */
  #oids(newOid: string, oldOid: string): Buffer {
    if (this.#lastOids?.newOid !== newOid || this.#lastOids.oldOid !== oldOid) {
      this.#lastOids = { newOid, oldOid, bytes: Buffer.from(`\0${newOid}\0${oldOid}\0`) };
    }
    return this.#lastOids.bytes;
  }

  #expect(state: State): void {
    if (this.#state !== state) throw new Error(`expected state "${state}" but it was "${this.#state}"`);
  }

  async #step(command: 'start' | 'prepare' | 'commit'): Promise<void> {
    if (this.#hasNul) throw this.#refuseNul();
    await this.#flush(`${command}\0`);
    const answer = await this.#readLine();
    if (answer !== `${command}: ok`) throw await this.#failure();
  }

  /**
   * Writes the queue, and waits if git is slower. The missing response shows that git has ended.
   */
  async #flush(end: string): Promise<void> {
    const bytes = Buffer.concat([...this.#queued, Buffer.from(end)]);
    this.#queued = [];
    this.#queuedBytes = 0;
    if (this.#hasNul) return;
    if (this.#isAsleep) await this.#wake(bytes);
    else await this.#write(bytes);
  }

  /**
   * Starts using a waiting process and sends it the first commands at once, so that a small change
   * is one request and one response. If the process died while it waited, nothing has happened yet,
   * and a new one gets the same commands.
   */
  async #wake(bytes: Buffer): Promise<void> {
    this.#isAsleep = false;
    await this.#write(Buffer.concat([Buffer.from('start\0'), bytes]));
    if ((await this.#readLine()) === STARTED || this.#options.signal?.aborted === true) return;
    this.#process = await this.#pool.start();
    this.#answers = '';
    await this.#begin();
    await this.#write(bytes);
  }

  async #write(bytes: Buffer): Promise<void> {
    const { stdin } = this.process;
    if (stdin.destroyed || stdin.write(bytes)) return;
    await firstOf(stdin, ['drain', 'close']);
  }

  /** Reads one line of git's output; `undefined` at the end. */
  async #readLine(): Promise<string | undefined> {
    const { stdout } = this.process;
    for (;;) {
      const end = this.#answers.indexOf('\n');
      if (end !== -1) {
        const line = this.#answers.slice(0, end);
        this.#answers = this.#answers.slice(end + 1);
        return line;
      }
      const chunk = stdout.read();
      if (chunk !== null) this.#answers += chunk.toString('latin1');
      else if (stdout.readableEnded || stdout.destroyed) return undefined;
      else await firstOf(stdout, ['readable', 'end', 'close']);
    }
  }

  async #failure(): Promise<unknown> {
    this.process.stdin.end();
    const exit = await this.process.exited;
    const { signal } = this.#options;
    if (signal?.aborted === true) return abortError(signal);
    return refUpdateError(this.process.exitError(exit), this.process.stderrHead, this.#backend());
  }

  #backend(): ReferenceBackend {
    // On failure: without its config file it is not a repository, as git has reported
    return attempt(() => this.#repository.referenceBackend) ?? 'other';
  }

  /** Returns the failure of git whose reference-transaction hook refuses a change. */
  refusedByHook(cause: unknown): GitExitError {
    const error = this.process.exitError(FATAL);
    error.cause = cause;
    return error;
  }

  /**
   * Returns git's failure for a name with NUL. git does not receive the name, because it would
   * parse the rest as separate words.
   */
  #refuseNul(): GitExitError {
    return this.process.exitError(FATAL);
  }
}

/**
 * Waits for one of the events. An error is followed by a close; the reader detects it by the end.
 */
function firstOf(emitter: EventEmitter, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const onEvent = (): void => {
      for (const event of events) emitter.off(event, onEvent);
      resolve();
    };
    for (const event of events) emitter.on(event, onEvent);
  });
}
