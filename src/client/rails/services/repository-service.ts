import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { insteadOf } from '#base/gitaly-error';
import { eachItem } from '#client/content/collect/each-item';
import { searchMatches } from '#client/content/collect/search-matches';
import { wholeBytes } from '#client/content/collect/whole-bytes';
import { type TextOrBytes, toBytes } from '#client/repository/values';
import type { Content } from '#client/split/split-bytes';
import { createRepositoryFromBundle } from '#client/split/upload-to-repository';
import type {
  CreateRepositoryFromURLRequestSchema,
  FetchRemoteRequestSchema,
  FetchRemoteResponse,
  FindLicenseResponse,
  GetFileAttributesResponse_AttributeInfo,
  GetRawChangesResponse_RawChange,
  RepositoryInfoResponse,
} from '#wire/gen/repository_pb';
import { OptimizeRepositoryRequest_Strategy } from '#wire/gen/repository_pb';
import { ObjectFormat, type ObjectPool } from '#wire/gen/shared_pb';
import { InvalidRepository } from './rails-errors.ts';
import { type Items, RepositoryCalls, type RepositoryInit } from './storage-calls.ts';
import { translated } from './translate-errors.ts';

/** The fields of a request except its repository. */
type Fields<Init> = Omit<Exclude<Init, Message>, 'repository' | '$typeName' | '$unknown'>;

/** Whole repositories. @see GitLab: Gitlab::GitalyClient::RepositoryService */
export class RepositoryService extends RepositoryCalls {
  /** Reports whether the repository exists. */
  exists(): Promise<boolean> {
    const { repository } = this;
    return this.call(
      'fast',
      async (gitaly) => (await gitaly.repository.repositoryExists({ repository })).exists,
    );
  }

  /**
   * Creates the repository, empty. The server chooses the default branch and the object format if
   * they are not given.
   *
   * @throws {CallError} ALREADY_EXISTS
   */
  async createRepository(
    defaultBranch: TextOrBytes = '',
    { objectFormat = ObjectFormat.UNSPECIFIED }: { objectFormat?: ObjectFormat } = {},
  ): Promise<void> {
    const request = { repository: this.repository, defaultBranch: toBytes(defaultBranch), objectFormat };
    await this.call('fast', (gitaly) => gitaly.repository.createRepository(request));
  }

  /** Removes the repository. A missing repository is not an error. */
  async remove(): Promise<void> {
    const { repository } = this;
    const removed = this.call('long', (gitaly) => gitaly.repository.removeRepository({ repository }));
    await removed.catch(insteadOf('NOT_FOUND', undefined));
  }

  /** Repacks and prunes as far as it is worthwhile, or in full with the strategy `EAGER`. */
  async optimizeRepository(strategy = OptimizeRepositoryRequest_Strategy.HEURISTICAL): Promise<void> {
    const request = { repository: this.repository, strategy };
    await this.call('long', (gitaly) => gitaly.repository.optimizeRepository(request));
  }

  /** Deletes unreachable objects. */
  async pruneUnreachableObjects(): Promise<void> {
    const { repository } = this;
    await this.call('long', (gitaly) => gitaly.repository.pruneUnreachableObjects({ repository }));
  }

  /** Returns the size in KiB. */
  repositorySize(): Promise<bigint> {
    const { repository } = this;
    return this.call('long', async (gitaly) => (await gitaly.repository.repositorySize({ repository })).size);
  }

  /** Returns sizes and numbers of objects and references. */
  repositoryInfo(): Promise<RepositoryInfoResponse> {
    const { repository } = this;
    return this.call('long', (gitaly) => gitaly.repository.repositoryInfo({ repository }));
  }

  /**
   * Returns the size in KiB of the repository's `gitObjectDirectory`: of the new objects of a push
   * in quarantine.
   */
  getObjectDirectorySize(): Promise<bigint> {
    const { repository } = this;
    return this.call(
      'medium',
      async (gitaly) => (await gitaly.repository.getObjectDirectorySize({ repository })).size,
    );
  }

