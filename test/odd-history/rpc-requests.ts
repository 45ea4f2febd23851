import { isUtf8 } from 'node:buffer';
import { FLUSH, packet } from '#testkit/repositories/push';
import type { Plain } from '../hostile-fields/text-fields.ts';

/** The parts of a repository that requests name. */
export interface OddTarget {
  readonly relativePath: string;
  readonly commits: readonly string[];
  readonly trees: readonly string[];
  readonly blobs: readonly string[];
  readonly tags: readonly string[];
  /** Full names. */
  readonly refs: readonly Buffer[];
  /** Files, directories and others in the odd trees, each with a commit that has it. */
  readonly files: readonly { readonly commit: string; readonly path: Buffer }[];
}

/** The request of a call, or the requests of a streaming one. */
export type OddRequest = Plain | readonly Plain[];
type Rows = (target: OddTarget) => readonly OddRequest[];

const bytes = (text: string): Buffer => Buffer.from(text);
const bytesOf = (texts: readonly string[]): Buffer[] => texts.map(bytes);
const last = (items: readonly string[]): string => items.at(-1) ?? '';
const once: Rows = () => [{}];

const revisions = ({ blobs, commits, refs, tags, trees }: OddTarget): Buffer[] => [
  ...bytesOf([...commits, ...tags, 'HEAD', last(trees), last(blobs)]),
  ...refs,
];
/** As text: only those that are UTF-8. */
const names = (target: OddTarget): string[] => revisions(target).filter(isUtf8).map(String);
const byRevision =
  (more: Plain = {}): Rows =>
  (target) =>
    revisions(target).map((revision) => ({ revision, ...more }));
/** Each commit with the one before. */
const pairs = ({ commits }: OddTarget): (readonly [string, string])[] =>
  commits.slice(1).map((commit, index) => [commits[index] ?? '', commit]);
const byPair: Rows = (target) =>
  pairs(target).map(([leftCommitId, rightCommitId]) => ({ leftCommitId, rightCommitId }));
const byPath =
  (more: Plain = {}): Rows =>
  ({ files }) =>
    files.map(({ commit, path }) => ({ revision: bytes(commit), path, ...more }));
const ranges: Rows = ({ commits }) =>
  commits.slice(2).map((to, index) => {
    const [from, middle] = [commits[index] ?? '', commits[index + 1] ?? ''];
    return {
      rangeSpec: { case: 'rangePair', value: { range1: `${from}..${middle}`, range2: `${from}..${to}` } },
    };
  });
const fetchOf = ({ commits }: OddTarget): Buffer =>
  bytes(`${packet(`want ${last(commits)} no-progress\n`)}${FLUSH}${packet('done\n')}`);
const advertisements: Rows = () => [{}, { gitProtocol: 'version=1' }, { gitProtocol: 'version=2' }];
const sorts = [0, 1, 2];
const TEXT = 'one';

/**
 * Requests of each reading call, without their repository: the names of all odd objects,
 * references and paths.
 */
