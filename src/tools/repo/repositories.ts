import { dateOfSeconds } from '#base/date-of-seconds';
import { codeOf, GitalyError, insteadOf, wrap } from '#base/gitaly-error';
import { readHead } from '#client/content/read-head';
import { repositoryFigures } from '#client/content/repository-figures';
import type { Connection } from '#client/index';
import { type ForkOptions, Repository } from '#client/repository/index';
import { MIGRATE_REFERENCES } from '#rpc/common/header-names';
import { isPoolPath } from '#storage/pool-path';
import {
  MigrateReferenceBackendRequest_ReferenceBackend,
  OptimizeRepositoryRequest_Strategy,
  type RepositoryInfoResponse,
  RepositoryInfoResponse_ReferencesInfo_ReferenceBackend,
} from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';

const SUFFIX = '.git';
const HEADS = /^refs\/heads\//;

/** Storage format of references. */
export type ReferenceFormat = 'files' | 'reftable';

/** Repositories of which details are read at once. */
const DETAILS_AT_ONCE = 16;

/** A repository as `gitaly-ts repo list --json` shows it. */
export interface DescribedRepository extends ListedRepository {
  /** Empty without a branch; absent when the repository cannot be read. */
  readonly defaultBranch?: string;
  readonly description?: string;
}

/** A repository as `gitaly-ts repo list` shows it. */
export interface ListedRepository {
  readonly name: string;
  /** Last change of the directory, as ISO 8601; `undefined` if the server does not report it. */
  readonly changed: string | undefined;
}

/** Facts about a repository. Sizes are in bytes. */
export interface RepositoryFacts {
  readonly name: string;
  readonly objectFormat: 'sha1' | 'sha256';
  readonly defaultBranch: string;
  readonly description: string;
  /** True if it has rules for pushes. */
  readonly hasRules: boolean;
  readonly bytes: number;
  readonly objectBytes: number;
  readonly packs: number;
  readonly looseObjects: number;
  readonly referenceFormat: ReferenceFormat;
  readonly looseReferences: number;
  /** The repository from which objects are borrowed. */
  readonly borrowsFrom: readonly string[];
}

export interface CreateRepositoryOptions {
  readonly branch: string;
  readonly objectFormat: 'sha1' | 'sha256';
  /** Seconds after which the server removes it. */
  readonly expires?: number;
}

/** Time at which a repository, or one of its references, is removed. */
export interface ShownExpiry {
  /** Full name; `undefined`: the repository. */
  readonly reference: string | undefined;
  /** As ISO 8601. */
  readonly expires: string;
}

/** The repositories of one storage, by the calls of a server. */
export class Repositories {
  readonly #connection: Connection;
  readonly #storageName: string;

  constructor(connection: Connection, storageName: string) {
    this.#connection = connection;
    this.#storageName = storageName;
  }

  /** Yields all repositories in the order of names. @param options.pools also those that forks share */
  async *list({ pools = false } = {}): AsyncGenerator<ListedRepository> {
    const found = this.#connection.internal.walkRepos({ storageName: this.#storageName });
    for await (const { relativePath, modificationTime } of found) {
      if (!pools && isPoolPath(relativePath)) continue;
      const ms = modificationTime && Number(modificationTime.seconds) * 1000;
      yield { name: relativePath, changed: ms === undefined ? undefined : new Date(ms).toISOString() };
    }
  }

  /** Adds default branches and descriptions, in the same order. */
  async *described(listed: readonly ListedRepository[]): AsyncGenerator<DescribedRepository> {
    for (let start = 0; start < listed.length; start += DETAILS_AT_ONCE)
      yield* await Promise.all(
        listed.slice(start, start + DETAILS_AT_ONCE).map(async (one) => {
          const [defaultBranch, description] = await Promise.all([
            this.#headOf(one.name).catch(() => undefined), // it is damaged, or removed meanwhile
            this.description(one.name).catch(() => undefined), // a server that is not gitaly-ts
          ]);
          return {
            ...one,
            ...(defaultBranch !== undefined && { defaultBranch }),
            ...(description !== undefined && { description }),
          };
        }),
      );
  }