  /** Reports whether there is a branch. */
  hasLocalBranches(): Promise<boolean> {
    const { repository } = this;
    return this.call(
      'fast',
      async (gitaly) => (await gitaly.repository.hasLocalBranches({ repository })).value,
    );
  }

  /** Returns the best common ancestor of revisions; `undefined` if there is none. */
  findMergeBase(...revisions: TextOrBytes[]): Promise<string | undefined> {
    const request = { repository: this.repository, revisions: revisions.map(toBytes) };
    return this.call(
      'fast',
      async (gitaly) => (await gitaly.repository.findMergeBase(request)).base || undefined,
    );
  }

  /** Fetches from a remote. */
  fetchRemote(
    fields: Fields<MessageInitShape<typeof FetchRemoteRequestSchema>>,
  ): Promise<FetchRemoteResponse> {
    const request = { ...fields, repository: this.repository };
    return this.call('long', (gitaly) => gitaly.repository.fetchRemote(request));
  }

  /** Fetches a branch of another repository into a reference. Returns false without the branch. */
  fetchSourceBranch(
    source: RepositoryInit,
    branches: { sourceBranch: TextOrBytes; targetRef: TextOrBytes },
  ): Promise<boolean> {
    const request = {
      repository: this.repository,
      sourceRepository: source,
      sourceBranch: toBytes(branches.sourceBranch),
      targetRef: toBytes(branches.targetRef),
    };
    return this.call('long', async (gitaly) => (await gitaly.repository.fetchSourceBranch(request)).result, {
      remoteStorage: source.storageName,
    });
  }

  /**
   * Creates the repository as a copy of another; with `branch`, a name without `refs/heads/`, of
   * that branch only.
   */
  async forkRepository(source: RepositoryInit, branch: TextOrBytes = ''): Promise<void> {
    const revision =
      branch.length === 0 ? toBytes('') : Buffer.concat([toBytes('refs/heads/'), toBytes(branch)]);
    const request = { repository: this.repository, sourceRepository: source, revision };
    const scope = { remoteStorage: source.storageName };
    await this.call('long', (gitaly) => gitaly.repository.createFork(request), scope);
  }

  /** Creates the repository from a URL. */
  async importRepository(
    fields: Fields<MessageInitShape<typeof CreateRepositoryFromURLRequestSchema>>,
  ): Promise<void> {
    const request = { ...fields, repository: this.repository };
    await this.call('long', (gitaly) => gitaly.repository.createRepositoryFromURL(request));
  }

  /**
   * Makes the repository equal to another. `partitioningHint` is the path of a repository near
   * which the server should store it.
   */
  async replicate(
    source: RepositoryInit,
    { partitioningHint = '' }: { partitioningHint?: string } = {},
  ): Promise<void> {
    const scope = { remoteStorage: source.storageName, partitioningHint };
    await this.call(
      'long',
      (gitaly) => gitaly.repository.replicateRepository({ repository: this.repository, source }),
      scope,
    );
  }

  /** Returns what `git fsck` found; empty for a sound repository. */
  fsck(): Promise<string> {
    const { repository } = this;
    return this.call('long', async (gitaly) =>
      Buffer.from((await gitaly.repository.fsck({ repository })).error).toString(),
    );
  }

  /** Sets a reference without hooks, or points HEAD to another branch. */
  async writeRef(
    ref: TextOrBytes,
    revision: TextOrBytes,
    { oldRevision = '' }: { oldRevision?: TextOrBytes } = {},
  ): Promise<void> {
    const { repository } = this;
    const fields = { ref: toBytes(ref), revision: toBytes(revision), oldRevision: toBytes(oldRevision) };
    await this.call('fast', (gitaly) => gitaly.repository.writeRef({ repository, ...fields }));
  }

  /** Returns the licence of the default branch; `undefined` if none was found. */
  findLicense(): Promise<FindLicenseResponse | undefined> {
    const { repository } = this;
    return this.call('medium', async (gitaly) => {
      const license = await gitaly.repository.findLicense({ repository });
      return license.licenseShortName === '' ? undefined : license;
    });
  }

