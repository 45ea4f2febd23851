import { insteadOf } from '#base/gitaly-error';
import { eachItem } from '#client/content/collect/each-item';
import { commitMessages, commitSignatures } from '#client/content/collect/messages';
import { wholeBytes } from '#client/content/collect/whole-bytes';
import { type TextOrBytes, toBytes } from '#client/repository/values';
import { checkObjectsExist } from '#client/split/checks';
import { splitItems } from '#client/split/split-items';
import type {
  CheckObjectsExistResponse_RevisionExistence,
  CommitLanguagesResponse_Language,
  CommitStatsResponse,
  CountDivergingCommitsResponse,
  FindAllCommitsRequest_Order,
  ListCommitsByRefNameResponse_CommitForRef,
  ListLastCommitsForTreeResponse_CommitForTree,
  TreeEntry,
} from '#wire/gen/commit_pb';
import type { GitCommit } from '#wire/gen/shared_pb';
import { cachedCommit } from '../commit-cache.ts';
import {
  type CountOptions,
  countFields,
  type FindCommitsOptions,
  findCommitsFields,
  type ListCommitsOptions,
  listCommitsFields,
  type TreeEntriesOptions,
  treeEntriesFields,
} from './commit-options.ts';
import { ArgumentError } from './rails-errors.ts';
import { type Items, literalPaths, RepositoryCalls } from './storage-calls.ts';
import { type ErrorRules, translated, translatedItems } from './translate-errors.ts';
import { TREE_RULES } from './tree-errors.ts';

type Commits = Items<GitCommit>;

/** A file with as much of its content as was requested. */
export interface TreeFile {
  readonly oid: string;
  /** Size of the whole file. */
  readonly size: bigint;
  readonly mode: number;
  readonly data: Buffer;
}

const BLAME_RULES: ErrorRules = {
  reasons: {
    outOfRange: (error) => new ArgumentError(error),
    pathNotFound: (error) => new ArgumentError(error),
  },
};
const SIGNATURE_RULES: ErrorRules = { codes: { INVALID_ARGUMENT: (error) => new ArgumentError(error) } };

/** Commits and trees. @see GitLab: Gitlab::GitalyClient::CommitService */
export class CommitService extends RepositoryCalls {
  /**
   * Returns a commit; `undefined` for an unknown revision. In `GitalyClient.run`, a commit that was
   * found is returned again by its id without a call; by other names only in
   * `GitalyClient.allowRefNameCaching`.
   */
  findCommit(revision: TextOrBytes): Promise<GitCommit | undefined> {
    const { repository } = this;
    const request = { repository, revision: toBytes(revision) };
    return cachedCommit(repository, request.revision, () =>
      this.call('medium', async (gitaly) => (await gitaly.commit.findCommit(request)).commit),
    );
  }

  /** Yields the commits of a log, as pages of histories show them. */
  findCommits(options: FindCommitsOptions): Commits {
    const request = { repository: this.repository, ...findCommitsFields(options) };
    return this.items('medium', (gitaly) => gitaly.commit.findCommits(request), 'commits');
  }

  /** Yields the commits of a revision, or of all branches. `maxCount` 0 means all. */
  findAllCommits(
    options: {
      revision?: TextOrBytes;
      maxCount?: number;
      skip?: number;
      order?: FindAllCommitsRequest_Order;
    } = {},
  ): Commits {
    const { revision = '', ...others } = options;
    const request = { repository: this.repository, revision: toBytes(revision), ...others };
    return this.items('medium', (gitaly) => gitaly.commit.findAllCommits(request), 'commits');
  }

  /** Yields commits of revisions and ranges (`main`, `^old`, `--all`). */
  listCommits(revisions: string | readonly string[], options: ListCommitsOptions = {}): Commits {
    const request = {
      repository: this.repository,
      revisions: [revisions].flat(),
      ...listCommitsFields(options),
    };
    return this.items('medium', (gitaly) => gitaly.commit.listCommits(request), 'commits');
  }

  /**
   * Yields the commits of revisions that no reference had before. In a hook callback (a repository
   * with `gitObjectDirectory`) these are the new commits of the push, whatever the revisions are.
   */
  async *listNewCommits(revisions: string | readonly string[]): Commits {
    const { gitObjectDirectory = '' } = this.repository;
    if (gitObjectDirectory === '') {
      yield* this.listCommits([revisions, '--not', '--all'].flat());
      return;
    }
    const quarantine = { ...this.repository, gitAlternateObjectDirectories: [] };
    const pushed = await this.list(
      'medium',
      (gitaly) => gitaly.commit.listAllCommits({ repository: quarantine }),
      'commits',
    );
    // A push may send commits that the repository has already.
    const main = { ...this.repository, gitObjectDirectory: '' };
    const ids = pushed.map(({ id }) => id);
    const known = new Set<string>();
    for await (const { name, exists } of this.each('medium', (gitaly) =>
      checkObjectsExist(gitaly, main, ids),
    ))
      if (exists) known.add(Buffer.from(name).toString());
    yield* pushed.filter(({ id }) => !known.has(id));
  }

