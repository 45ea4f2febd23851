import type { Readable } from 'node:stream';
import { checkNames, type NamesOf } from '#base/check-names';
import { GitalyError } from '#base/gitaly-error';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { eachItem } from '../content/collect/each-item.ts';
import { readHead } from '../content/read-head.ts';
import { createBranch, listBranches } from './branches.ts';
import type { CommitOptions, MergeOptions, PickOptions } from './changes.ts';
import * as changes from './changes.ts';
import { type DiffOptions, diff, type FileDiff } from './comparisons.ts';
import { type FileEntry, type FilesOptions, files, openFile, readBytes } from './contents.ts';
import { typedError } from './errors.ts';
import { type ForkOptions, fork } from './fork.ts';
import { type LogOptions, log } from './history.ts';
import { type ExpireOptions, expire } from './lifetime.ts';
import {
  type CreateOptions,
  checkOptionNames,
  type DeleteBranchOptions,
  type TagOptions,
} from './options.ts';
import type { Place } from './place.ts';
import { rulesOf, type SetRulesOptions, setDefaultBranch, setRules } from './settings.ts';
import {
  type Branch,
  type Commit,
  commitOf,
  decodeText,
  type Tag,
  type TextOrBytes,
  tagOf,
  timestamp,
  toBytes,
} from './values.ts';

export interface RepositoryOptions {
  /** Name of the storage. Default: `default`. */
  readonly storage?: string;
  /** Path in the storage: `group/project.git`. */
  readonly path: string;
  /**
   * The user who makes changes: author and committer, also passed to hooks. Needed for changes
   * only.
   */
  readonly user?: {
    readonly name: string;
    readonly email: string;
    /** GitLab's key: `user-1`. */
    readonly id?: string;
    readonly username?: string;
    /** IANA name. Default: UTC. */
    readonly timezone?: string;
  };
  /** Name of the project in GitLab, `project-1`. */
  readonly glRepository?: string;
}

const USER_NAMES: NamesOf<NonNullable<RepositoryOptions['user']>> = {
  name: true,
  email: true,
  id: true,
  username: true,
  timezone: true,
};
const NO_USER =
  "`user` is missing: changes need new Repository(…, { user: { name: 'Jane', email: 'jane@example.com' } })";

const NAMES: NamesOf<RepositoryOptions> = { storage: true, path: true, user: USER_NAMES, glRepository: true };

const HEADS = 'refs/heads/';

/**
 * A repository with text and plain objects in place of messages. Each function makes one or two
 * calls on the connection, which remains available for everything else. Lists are read from the
 * server only as fast as the loop consumes them.
 *
 * Functions throw {@link CallError}, and for changes the errors that their documentation names,
 * with the {@link CallError} as `cause`.
 */
export class Repository {
  readonly #place: Place;
  readonly #options: RepositoryOptions;