  /**
   * Returns the checksum of all references: zeros for an empty repository.
   *
   * @throws {InvalidRepository} for a damaged one
   */
  calculateChecksum(): Promise<string> {
    const { repository } = this;
    const checksum = this.call(
      'fast',
      async (gitaly) => (await gitaly.repository.calculateChecksum({ repository })).checksum,
    );
    return translated(checksum, { codes: { DATA_LOSS: (error) => new InvalidRepository(error) } });
  }

  /** Yields the bytes of a bundle of all references. */
  createBundle(): Items<Uint8Array> {
    const { repository } = this;
    return this.each('long', (gitaly) =>
      eachItem(gitaly.repository.createBundle({ repository }), ({ data }) => [data]),
    );
  }

  /** Creates the repository from a bundle. @throws {CallError} ALREADY_EXISTS */
  async createFromBundle(bundle: Content): Promise<void> {
    await this.call('long', (gitaly) => createRepositoryFromBundle(gitaly, this.repository, bundle));
  }

  /** Returns the file `info/attributes`; empty if there is none. */
  infoAttributes(): Promise<Buffer> {
    const { repository } = this;
    return this.call('fast', (gitaly) =>
      wholeBytes(gitaly.repository.getInfoAttributes({ repository }), ({ attributes }) => attributes),
    );
  }

  /** Returns the object pool that the repository borrows from; `undefined` if there is none. */
  objectPool(): Promise<ObjectPool | undefined> {
    const { repository } = this;
    return this.call(
      'medium',
      async (gitaly) => (await gitaly.objectPool.getObjectPool({ repository })).objectPool,
    );
  }

  /** Copies what the repository borrows from a pool, and ends its link to it. */
  async disconnectAlternates(): Promise<void> {
    const { repository } = this;
    await this.call('long', (gitaly) => gitaly.objectPool.disconnectGitAlternates({ repository }));
  }

  /** Yields the files that differ between two revisions. */
  rawChangesBetween(fromRevision: string, toRevision: string): Items<GetRawChangesResponse_RawChange> {
    const request = { repository: this.repository, fromRevision, toRevision };
    return this.items('fast', (gitaly) => gitaly.repository.getRawChanges(request), 'rawChanges');
  }

  /** Yields the paths that match a query. */
  searchFilesByName(
    ref: TextOrBytes,
    query: string,
    { filter = '', limit = 0, offset = 0 }: { filter?: string; limit?: number; offset?: number } = {},
  ): Items<Uint8Array> {
    const request = { repository: this.repository, ref: toBytes(ref), query, filter, limit, offset };
    return this.items('fast', (gitaly) => gitaly.repository.searchFilesByName(request), 'files');
  }

  /** Yields the paths that match a regular expression. */
  searchFilesByRegexp(
    ref: TextOrBytes,
    filter: string,
    options: { limit?: number; offset?: number } = {},
  ): Items<Uint8Array> {
    return this.searchFilesByName(ref, '.', { ...options, filter });
  }

  /** Yields matches in the format of `git grep`, with surrounding lines. */
  searchFilesByContent(ref: TextOrBytes, query: string): Items<Buffer> {
    const request = { repository: this.repository, ref: toBytes(ref), query, chunkedResponse: true };
    return this.each('default', (gitaly) => searchMatches(gitaly.repository.searchFilesByContent(request)));
  }

  /** Returns the hash function of the repository. */
  objectFormat(): Promise<ObjectFormat> {
    const { repository } = this;
    return this.call('fast', async (gitaly) => (await gitaly.repository.objectFormat({ repository })).format);
  }

  /** Returns git attributes of paths at a revision. */
  getFileAttributes(
    revision: TextOrBytes,
    paths: readonly string[],
    attributes: readonly string[],
  ): Promise<GetFileAttributesResponse_AttributeInfo[]> {
    const { repository } = this;
    const request = {
      repository,
      revision: toBytes(revision),
      paths: [...paths],
      attributes: [...attributes],
    };
    return this.call(
      'fast',
      async (gitaly) => (await gitaly.repository.getFileAttributes(request)).attributeInfos,
    );
  }
}
