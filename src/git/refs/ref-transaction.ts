import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { GitProcess } from '../command/git-process.ts';
import type { Git, HookSetup } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import type { RefName } from './ref-reader.ts';
import { refUpdateError } from './ref-update-error.ts';

export interface RefTransactionOptions {
  readonly hooks: HookSetup;
  /** Two-way sockets for the hooks: `process.extra`. */
  readonly extraPipes?: number | undefined;
  /** Changes symbolic references themselves instead of what they lead to. */
  readonly noDereference?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface RefChange {
  /** The new object id; all zeros delete the reference. */
  readonly newOid: string;
  /** The object id that must be there now; all zeros: nothing may be there. Anything goes when it is not given. */
  readonly oldOid?: string | undefined;
}

/** How long git may take to undo what was prepared, its hooks included, before it is told to end. */
const UNDO_MS = 5_000;

type State = 'started' | 'prepared' | 'closed';

/**
 * One atomic change of references through `git update-ref --stdin`: updates are queued, `prepare` locks and checks them, `commit`
 * makes all of them happen or none. Disposing before the commit undoes everything.
 *
 *     await using transaction = await RefTransaction.start(git, repository, { hooks: 'disabled' });
 *     await transaction.update('refs/heads/main', { newOid });
 *     await transaction.commit();
 *
 * Methods throw {RefUpdateError} when git says why it refuses, {GitExitError} when it fails in another way. An update is looked
 * at when the next step is taken, not when it is queued.
 */
export class RefTransaction implements AsyncDisposable {
  readonly process: GitProcess;
  #state: State = 'started';

  private constructor(process: GitProcess) {
    this.process = process;
  }

  static async start(git: Git, repository: GitRepository, options: RefTransactionOptions): Promise<RefTransaction> {
    const words = ['-z', '--stdin', ...(options.noDereference === true ? ['--no-deref'] : [])];
    const process = git.spawn(gitCommand('update-ref', { options: words.map(flag) }), {
      repository,
      hooks: options.hooks,
      stdin: 'pipe',
      signal: options.signal,
      extraPipes: options.extraPipes ?? 0,
    });
    const transaction = new RefTransaction(process);
    try {
      await transaction.#step('start');
      return transaction;
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Queues the change of a reference. */
  async update(name: RefName, { newOid, oldOid = '' }: RefChange): Promise<void> {
    this.#expect('started');
    await this.#write([Buffer.from('update '), Buffer.from(name), Buffer.from(`\0${newOid}\0${oldOid}\0`)]);
  }

  /** Queues that a reference shall lead to another one, which need not exist. Needs git 2.46 (`capabilities.symrefUpdate`). */
  async updateSymbolic(name: RefName, target: RefName): Promise<void> {
    this.#expect('started');
    await this.#write([Buffer.from('symref-update '), Buffer.from(name), Buffer.of(0), Buffer.from(target), Buffer.alloc(3)]);
  }

  /** Locks and checks all references. After it a commit fails only for reasons like a full disk. */
  async prepare(): Promise<void> {
    this.#expect('started');
    await this.#step('prepare');
    this.#state = 'prepared';
  }

  /** Makes the change happen, prepared or not. */
  async commit(): Promise<void> {
    if (this.#state === 'closed') this.#expect('started');
    await this.#step('commit');
    this.#state = 'closed';
    this.process.stdin.end();
    await this.process.succeeded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'closed' && !this.process.isEnding) {
      // The end of its input makes git undo everything and tell its hooks; a signal would only do the former.
      this.process.stdin.end();
      await Promise.race([this.process.exited, setTimeout(UNDO_MS, undefined, { ref: false })]);
    }
    this.#state = 'closed';
    await this.process[Symbol.asyncDispose]();
  }

  #expect(state: State): void {
    if (this.#state !== state) throw new Error(`expected state "${state}" but it was "${this.#state}"`);
  }

  async #step(command: 'start' | 'prepare' | 'commit'): Promise<void> {
    await this.#write([Buffer.from(`${command}\0`)]);
    const answer = await this.#readLine();
    if (answer !== `${command}: ok`) throw await this.#failure();
  }

  /** Waits where git does not keep up. That git is gone shows in the answer that does not come. */
  async #write(parts: readonly Buffer[]): Promise<void> {
    const { stdin } = this.process;
    if (stdin.destroyed || stdin.write(Buffer.concat(parts))) return;
    await Promise.race([once(stdin, 'drain'), once(stdin, 'close')]).catch(() => undefined);
  }

  /** One line of git's answer, `undefined` when git has nothing more to say. */
  async #readLine(): Promise<string | undefined> {
    const { stdout } = this.process;
    let line = '';
    for (;;) {
      // A pipe without an encoding yields Buffers; answers are a few ASCII bytes, one at a time, so nothing stands behind a line.
      const chunk = stdout.read() as Buffer | null;
      if (chunk !== null) line += chunk.toString('latin1');
      if (line.endsWith('\n')) return line.slice(0, -1);
      if (stdout.readableEnded || stdout.destroyed) return undefined;
      await Promise.race([once(stdout, 'readable'), once(stdout, 'end'), once(stdout, 'close')]);
    }
  }

  async #failure(): Promise<unknown> {
    this.process.stdin.end();
    const exit = await this.process.exited;
    const error = this.process.exitError(exit);
    return error instanceof GitExitError ? refUpdateError(error, this.process.stderrHead) : error;
  }
}
