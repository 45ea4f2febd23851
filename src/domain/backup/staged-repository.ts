import { GitExitError } from '#git/command/process/exit-error';
import { initializeRepository } from '#storage/lifecycle/create-repository';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { createTempDirectory, type TempDirectory } from '#storage/temp-directories';
import type { SignalOption } from '../revisions/commit-id-of.ts';

const BRANCHES = 'refs/heads/';

/**
 * A repository without references in a temporary directory that reads the objects of another one,
 * and writes to a quarantine of that. Bundles are fetched into it before the other one is changed.
 */
export class StagedRepository implements AsyncDisposable {
  /** It cannot be used after {@link migrate}. */
  readonly repository: Repository;
  readonly #directory: TempDirectory;
  readonly #quarantine: Quarantine;
  readonly #initialHead: string;

  private constructor(
    repository: Repository,
    directory: TempDirectory,
    quarantine: Quarantine,
    initialHead: string,
  ) {
    this.repository = repository;
    this.#directory = directory;
    this.#quarantine = quarantine;
    this.#initialHead = initialHead;
  }

  static async create(real: Repository, { signal }: SignalOption): Promise<StagedRepository> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(await createTempDirectory(real.storage, 'repo'));
    const quarantine = stack.use(await Quarantine.create(real));
    const draft = real.at(directory.path);
    const { objectFormat } = real;
    const initialBranch = await branchOf(real, signal);
    await initializeRepository(draft, { objectFormat, signal, ...(initialBranch && { initialBranch }) });
    const head = (await draft.refs.headTarget({ signal })).toString();
    const { objectDirectory, alternateObjectDirectories } = quarantine.repository;
    const repository = draft.withObjectDirectories({ objectDirectory, alternateObjectDirectories });
    stack.move();
    return new StagedRepository(repository, directory, quarantine, head);
  }

  /**
   * Returns the target of HEAD; an empty text if it is the same as that of the other repository.
   */
  async changedHead(signal: AbortSignal): Promise<string> {
    const target = (await this.repository.refs.headTarget({ signal })).toString();
    return target === this.#initialHead ? '' : target;
  }

  /** Moves the objects into the other repository. */
  async migrate(): Promise<void> {
    this.repository.caches.forget(this.repository);
    await this.#quarantine.migrate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.repository.caches.forget(this.repository);
    await this.#quarantine[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** Returns the name of the branch to which HEAD points; `undefined` if it is detached. */
async function branchOf(repository: Repository, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    const target = await repository.refs.headTarget({ signal });
    return target.indexOf(BRANCHES) === 0 ? target.subarray(BRANCHES.length) : undefined;
  } catch (error) {
    if (error instanceof GitExitError) return undefined;
    throw error;
  }
}
