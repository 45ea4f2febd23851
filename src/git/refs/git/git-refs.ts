import type { CommandRepository } from '#git/command/command-repository';
import { flag, type GitCommand, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { trustedOid } from '#git/names/object-id';
import { type RefName, trustedRefName } from '#git/names/ref-name';
import type { RawRef } from '../storage/files/loose-ref.ts';

export interface RefReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The references of one repository as git prints them, each question with a separate process. */
export class GitRefs {
  readonly #repository: CommandRepository;

  constructor(repository: CommandRepository) {
    this.#repository = repository;
  }

  /** Returns the contents of a reference, not followed; `undefined` when it does not exist. */
  async read(name: RefName, options: RefReadOptions): Promise<RawRef | undefined> {
    const symbolic = gitCommand('symbolic-ref', {
      options: [flag('--quiet'), flag('--no-recurse')],
      args: [name],
    });
    const target = await this.#succeeds(symbolic, options);
    if (target !== undefined) return { symbolicTarget: trustedRefName(target.subarray(0, -1)) };
    // Fails where the object is missing, which does not matter here; rev-parse ignores that.
    if (!(await this.exists(name, options).catch(trueOnFatal))) return undefined;
    const revParse = gitCommand('rev-parse', { options: [flag('--verify')], revisions: [name] });
    const output = await this.#repository.run(revParse, options);
    return { oid: trustedOid(output.toString('latin1').trim()) };
  }

  /** Reports whether a reference exists. @throws {GitExitError} when its object is missing. */
  async exists(name: RefName, options: RefReadOptions): Promise<boolean> {
    const showRef = gitCommand('show-ref', { options: [flag('--verify'), flag('--quiet')], args: [name] });
    return (await this.#succeeds(showRef, options)) !== undefined;
  }

  /** Returns the target of a symbolic reference. @throws {GitExitError} when it is none. */
  async symbolicTarget(name: RefName, options: RefReadOptions): Promise<RefName> {
    const command = gitCommand('symbolic-ref', { args: [name] });
    const output = await this.#repository.run(command, { ...options, hooks: 'disabled' });
    return trustedRefName(output.subarray(0, -1));
  }

  /** Returns the first branch in the order of names; `undefined` when there is none. */
  async firstBranch(options: RefReadOptions): Promise<Buffer | undefined> {
    const command = gitCommand('for-each-ref', {
      options: [value('--count', 1), flag('--format=%(refname)')],
      args: ['refs/heads/'],
    });
    const output = await this.#repository.run(command, options);
    return output.length === 0 ? undefined : output.subarray(0, -1);
  }

  /** Returns the output of a command; `undefined` for exit code 1, which means "no". */
  async #succeeds(command: GitCommand, options: RefReadOptions): Promise<Buffer | undefined> {
    try {
      return await this.#repository.run(command, { ...options, hooks: 'disabled' });
    } catch (error) {
      if (error instanceof GitExitError && error.exitCode === 1) return undefined;
      throw error;
    }
  }
}

/** git's exit code for anything but "no". */
const FATAL = 128;

function trueOnFatal(error: unknown): true {
  if (error instanceof GitExitError && error.exitCode === FATAL) return true;
  throw error;
}