  /**
   * Returns the name of an existing repository; `.git` may be left out.
   *
   * @throws {GitalyError} NOT_FOUND.
   */
  async nameOf(text: string): Promise<string> {
    for (const name of text.endsWith('.git') ? [text] : [text, `${text}.git`])
      if (await this.#exists(name)) return name;
    throw new GitalyError('NOT_FOUND', `there is no repository ${text}: "gitaly-ts repo list" prints all`);
  }

  /** Creates an empty repository. @returns its name, which ends with `.git`. */
  async create(text: string, { branch, objectFormat, expires }: CreateRepositoryOptions): Promise<string> {
    const name = await this.#newName(text);
    await this.#connection.repository.createRepository({
      repository: this.#target(name),
      defaultBranch: Buffer.from(branch),
      objectFormat: objectFormat === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1,
    });
    if (expires !== undefined) await this.expire(name, expires);
    return name;
  }

  /** Moves a repository. @returns its new name. */
  async rename(name: string, to: string): Promise<string> {
    const relativePath = withSuffix(to) === withSuffix(name) ? withSuffix(to) : await this.#newName(to);
    await this.#connection.repository.renameRepository({ repository: this.#target(name), relativePath });
    return relativePath;
  }

  /** Creates a fork of a repository. @returns its name, which ends with `.git`. */
  async fork(source: string, text: string, options: ForkOptions): Promise<string> {
    const name = await this.#newName(text);
    await this.#repository(source).fork(name, options);
    return name;
  }

  /**
   * Sets the seconds after which the server removes a repository or a reference of it; `undefined`:
   * never.
   */
  async expire(name: string, seconds: number | undefined, reference?: string): Promise<void> {
    await this.#repository(name).expire(seconds, reference === undefined ? {} : { reference });
  }

  /** Returns the parts of a repository that are removed, by time. */
  async expiries(name: string): Promise<ShownExpiry[]> {
    const { lifetimes } = await this.#connection.lifetimes.list(this.#target(name));
    return lifetimes.map(({ reference, expiresAt }) => ({
      reference: reference.length === 0 ? undefined : reference.toString(),
      expires: dateOfSeconds(expiresAt?.seconds ?? 0n).toISOString(),
    }));
  }

  /** Returns the default branch, also one that does not exist yet; `HEAD <commit id>` if detached. */
  async defaultBranch(name: string): Promise<string> {
    return await this.#headOf(name);
  }

  /** Sets the default branch. @throws {GitalyError} NOT_FOUND, if there are branches but not this one. */
  async setDefaultBranch(name: string, branch: string): Promise<void> {
    await this.#repository(name).setDefaultBranch(branch.replace(HEADS, ''));
  }

  async description(name: string): Promise<string> {
    return await this.#repository(name).description();
  }

  /** Sets the description; an empty text removes it. */
  async setDescription(name: string, text: string): Promise<void> {
    await this.#repository(name).setDescription(text);
  }

  /** Returns the rules for pushes as they were set; `undefined` for none. */
  async rules(name: string): Promise<string | undefined> {
    return await this.#repository(name).rules();
  }

  /** Sets the rules for pushes; `undefined` removes them. @throws {GitalyError} INVALID_ARGUMENT. */
  async setRules(
    name: string,
    document: string | undefined,
    options?: { readonly expected: string },
  ): Promise<void> {
    await this.#repository(name).setRules(document, options);
  }

  /** Removes repositories in their order. @throws {GitalyError} that names those that are removed. */
  async remove(names: readonly string[]): Promise<void> {
    for (const [at, name] of names.entries())
      try {
        await this.#connection.repository.removeRepository({ repository: this.#target(name) });
      } catch (error) {
        if (at === 0) throw error;
        throw wrap(error, `removed ${names.slice(0, at).join(', ')}, but not ${names.slice(at).join(', ')}`);
      }
  }

  /** Runs maintenance: everything, or only what is needed. */
  async collectGarbage(name: string, { full }: { readonly full: boolean }): Promise<void> {
    const { EAGER, HEURISTICAL } = OptimizeRepositoryRequest_Strategy;
    const repository = this.#target(name);
    await this.#connection.repository.optimizeRepository({
      repository,
      strategy: full ? EAGER : HEURISTICAL,
    });
  }

  async facts(name: string): Promise<RepositoryFacts> {
    const repository = this.#target(name);
    const calls = this.#connection;
    const [info, format, head, settings] = await Promise.all([
      calls.repository.repositoryInfo({ repository }),
      calls.repository.objectFormat({ repository }),
      this.#headOf(name),
      calls.settings.get({ repository }).catch(ofOtherServer),
    ]);
    const { bytes, objects, references } = repositoryFigures(info);
    return {
      name,
      objectFormat: format.format === ObjectFormat.SHA256 ? 'sha256' : 'sha1',
      defaultBranch: head,
      description: settings?.description ?? '',
      hasRules: (settings?.rules.length ?? 0) > 0,
      bytes,
      objectBytes: objects.bytes,
      packs: objects.packfiles,
      looseObjects: objects.loose,
      referenceFormat: formatOf(info),
      looseReferences: references.loose,
      borrowsFrom: info.alternates?.objectDirectories ?? [],
    };
  }

  /** Returns the branch that HEAD names; `HEAD <commit id>` if it is detached. */
  async #headOf(name: string): Promise<string> {
    const repository = this.#target(name);
    const head = await readHead(this.#connection, { repository, headOnly: true });
    if (head === undefined) return '';
    return 'name' in head ? head.name.toString().replace(HEADS, '') : `HEAD ${head.commitId}`;
  }

  async referenceFormat(name: string): Promise<ReferenceFormat> {
    return formatOf(await this.#connection.repository.repositoryInfo({ repository: this.#target(name) }));
  }

  /** Changes the storage format of the references, while other changes of the repository wait. */
  async migrateReferences(name: string, format: ReferenceFormat): Promise<void> {
    const { FILES, REFTABLE } = MigrateReferenceBackendRequest_ReferenceBackend;
    await this.#connection.repository.migrateReferenceBackend(
      { repository: this.#target(name), targetReferenceBackend: format === 'files' ? FILES : REFTABLE },
      { metadata: { [MIGRATE_REFERENCES]: 'true' } },
    );
  }

  /**
   * Returns the name of a new repository, which ends with `.git`.
   *
   * @throws {GitalyError} ALREADY_EXISTS for one without the suffix, which the new one would hide.
   */
  async #newName(text: string): Promise<string> {
    const name = withSuffix(text);
    const other = name.slice(0, -SUFFIX.length);
    if (!other.endsWith(SUFFIX) && (await this.#exists(other)))
      throw new GitalyError('ALREADY_EXISTS', `there is a repository ${other}`);
    return name;
  }

  async #exists(name: string): Promise<boolean> {
    const found = this.#connection.repository.repositoryExists({ repository: this.#target(name) });
    return (await found.catch(insteadOf('NOT_FOUND', { exists: false }))).exists;
  }

  #repository(path: string): Repository {
    return new Repository(this.#connection, { storage: this.#storageName, path });
  }

  #target(relativePath: string) {
    return { storageName: this.#storageName, relativePath };
  }
}

function formatOf({ references }: RepositoryInfoResponse): ReferenceFormat {
  const { REFTABLE } = RepositoryInfoResponse_ReferencesInfo_ReferenceBackend;
  return references?.referenceBackend === REFTABLE ? 'reftable' : 'files';
}

/** Returns nothing for a server that has no settings. */
function ofOtherServer(error: unknown): undefined {
  if (codeOf(error) !== 'UNIMPLEMENTED') throw error;
}

/** Repositories end with `.git`: gateways and maintenance search for them by it. */
export function withSuffix(text: string): string {
  return text.endsWith(SUFFIX) ? text : text + SUFFIX;
}