  /**
   * Returns the commits with these ids. Unknown ids are left out. Without a repository there are
   * none.
   */
  listCommitsByOid(oids: readonly string[]): Promise<GitCommit[]> {
    if (oids.length === 0) return Promise.resolve([]);
    const request = { repository: this.repository, oid: [...oids] };
    const found = this.list('medium', (gitaly) => gitaly.commit.listCommitsByOid(request), 'commits');
    return found.catch(insteadOf('NOT_FOUND', []));
  }

  /** Returns the commits that references lead to, with the names of the references. */
  listCommitsByRefName(names: readonly TextOrBytes[]): Promise<ListCommitsByRefNameResponse_CommitForRef[]> {
    const request = { repository: this.repository, refNames: names.map(toBytes) };
    return this.list('medium', (gitaly) => gitaly.commit.listCommitsByRefName(request), 'commitRefs');
  }

  /** Yields commits whose message matches `query`. `path` is literal by default. */
  commitsByMessage(
    query: string,
    options: {
      revision?: TextOrBytes;
      path?: TextOrBytes;
      limit?: number;
      offset?: number;
      literalPathspec?: boolean;
    } = {},
  ): Commits {
    const { revision = '', path = '', limit = 1000, offset = 0, literalPathspec = true } = options;
    const request = {
      repository: this.repository,
      ...{ query, limit, offset, revision: toBytes(revision), path: toBytes(path) },
      ...literalPaths(literalPathspec),
    };
    return this.items('medium', (gitaly) => gitaly.commit.commitsByMessage(request), 'commits');
  }

  /** Reports whether a commit is an ancestor of another, or the same. */
  isAncestor(ancestorId: string, childId: string): Promise<boolean> {
    const request = { repository: this.repository, ancestorId, childId };
    return this.call('fast', async (gitaly) => (await gitaly.commit.commitIsAncestor(request)).value);
  }

  /**
   * Returns the file at a path, with at most `limit` bytes of its content (0: all of it);
   * `undefined` if nothing is there. The content of directories and submodules is empty.
   */
  treeEntry(revision: TextOrBytes, path: TextOrBytes, limit = 0n): Promise<TreeFile | undefined> {
    const request = { repository: this.repository, revision: toBytes(revision), path: toBytes(path), limit };
    const entry = this.call('medium', async (gitaly) => {
      let first: Omit<TreeFile, 'data'> | undefined;
      const data = await wholeBytes(gitaly.commit.treeEntry(request), (response) => {
        if (first === undefined) first = response;
        return response.data;
      });
      if (first === undefined || first.oid === '') return undefined;
      const { oid, size, mode } = first;
      return { oid, size, mode, data };
    });
    return entry.catch(insteadOf('NOT_FOUND', undefined));
  }

  /**
   * Yields the entries of a directory (`.` is the top). If all directories are listed at once
   * (`recursive` without a limit), they have git's order. Otherwise directories come first, and the
   * default limit is 100,000.
   *
   * @throws {IndexError} for a path or a revision that does not exist
   */
  treeEntries(
    revision: TextOrBytes,
    path: TextOrBytes = '.',
    options: TreeEntriesOptions = {},
  ): Items<TreeEntry> {
    const request = { repository: this.repository, ...treeEntriesFields(revision, path, options) };
    const entries = this.items('medium', (gitaly) => gitaly.commit.getTreeEntries(request), 'entries');
    return translatedItems(entries, TREE_RULES);
  }

  /**
   * Returns one page of `treeEntries`, and the `pageToken` of the next one; `undefined` at the end.
   */
  treeEntriesPage(
    revision: TextOrBytes,
    path: TextOrBytes,
    options: TreeEntriesOptions,
  ): Promise<{ readonly entries: TreeEntry[]; readonly nextPageToken: string | undefined }> {
    const request = { repository: this.repository, ...treeEntriesFields(revision, path, options) };
    const page = this.call('medium', async (gitaly) => {
      const entries: TreeEntry[] = [];
      let nextPageToken: string | undefined;
      for await (const response of gitaly.commit.getTreeEntries(request)) {
        entries.push(...response.entries);
        nextPageToken = response.paginationCursor?.nextCursor || nextPageToken;
      }
      return { entries, nextPageToken };
    });
    return translated(page, TREE_RULES);
  }

  /** Yields the paths of all files of a revision. */
  lsFiles(revision: TextOrBytes): Items<Uint8Array> {
    const request = { repository: this.repository, revision: toBytes(revision) };
    return this.items('medium', (gitaly) => gitaly.commit.listFiles(request), 'paths');
  }

  /** Returns the number of commits of a revision, or of all references (`all`). */
  commitCount(revision: TextOrBytes, options: CountOptions = {}): Promise<number> {
    const request = { repository: this.repository, revision: toBytes(revision), ...countFields(options) };
    return this.call('medium', async (gitaly) => (await gitaly.commit.countCommits(request)).count);
  }