export const REQUESTS: Readonly<Record<string, Rows>> = {
  'AnalysisService/CheckBlobsGenerated': ({ blobs, files }) =>
    files.map(({ path }, index) => [
      { blobs: [{ revision: bytes(blobs[index % blobs.length] ?? ''), path }] },
    ]),
  'BlobService/GetBlob': ({ blobs, trees, commits }) =>
    [...blobs, last(trees), last(commits)].map((oid) => ({ oid, limit: -1n })),
  'BlobService/GetBlobs': ({ files }) => [
    { revisionPaths: files.map(({ commit, path }) => ({ revision: commit, path })), limit: -1n },
  ],
  'BlobService/ListBlobs': (target) => [
    { revisions: ['--all'], withPaths: true, bytesLimit: 10n },
    ...target.commits.map((commit) => ({ revisions: [commit], withPaths: true })),
    { revisions: names(target) },
  ],
  'BlobService/ListAllBlobs': () => [{ bytesLimit: -1n }],
  'BlobService/GetLFSPointers': ({ blobs }) => [{ blobIds: blobs }],
  'BlobService/ListLFSPointers': (target) => [{ revisions: ['--all'] }, { revisions: names(target) }],
  'BlobService/ListAllLFSPointers': once,
  'CommitService/ListCommits': (target) => [
    { revisions: ['--all'] },
    { revisions: ['--all'], order: 1 },
    { revisions: ['--all'], order: 2, reverse: true },
    { revisions: ['--all'], author: bytes('Ann') },
    { revisions: ['--all'], after: { seconds: 1n } },
    { revisions: ['--all'], before: { seconds: 1_700_000_000n } },
    { revisions: ['--all'], commitMessagePatterns: [bytes('subject')], ignoreCase: true },
    ...target.files.map(({ path }) => ({ revisions: ['HEAD'], paths: [path] })),
    ...names(target).map((revision) => ({ revisions: [revision], paginationParams: { limit: 2 } })),
  ],
  'CommitService/ListAllCommits': once,
  'CommitService/CommitIsAncestor': (target) =>
    pairs(target).map(([ancestorId, childId]) => ({ ancestorId, childId })),
  'CommitService/TreeEntry': byPath(),
  'CommitService/CountCommits': byRevision(),
  'CommitService/CountDivergingCommits': (target) =>
    pairs(target).map(([from, to]) => ({ from: bytes(from), to: bytes(to), maxCount: 100 })),
  'CommitService/GetTreeEntries': (target) => [
    ...byPath()(target),
    ...target.commits.flatMap((commit) => [
      { revision: bytes(commit), path: bytes('.'), recursive: true },
      { revision: bytes(commit), path: bytes('.'), sort: 1 },
    ]),
  ],
  'CommitService/ListFiles': byRevision(),
  'CommitService/FindCommit': byRevision({ trailers: true }),
  'CommitService/CommitStats': ({ commits }) => commits.map((commit) => ({ revision: bytes(commit) })),
  'CommitService/FindAllCommits': (target) => [
    ...sorts.map((order) => ({ order })),
    ...target.commits.map((commit) => ({ revision: bytes(commit), maxCount: 3 })),
  ],
  'CommitService/FindCommits': (target) => [
    { all: true, limit: 1000, trailers: true, includeShortstat: true, includeReferencedBy: [bytes('refs/')] },
    { all: true, limit: 1000, order: 1, author: bytes('Ann'), messageRegex: 'subject' },
    ...target.files.flatMap(({ path }) =>
      [false, true].map((follow) => ({ revision: bytes('HEAD'), limit: 9, paths: [path], follow })),
    ),
    ...revisions(target).map((revision) => ({ revision, limit: 2 })),
  ],
  'CommitService/RawBlame': byPath(),
  'CommitService/LastCommitForPath': byPath(),
  'CommitService/ListLastCommitsForTree': ({ commits, files }) => [
    ...commits.map((revision) => ({ revision, limit: 100 })),
    ...files.map(({ commit, path }) => ({ revision: commit, path, limit: 100 })),
  ],
  'CommitService/CommitsByMessage': (target) =>
    ['subject', 'caf', '\u00e9', 'body'].flatMap((query) => [
      { query, limit: 100 },
      { query, limit: 100, revision: bytes(last(target.commits)), path: bytes('x') },
    ]),
  'CommitService/ListCommitsByOid': ({ commits, tags, trees }) => [
    { oid: commits },
    { oid: [...commits, ...tags, ...trees] },
  ],
  'CommitService/ListCommitsByRefName': ({ refs }) => [
    { refNames: refs },
    ...refs.map((name) => ({ refNames: [name] })),
  ],
  'CommitService/FilterShasWithSignatures': ({ commits, tags }) => [
    [{ shas: bytesOf(commits) }, { shas: bytesOf(tags) }],
  ],
  'CommitService/GetCommitSignatures': ({ commits }) => [
    { commitIds: commits },
    ...commits.map((commit) => ({ commitIds: [commit] })),
  ],
  'CommitService/GetCommitMessages': ({ commits }) => [
    { commitIds: commits },
    ...commits.map((commit) => ({ commitIds: [commit] })),
  ],
  'CommitService/CheckObjectsExist': (target) => [[{ revisions: revisions(target) }]],
  'ConflictsService/ListConflictFiles': (target) =>
    pairs(target).map(([ourCommitOid, theirCommitOid]) => ({ ourCommitOid, theirCommitOid })),
  'DiffService/CommitDiff': byPair,
  'DiffService/CommitDelta': byPair,
  'DiffService/RawDiff': byPair,
  'DiffService/RawPatch': byPair,
  'DiffService/DiffStats': byPair,
  'DiffService/FindChangedPaths': ({ commits, trees }) =>
    [
      ...commits.map((commitRevision) => ({ case: 'commitRequest', value: { commitRevision } })),
      ...treePairs(trees),
    ].map((type) => ({ requests: [{ type }] })),
  'DiffService/GetPatchID': (target) =>
    pairs(target).map(([from, to]) => ({ oldRevision: bytes(from), newRevision: bytes(to) })),
  'DiffService/RawRangeDiff': ranges,
  'DiffService/RangeDiff': ranges,
  'DiffService/DiffBlobs': ({ blobs }) => [
    {
      blobPairs: blobs
        .slice(1)
        .map((blob, index) => ({ leftBlob: bytes(blobs[index] ?? ''), rightBlob: bytes(blob) })),
    },
  ],
  'InternalGitaly/WalkRepos': () => [{ storageName: 'default' }],
  'RefService/FindDefaultBranchName': () => [{}, { headOnly: true }],
  'RefService/FindAllBranchNames': once,
  'RefService/FindAllTagNames': once,
  'RefService/FindLocalBranches': () => sorts.map((sortBy) => ({ sortBy })),
  'RefService/FindAllBranches': () => [{}, { mergedOnly: true, mergedBranches: [bytes('refs/heads/main')] }],
  'RefService/FindAllTags': () => [
    {},
    ...sorts.flatMap((key) => [0, 1].map((direction) => ({ sortBy: { key, direction } }))),
  ],
  'RefService/FindTag': ({ refs }) =>
    refs.filter((name) => name.includes('refs/tags/')).map((name) => ({ tagName: name.subarray(10) })),
  'RefService/FindAllRemoteBranches': () => [{ remoteName: 'origin' }],
  'RefService/RefExists': ({ refs }) => refs.map((ref) => ({ ref })),
  'RefService/FindBranch': ({ refs }) => refs.map((name) => ({ name })),
  'RefService/ListBranchNamesContainingCommit': ({ commits }) => commits.map((commitId) => ({ commitId })),
  'RefService/ListTagNamesContainingCommit': ({ commits }) => commits.map((commitId) => ({ commitId })),
  'RefService/GetTagSignatures': ({ tags }) => [
    { tagRevisions: tags },
    ...tags.map((tag) => ({ tagRevisions: [tag] })),
  ],
  'RefService/GetTagMessages': ({ tags }) => [{ tagIds: tags }, ...tags.map((tag) => ({ tagIds: [tag] }))],
  'RefService/ListRefs': ({ commits }) => [
    { patterns: [bytes('refs/')], head: true, peelTags: true },
    ...sorts.map((key) => ({ patterns: [bytes('refs/')], sortBy: { key } })),
    { patterns: [bytes('refs/')], pointingAtOids: bytesOf(commits) },
    { patterns: [bytes('refs/heads/*'), bytes('refs/tags/L')], ignoreCase: true },
  ],
  'RefService/FindRefsByOID': ({ commits, tags }) =>
    [...commits, ...tags].flatMap((oid) => [{ oid }, { oid, sortField: '-creatordate', limit: 2 }]),
  'RepositoryService/RepositoryExists': once,
  'RepositoryService/RepositorySize': once,
  'RepositoryService/GetArchive': ({ commits, files }) => [
    ...commits.map((commitId, index) => ({ commitId, format: index % 4, prefix: 'p' })),
    ...files.map(({ commit, path }) => ({ commitId: commit, path, elidePath: true })),
  ],
  'RepositoryService/HasLocalBranches': once,
  'RepositoryService/Fsck': once,
  'RepositoryService/FindMergeBase': (target) => [
    ...pairs(target).map((pair) => ({ revisions: bytesOf(pair) })),
    ...target.refs.map((name) => ({ revisions: [name, bytes('HEAD')] })),
  ],
  'RepositoryService/CreateBundle': once,
  'RepositoryService/CreateBundleFromRefList': ({ refs }) => [[{ patterns: refs }]],
  'RepositoryService/GetConfig': once,
  'RepositoryService/FindLicense': once,
  'RepositoryService/GetInfoAttributes': once,
  'RepositoryService/CalculateChecksum': once,
  'RepositoryService/GetSnapshot': once,
  'RepositoryService/GetRawChanges': (target) =>
    pairs(target).map(([fromRevision, toRevision]) => ({ fromRevision, toRevision })),
  'RepositoryService/SearchFilesByContent': byRef({ query: TEXT, chunkedResponse: true }),
  'RepositoryService/SearchFilesByName': byRef({ query: '.' }),
  'RepositoryService/BackupCustomHooks': once,
  'RepositoryService/GetObjectDirectorySize': ({ relativePath }) => [
    { repository: { storageName: 'default', relativePath, gitObjectDirectory: 'objects' } },
  ],
  'RepositoryService/RepositoryInfo': once,
  'RepositoryService/ObjectsSize': (target) => [
    [{ revisions: bytesOf(['--all']) }],
    ...target.commits.map((commit) => [{ revisions: bytesOf([commit]) }]),
  ],
  'RepositoryService/ObjectFormat': once,
  'RepositoryService/GetCustomHooks': once,
  'RepositoryService/FullPath': once,
  'RepositoryService/BackupRepository': ({ relativePath }) => [
    { backupId: relativePath, vanityRepository: { storageName: 'default', relativePath } },
  ],
  'RepositoryService/GetFileAttributes': ({ files }) =>
    files
      .filter(({ path }) => isUtf8(path))
      .map(({ commit, path }) => ({ revision: bytes(commit), attributes: ['diff'], paths: [String(path)] })),
  'RepositoryService/GenerateBundleURI': once,
  'RepositoryService/FastExport': once,
  'SSHService/SSHUploadPack': (target) => [[{}, { stdin: fetchOf(target) }]],
  'SSHService/SSHUploadPackWithSidechannel': once,
  'SSHService/SSHUploadArchive': (target) =>
    target.refs.map((name) => [
      {},
      {
        stdin: bytes(
          `${packet('argument --format=tar')}${packet(`argument ${name.toString('latin1')}`)}0000`,
        ),
      },
    ]),
  'SmartHTTPService/InfoRefsUploadPack': advertisements,
  'SmartHTTPService/InfoRefsReceivePack': advertisements,
  'SmartHTTPService/PostUploadPack': (target) => [[{}, { data: fetchOf(target) }]],
  'SmartHTTPService/PostUploadPackWithSidechannel': once,
  'WikiService/WikiFindPage': ({ commits }) =>
    commits.map((commit) => ({ title: bytes('x'), revision: bytes(commit) })),
  'WikiService/WikiGetAllPages': () => [{}, { sort: 1 }],
  'WikiService/WikiListPages': () => [{ limit: 100 }, { sort: 1, limit: 100 }],
};

function byRef(more: Plain): Rows {
  return (target) => revisions(target).map((ref) => ({ ref, ...more }));
}

function treePairs(trees: readonly string[]): Plain[] {
  return trees.slice(1).map((tree, index) => ({
    case: 'treeRequest',
    value: { leftTreeRevision: trees[index] ?? '', rightTreeRevision: tree },
  }));
}

/** Reading calls whose response does not depend on the history, with the reason. */
export const WITHOUT_HISTORY: Readonly<Record<string, RegExp>> = {
  'a call of a hook': /^HookService\//,
  'names of backups': /^BackupService\//,
  'of namespaces, pools and partitions':
    /^(NamespaceService|ObjectPoolService|PartitionService|RaftService)\/|Pool/,
  'of another server': /^RemoteService\//,
};
