import { eachItem } from '#client/content/collect/each-item';
import { commitMessages, commitSignatures } from '#client/content/collect/messages';
import { wholeBytes } from '#client/content/collect/whole-bytes';
import { checkObjectsExist } from '#client/split/check-objects-exist';
import { splitItems } from '#client/split/split-items';
import type {
  CheckObjectsExistResponse_RevisionExistence,
  CommitLanguagesResponse_Language,
  CommitStatsResponse,
  CountDivergingCommitsResponse,
  ListCommitsByRefNameResponse_CommitForRef,
  ListCommitsRequest,
  ListLastCommitsForTreeResponse_CommitForTree,
  TreeEntry,
} from '#wire/gen/commit_pb';
import { GetTreeEntriesRequest_SortBy } from '#wire/gen/commit_pb';
import type { GitCommit } from '#wire/gen/shared_pb';
import { bytes, RepositoryCalls, type TextOrBytes, unlessCode } from './storage-calls.ts';

/** A file with as much of its content as was requested. */
export interface TreeFile {
  readonly oid: string;
  /** Size of the whole file. */
  readonly size: bigint;
  readonly mode: number;
  readonly data: Buffer;
}

/** Range of a list, as in requests of ListCommits. */
export type ListCommitsOptions = Partial<
  Pick<ListCommitsRequest, 'firstParent' | 'maxParents' | 'order' | 'reverse' | 'skip'>
> & { readonly limit?: number; readonly paths?: readonly TextOrBytes[] };

/** Limit of entries when the caller gives none. @see GitLab: TREE_ENTRIES_DEFAULT_LIMIT */
const MAX_TREE_ENTRIES = 100_000;

/** Commits and trees. @see GitLab: Gitlab::GitalyClient::CommitService */
export class CommitService extends RepositoryCalls {
  /** Returns a commit; `undefined` for an unknown revision. */
  findCommit(revision: TextOrBytes): Promise<GitCommit | undefined> {
    const request = { repository: this.repository, revision: bytes(revision) };
    return this.call('medium', async (gitaly) => (await gitaly.commit.findCommit(request)).commit);
  }