  /** Returns how many commits each side has that the other lacks. */
  divergingCommitCount(
    from: TextOrBytes,
    to: TextOrBytes,
    maxCount = 0,
  ): Promise<CountDivergingCommitsResponse> {
    const request = { repository: this.repository, from: toBytes(from), to: toBytes(to), maxCount };
    return this.call('medium', (gitaly) => gitaly.commit.countDivergingCommits(request));
  }

  /** Returns the last commit that changed each entry of a directory. */
  listLastCommitsForTree(
    revision: string,
    path: TextOrBytes,
    options: { limit?: number; offset?: number; literalPathspec?: boolean } = {},
  ): Promise<ListLastCommitsForTreeResponse_CommitForTree[]> {
    const { limit = 25, offset = 0, literalPathspec = false } = options;
    const fields = { revision, path: toBytes(path), limit, offset, ...literalPaths(literalPathspec) };
    const request = { repository: this.repository, ...fields };
    return this.list('medium', (gitaly) => gitaly.commit.listLastCommitsForTree(request), 'commits');
  }

  /** Returns the last commit that changed a path; `undefined` if none did. */
  lastCommitForPath(
    revision: TextOrBytes,
    path: TextOrBytes,
    { literalPathspec = false }: { literalPathspec?: boolean } = {},
  ): Promise<GitCommit | undefined> {
    const fields = { revision: toBytes(revision), path: toBytes(path), ...literalPaths(literalPathspec) };
    const request = { repository: this.repository, ...fields };
    return this.call('fast', async (gitaly) => (await gitaly.commit.lastCommitForPath(request)).commit);
  }

  /** Returns the languages of a revision, the largest share first. */
  languages(revision: TextOrBytes = ''): Promise<CommitLanguagesResponse_Language[]> {
    const request = { repository: this.repository, revision: toBytes(revision) };
    return this.call('long', async (gitaly) => (await gitaly.commit.commitLanguages(request)).languages);
  }

  /**
   * Returns `git blame --porcelain` of a file; `range` is `first,last`. `ignoreRevisionsBlob` names
   * a list of commits to ignore, such as `main:.git-blame-ignore-revs`.
   *
   * @throws {ArgumentError} for a path that does not exist, or a range after the last line
   */
  rawBlame(
    revision: TextOrBytes,
    path: TextOrBytes,
    range: TextOrBytes = '',
    { ignoreRevisionsBlob = '' }: { ignoreRevisionsBlob?: TextOrBytes } = {},
  ): Promise<Buffer> {
    const request = {
      repository: this.repository,
      revision: toBytes(revision),
      path: toBytes(path),
      range: toBytes(range),
      ignoreRevisionsBlob: toBytes(ignoreRevisionsBlob),
    };
    const blame = this.call('medium', (gitaly) =>
      wholeBytes(gitaly.commit.rawBlame(request), ({ data }) => data),
    );
    return translated(blame, BLAME_RULES);
  }

  /** Returns the numbers of added and deleted lines of a commit. */
  commitStats(revision: TextOrBytes): Promise<CommitStatsResponse> {
    const request = { repository: this.repository, revision: toBytes(revision) };
    return this.call('medium', (gitaly) => gitaly.commit.commitStats(request));
  }

  /** Yields for each revision whether it exists, under the name that was requested. */
  objectExistence(revisions: Iterable<TextOrBytes>): Items<CheckObjectsExistResponse_RevisionExistence> {
    return this.each('medium', (gitaly) => checkObjectsExist(gitaly, this.repository, revisions));
  }

  /** Yields those of the ids whose commits are signed. */
  filterShasWithSignatures(shas: Iterable<string>): Items<string> {
    const { repository } = this;
    async function* requests() {
      yield { repository };
      for await (const group of splitItems(shas)) yield { shas: group.map(toBytes) };
    }
    return this.each('fast', (gitaly) =>
      eachItem(gitaly.commit.filterShasWithSignatures(requests()), (response) =>
        response.shas.map((sha) => Buffer.from(sha).toString()),
      ),
    );
  }

  /**
   * Yields the signatures of signed commits.
   *
   * @throws {ArgumentError} for an id that is not valid
   */
  getCommitSignatures(commitIds: readonly string[]) {
    const request = { repository: this.repository, commitIds: [...commitIds] };
    const signatures = this.each('fast', (gitaly) =>
      commitSignatures(gitaly.commit.getCommitSignatures(request)),
    );
    return translatedItems(signatures, SIGNATURE_RULES);
  }

  /** Yields the whole messages of commits. */
  getCommitMessages(commitIds: readonly string[]) {
    const request = { repository: this.repository, commitIds: [...commitIds] };
    return this.each('fast', (gitaly) => commitMessages(gitaly.commit.getCommitMessages(request)));
  }
}