  /** Names a repository; makes no call. */
  constructor(connection: Connection, options: RepositoryOptions) {
    checkNames('Repository', options, NAMES);
    const { storage, path, user, glRepository = '' } = options;
    this.#options = options;
    this.#place = {
      connection,
      repository: { storageName: storage ?? 'default', relativePath: path, glRepository },
      get user() {
        if (user === undefined) throw new TypeError(NO_USER);
        return {
          glId: user.id ?? '',
          glUsername: user.username ?? '',
          name: Buffer.from(user.name),
          email: Buffer.from(user.email),
          timezone: user.timezone ?? '',
        };
      },
    };
  }

  /** The repository as requests name it. */
  get message(): Place['repository'] {
    return this.#place.repository;
  }

  /** Reports whether the repository exists. */
  async exists(options: CallOptions = {}): Promise<boolean> {
    checkOptionNames('exists', options);
    const { connection, repository } = this.#place;
    return (await connection.repository.repositoryExists({ repository }, options)).exists;
  }

  /** Creates the repository, empty. @throws {CallError} ALREADY_EXISTS. */
  async create(options: CreateOptions = {}): Promise<void> {
    checkOptionNames('create', options);
    const { defaultBranch = 'main', objectFormat = 'sha1', lifetimeSeconds, ...rest } = options;
    const { connection, repository } = this.#place;
    const format = objectFormat === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1;
    const request = { repository, defaultBranch: toBytes(defaultBranch), objectFormat: format };
    await connection.repository.createRepository(request, rest);
    if (lifetimeSeconds !== undefined) await expire(this.#place, lifetimeSeconds, rest);
  }

  /**
   * Sets the time after which the server removes the repository, or one of its references. The time
   * belongs to the name: pushes do not extend it; another call does.
   *
   * @param seconds from now; `undefined`: never.
   * @returns the end.
   * @throws {CallError} NOT_FOUND; UNIMPLEMENTED from a server that is not gitaly-ts, and from
   *   praefect.
   */
  async expire(seconds: number | undefined, options: ExpireOptions = {}): Promise<Date | undefined> {
    checkOptionNames('expire', options);
    return await expire(this.#place, seconds, options);
  }

  /** Removes the repository with all its history. @throws {CallError} NOT_FOUND. */
  async remove(options: CallOptions = {}): Promise<void> {
    checkOptionNames('remove', options);
    const { connection, repository } = this.#place;
    await connection.repository.removeRepository({ repository }, options);
  }

  /**
   * Creates a fork on the same storage, with its branches and tags or one branch. The fork borrows
   * its objects, so the time and space that it takes do not depend on the size of this repository.
   * Users who may read the fork can read all objects of this repository by their ids.
   *
   * @param path of the fork: `group/fork.git`.
   * @throws {CallError} ALREADY_EXISTS; NOT_FOUND.
   */
  async fork(path: string, options: ForkOptions = {}): Promise<Repository> {
    checkOptionNames('fork', options);
    const { lifetimeSeconds, rules = false, ...rest } = options;
    await fork(this.#place, path, rest);
    const { storage, user } = this.#options;
    const made = new Repository(this.#place.connection, {
      path,
      ...(storage !== undefined && { storage }),
      ...(user !== undefined && { user }),
    });
    if (lifetimeSeconds !== undefined) await made.expire(lifetimeSeconds);
    if (rules) await made.setRules(await this.rules());
    return made;
  }

  /**
   * Reads a text file.
   *
   * @throws {GitalyError} NOT_FOUND; FAILED_PRECONDITION for a directory or submodule.
   */
  async readFile(revision: TextOrBytes, path: TextOrBytes, options: CallOptions = {}): Promise<string> {
    checkOptionNames('readFile', options);
    return (await this.readBytes(revision, path, options)).toString();
  }

  /** Reads any file into memory. @throws as {@link readFile}. */
  async readBytes(revision: TextOrBytes, path: TextOrBytes, options: CallOptions = {}): Promise<Buffer> {
    checkOptionNames('readBytes', options);
    return await readBytes(this.#place, { revision, path }, options);
  }

  /** Opens a file of any size as a stream: read it to the end or destroy it. */
  async openFile(revision: TextOrBytes, path: TextOrBytes, options: CallOptions = {}): Promise<Readable> {
    checkOptionNames('openFile', options);
    return await openFile(this.#place, { revision, path }, options);
  }

  /** Yields the files of a revision, or of one of its directories. */
  files(revision: TextOrBytes, options: FilesOptions = {}): AsyncGenerator<FileEntry, void, undefined> {
    checkOptionNames('files', options);
    return files(this.#place, revision, options);
  }

  /** Returns the commit at a revision; `undefined` if there is none. */
  async findCommit(revision: TextOrBytes, options: CallOptions = {}): Promise<Commit | undefined> {
    checkOptionNames('findCommit', options);
    const { connection, repository } = this.#place;
    const request = { repository, revision: toBytes(revision) };
    const { commit } = await connection.commit.findCommit(request, options);
    return commit && commitOf(commit);
  }

  /** Yields the history of a revision or range (`v1..v2`), or of several. */
  log(
    revision: string | readonly string[],
    options: LogOptions = {},
  ): AsyncGenerator<Commit, void, undefined> {
    checkOptionNames('log', options);
    return log(this.#place, revision, options);
  }

  /** Yields the files that differ between two commits. */
  diff(from: string, to: string, options: DiffOptions = {}): AsyncGenerator<FileDiff, void, undefined> {
    checkOptionNames('diff', options);
    return diff(this.#place, [from, to], options);
  }

  /** Yields the branches by name. */
  async *branches(options: CallOptions = {}): AsyncGenerator<Branch, void, undefined> {
    checkOptionNames('branches', options);
    const { connection, repository } = this.#place;
    yield* listBranches(connection, { repository }, options);
  }

  /** Yields the tags by name. */
  async *tags(options: CallOptions = {}): AsyncGenerator<Tag, void, undefined> {
    checkOptionNames('tags', options);
    const { connection, repository } = this.#place;
    const responses = connection.ref.findAllTags({ repository }, options);
    for await (const tag of eachItem(responses, ({ tags }) => tags)) yield tagOf(tag);
  }

  /**
   * Returns the name of the default branch; `undefined` in an empty repository, and in one whose
   * HEAD is detached.
   */
  async defaultBranch(options: CallOptions = {}): Promise<string | undefined> {
    checkOptionNames('defaultBranch', options);
    const { connection, repository } = this.#place;
    const head = await readHead(connection, { repository }, options);
    return head !== undefined && 'name' in head ? decodeText(head.name).replace(HEADS, '') : undefined;
  }

  /**
   * Sets the default branch. It must exist, unless the repository has no branches.
   *
   * @throws {GitalyError} NOT_FOUND; {CallError}.
   */
  async setDefaultBranch(name: TextOrBytes, options: CallOptions = {}): Promise<void> {
    checkOptionNames('setDefaultBranch', options);
    await setDefaultBranch(this.#place, name, options);
  }

  /** Returns the description, empty if there is none. @throws {CallError} UNIMPLEMENTED. */
  async description(options: CallOptions = {}): Promise<string> {
    checkOptionNames('description', options);
    const { connection, repository } = this.#place;
    return (await connection.settings.get({ repository }, options)).description;
  }

  /**
   * Sets the description, one line; an empty text removes it.
   *
   * @throws {CallError} INVALID_ARGUMENT; UNIMPLEMENTED from a server that is not gitaly-ts.
   */
  async setDescription(description: string, options: CallOptions = {}): Promise<void> {
    checkOptionNames('setDescription', options);
    const { connection, repository } = this.#place;
    await connection.settings.setDescription({ repository, description }, options);
  }

  /** Returns the rules for pushes as they were set; `undefined` for none. */
  async rules(options: CallOptions = {}): Promise<string | undefined> {
    checkOptionNames('rules', options);
    return await rulesOf(this.#place, options);
  }

  /**
   * Sets the rules for pushes by everybody, a JSON document; `undefined` removes them.
   *
   * @throws {CallError} INVALID_ARGUMENT names what is invalid; ABORTED for other rules than the
   *   expected ones; UNIMPLEMENTED from a server that is not gitaly-ts.
   */
  async setRules(rules: string | undefined, options: SetRulesOptions = {}): Promise<void> {
    checkOptionNames('setRules', options);
    await setRules(this.#place, rules, options);
  }

  /**
   * Commits changes of files to a branch. Returns the id of the commit.
   *
   * @throws {FileChangeError} {@link ReferenceChangedError} {@link HookRejectedError} {@link
   *   AccessDeniedError}.
   */
  async commit(options: CommitOptions): Promise<string> {
    checkOptionNames('commit', options);
    return await typed(changes.commit(this.#place, options));
  }

  /**
   * Merges into a branch. Returns the id of the merge.
   *
   * @throws {MergeConflictError} with the files; {@link ReferenceChangedError} {@link
   *   HookRejectedError} {@link AccessDeniedError}; {GitalyError} NOT_FOUND without such a commit.
   */
  async merge(options: MergeOptions): Promise<string> {
    checkOptionNames('merge', options);
    return await typed(changes.merge(this.#place, options));
  }

  /** Repeats the change of a commit on a branch. Returns the new commit. @throws as {@link merge}. */
  async cherryPick(options: PickOptions): Promise<string> {
    checkOptionNames('cherryPick', options);
    return await typed(changes.cherryPick(this.#place, options));
  }

  /** Undoes the change of a commit on a branch. Returns the new commit. @throws as {@link merge}. */
  async revert(options: PickOptions): Promise<string> {
    checkOptionNames('revert', options);
    return await typed(changes.revert(this.#place, options));
  }

  /**
   * Creates a branch at a revision.
   *
   * @throws {ReferenceExistsError} {@link HookRejectedError} {@link AccessDeniedError}; {CallError}
   *   FAILED_PRECONDITION without such a revision.
   */
  async createBranch(name: TextOrBytes, start: TextOrBytes, options: CallOptions = {}): Promise<void> {
    checkOptionNames('createBranch', options);
    await typed(
      createBranch(this.#place, { branchName: toBytes(name), startPoint: toBytes(start) }, options),
    );
  }

  /**
   * Deletes a branch. The default branch, with which clones begin, is deleted only with
   * `allowDefault`.
   *
   * @throws {CallError} FAILED_PRECONDITION without such a branch; {HookRejectedError};
   *   {GitalyError} FAILED_PRECONDITION for the default branch.
   */
  async deleteBranch(name: TextOrBytes, options: DeleteBranchOptions = {}): Promise<void> {
    checkOptionNames('deleteBranch', options);
    const { allowDefault = false, ...rest } = options;
    const { connection, repository, user } = this.#place;
    const request = { repository, user, branchName: toBytes(name) };
    if (!allowDefault) await this.#requireNotDefault(request.branchName, rest);
    await typed(connection.operation.userDeleteBranch(request, rest));
  }

  async #requireNotDefault(branchName: Uint8Array, options: CallOptions): Promise<void> {
    if ((await this.defaultBranch(options)) === decodeText(branchName))
      throw new GitalyError('FAILED_PRECONDITION', 'this is the default branch: pass { allowDefault: true }');
  }

  /**
   * Creates a tag, annotated if there is a message.
   *
   * @throws as {@link createBranch}.
   */
  async createTag(name: TextOrBytes, target: TextOrBytes, options: TagOptions = {}): Promise<void> {
    checkOptionNames('createTag', options);
    const { message = '', ...rest } = options;
    const { connection, repository, user } = this.#place;
    const [tagName, targetRevision] = [toBytes(name), toBytes(target)];
    const fields = { tagName, targetRevision, message: toBytes(message), timestamp: timestamp() };
    await typed(connection.operation.userCreateTag({ repository, user, ...fields }, rest));
  }

  /** Deletes a tag. @throws as {@link deleteBranch}. */
  async deleteTag(name: TextOrBytes, options: CallOptions = {}): Promise<void> {
    checkOptionNames('deleteTag', options);
    const { connection, repository, user } = this.#place;
    const request = { repository, user, tagName: toBytes(name) };
    await typed(connection.operation.userDeleteTag(request, options));
  }
}

async function typed<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw typedError(error);
  }
}