  /** Yields commits of revisions and ranges (`main`, `^old`, `--all`). */
  listCommits(revisions: string | readonly string[], options: ListCommitsOptions = {}) {
    const { limit, paths = [], ...filters } = options;
    const request = {
      repository: this.repository,
      revisions: [revisions].flat(),
      paths: paths.map(bytes),
      ...filters,
      ...(limit !== undefined && { paginationParams: { limit } }),
    };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.commit.listCommits(request), ({ commits }) => commits),
    );
  }

  /** Returns the commits with these ids. Unknown ids are left out; no repository gives none. */
  listCommitsByOid(oids: readonly string[]): Promise<GitCommit[]> {
    if (oids.length === 0) return Promise.resolve([]);
    const request = { repository: this.repository, oid: [...oids] };
    const found = this.call('medium', (gitaly) =>
      Array.fromAsync(eachItem(gitaly.commit.listCommitsByOid(request), ({ commits }) => commits)),
    );
    return unlessCode('NOT_FOUND', found, []);
  }

  /** Returns the commits that references lead to, with the names of the references. */
  listCommitsByRefName(names: readonly TextOrBytes[]): Promise<ListCommitsByRefNameResponse_CommitForRef[]> {
    const request = { repository: this.repository, refNames: names.map(bytes) };
    return this.call('medium', (gitaly) =>
      Array.fromAsync(eachItem(gitaly.commit.listCommitsByRefName(request), ({ commitRefs }) => commitRefs)),
    );
  }

  /** Yields commits whose message matches `query`. */
  commitsByMessage(
    query: string,
    options: { revision?: TextOrBytes; path?: TextOrBytes; limit?: number; offset?: number } = {},
  ) {
    const { revision = '', path = '', limit = 1000, offset = 0 } = options;
    const request = {
      repository: this.repository,
      ...{ query, limit, offset, revision: bytes(revision), path: bytes(path) },
    };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.commit.commitsByMessage(request), ({ commits }) => commits),
    );
  }

  /** Reports whether a commit is reachable from another, or the same. */
  isAncestor(ancestorId: string, childId: string): Promise<boolean> {
    const request = { repository: this.repository, ancestorId, childId };
    return this.call('fast', async (gitaly) => (await gitaly.commit.commitIsAncestor(request)).value);
  }

  /**
   * Returns the file at a path, with at most `limit` bytes of its content (0: all of it). Returns
   * `undefined` if nothing is there; of directories and submodules the content is empty.
   */
  treeEntry(revision: TextOrBytes, path: TextOrBytes, limit = 0n): Promise<TreeFile | undefined> {
    const request = { repository: this.repository, revision: bytes(revision), path: bytes(path), limit };
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
    return unlessCode('NOT_FOUND', entry, undefined);
  }

  /** Yields the entries of a directory (`.` is the top), directories first unless recursive. */
  treeEntries(
    revision: TextOrBytes,
    path: TextOrBytes = '.',
    options: { recursive?: boolean; limit?: number; pageToken?: string } = {},
  ): AsyncGenerator<TreeEntry, void, undefined> {
    const { recursive = false, limit = MAX_TREE_ENTRIES, pageToken = '' } = options;
    const request = {
      repository: this.repository,
      revision: bytes(revision),
      path: path.length === 0 ? bytes('.') : bytes(path),
      recursive,
      sort: recursive ? GetTreeEntriesRequest_SortBy.DEFAULT : GetTreeEntriesRequest_SortBy.TREES_FIRST,
      paginationParams: { limit, pageToken },
    };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.commit.getTreeEntries(request), ({ entries }) => entries),
    );
  }

  /** Yields the paths of all files of a revision. */
  lsFiles(revision: TextOrBytes): AsyncGenerator<Uint8Array, void, undefined> {
    const request = { repository: this.repository, revision: bytes(revision) };
    return this.each('medium', (gitaly) => eachItem(gitaly.commit.listFiles(request), ({ paths }) => paths));
  }

  /** Returns the number of commits of a revision, or of all references (`all`). */
  commitCount(
    revision: TextOrBytes,
    options: { path?: TextOrBytes; maxCount?: number; all?: boolean } = {},
  ): Promise<number> {
    const { path = '', maxCount = 0, all = false } = options;
    const request = {
      repository: this.repository,
      revision: bytes(revision),
      path: bytes(path),
      maxCount,
      all,
    };
    return this.call('medium', async (gitaly) => (await gitaly.commit.countCommits(request)).count);
  }

  /** Returns how many commits each side has that the other has not. */
  divergingCommitCount(
    from: TextOrBytes,
    to: TextOrBytes,
    maxCount = 0,
  ): Promise<CountDivergingCommitsResponse> {
    const request = { repository: this.repository, from: bytes(from), to: bytes(to), maxCount };
    return this.call('medium', (gitaly) => gitaly.commit.countDivergingCommits(request));
  }

  /** Returns the last commit that changed each entry of a directory. */
  listLastCommitsForTree(
    revision: string,
    path: TextOrBytes,
    { limit = 25, offset = 0 }: { limit?: number; offset?: number } = {},
  ): Promise<ListLastCommitsForTreeResponse_CommitForTree[]> {
    const request = { repository: this.repository, revision, path: bytes(path), limit, offset };
    return this.call('medium', (gitaly) =>
      Array.fromAsync(eachItem(gitaly.commit.listLastCommitsForTree(request), ({ commits }) => commits)),
    );
  }

  /** Returns the last commit that changed a path; `undefined` if none did. */
  lastCommitForPath(revision: TextOrBytes, path: TextOrBytes): Promise<GitCommit | undefined> {
    const request = { repository: this.repository, revision: bytes(revision), path: bytes(path) };
    return this.call('fast', async (gitaly) => (await gitaly.commit.lastCommitForPath(request)).commit);
  }

  /** Returns the languages of a revision, the largest share first. */
  languages(revision: TextOrBytes = ''): Promise<CommitLanguagesResponse_Language[]> {
    const request = { repository: this.repository, revision: bytes(revision) };
    return this.call('long', async (gitaly) => (await gitaly.commit.commitLanguages(request)).languages);
  }

  /** Returns `git blame --porcelain` of a file; `range` is `first,last`. */
  rawBlame(revision: TextOrBytes, path: TextOrBytes, range: TextOrBytes = ''): Promise<Buffer> {
    const request = {
      repository: this.repository,
      revision: bytes(revision),
      path: bytes(path),
      range: bytes(range),
    };
    return this.call('medium', (gitaly) => wholeBytes(gitaly.commit.rawBlame(request), ({ data }) => data));
  }

  /** Returns the numbers of added and deleted lines of a commit. */
  commitStats(revision: TextOrBytes): Promise<CommitStatsResponse> {
    const request = { repository: this.repository, revision: bytes(revision) };
    return this.call('medium', (gitaly) => gitaly.commit.commitStats(request));
  }

  /** Yields for each revision whether it exists, under the name that was asked for. */
  objectExistence(
    revisions: Iterable<TextOrBytes>,
  ): AsyncGenerator<CheckObjectsExistResponse_RevisionExistence, void, undefined> {
    return this.each('medium', (gitaly) => checkObjectsExist(gitaly, this.repository, revisions));
  }

  /** Yields those of the ids whose commits are signed. */
  filterShasWithSignatures(shas: Iterable<string>): AsyncGenerator<string, void, undefined> {
    const { repository } = this;
    async function* requests() {
      yield { repository };
      for await (const group of splitItems(shas)) yield { shas: group.map(bytes) };
    }
    return this.each('fast', (gitaly) =>
      eachItem(gitaly.commit.filterShasWithSignatures(requests()), (response) =>
        response.shas.map((sha) => Buffer.from(sha).toString()),
      ),
    );
  }

  /** Yields the signatures of signed commits. */
  getCommitSignatures(commitIds: readonly string[]) {
    const request = { repository: this.repository, commitIds: [...commitIds] };
    return this.each('fast', (gitaly) => commitSignatures(gitaly.commit.getCommitSignatures(request)));
  }

  /** Yields the whole messages of commits. */
  getCommitMessages(commitIds: readonly string[]) {
    const request = { repository: this.repository, commitIds: [...commitIds] };
    return this.each('fast', (gitaly) => commitMessages(gitaly.commit.getCommitMessages(request)));
  }
}
