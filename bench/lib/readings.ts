import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { RefService } from '#wire/gen/ref_pb';
import { ServerService } from '#wire/gen/server_pb';
import type { StoredRepository } from './repositories.ts';
import { git, runProgram } from './run-program.ts';

export type Call = (channel: GrpcChannel) => Promise<void>;

/** A call and the equivalent git command. */
export interface Reading {
  readonly name: string;
  readonly call: Call;
  readonly reference: { readonly name: string; readonly run: () => Promise<unknown> };
}

/** Objects to read in a repository. */
export interface Subjects extends StoredRepository {
  /** Name of the default branch, without `refs/heads/`. */
  readonly branch: string;
  /** Commits of the default branch, newest first. */
  readonly commits: readonly string[];
  /** Small files of the default branch, the one nearest to 4 KiB first. */
  readonly files: readonly { readonly oid: string; readonly path: string }[];
  /**
   * Of the last 2,000 merges, the one that changes the most files compared with its first parent;
   * the newest commit if there is none.
   */
  readonly merge: { readonly left: string; readonly right: string };
}

const PAGE = 20;
const BLOBS = 50;
const MAX_SMALL_BYTES = 16_384;
const COMMIT_FIELDS = [
  ...['tree', 'parent', 'authorname', 'authoremail', 'authordate:raw'],
  ...['committername', 'committeremail', 'committerdate:raw', 'contents:subject', 'contents'],
];
const TAG_FIELDS = ['contents', 'taggername', 'taggeremail', 'taggerdate:raw', '*objectname'];

export async function subjectsOf(repository: StoredRepository): Promise<Subjects> {
  const { path } = repository;
  const commits = (await git(path, ['rev-list', '--max-count=200', 'HEAD'])).split('\n');
  const listed = (await git(path, ['ls-tree', '-r', '-l', 'HEAD'])).split('\n');
  const files = listed
    .map((line) => /^100\d+ blob (\S+) +(\d+)\t([^"].*)$/.exec(line))
    .map((match) => ({ oid: match?.[1] ?? '', size: Number(match?.[2] ?? 0), path: match?.[3] ?? '' }))
    .filter(({ size }) => size > 0 && size <= MAX_SMALL_BYTES)
    .sort((a, b) => Math.abs(a.size - 4096) - Math.abs(b.size - 4096));
  const branch = (await git(path, ['symbolic-ref', 'HEAD'])).slice('refs/heads/'.length);
  return { ...repository, branch, commits, files, merge: await largestMerge(path) };
}

async function largestMerge(path: string): Promise<Subjects['merge']> {
  const log = await git(path, [
    'log',
    '--merges',
    '--max-count=2000',
    '--diff-merges=first-parent',
    '--format=%x01%H',
    '--raw',
    'HEAD',
  ]);
  const sizes = log
    .split('\x01')
    .map((text) => ({ oid: text.slice(0, text.indexOf('\n')), lines: text.split('\n').length }));
  const largest = sizes.reduce((a, b) => (b.lines > a.lines ? b : a), { oid: 'HEAD', lines: 0 });
  const right = await git(path, ['rev-parse', largest.oid || 'HEAD']);
  return { left: await git(path, ['rev-parse', `${right}^1`]), right };
}

/** Returns calls that read one object, and an empty call. */
export function unaryCallsOf({
  wire: repository,
  branch,
  commits,
  files,
}: Subjects): Readonly<Record<string, Call>> {
  const [file] = files;
  if (file === undefined) throw new Error('the repository has no small file');
  const revision = Buffer.from('HEAD');
  return {
    ServerSignature: one(ServerService.method.serverSignature, {}),
    FindCommit: one(CommitService.method.findCommit, { repository, revision }),
    GetBlob: one(BlobService.method.getBlob, { repository, oid: file.oid, limit: -1n }),
    TreeEntry: one(CommitService.method.treeEntry, { repository, revision, path: Buffer.from(file.path) }),
    RefExists: one(RefService.method.refExists, { repository, ref: Buffer.from(`refs/heads/${branch}`) }),
    FindBranch: one(RefService.method.findBranch, { repository, name: Buffer.from(branch) }),
    FindDefaultBranchName: one(RefService.method.findDefaultBranchName, { repository }),
    CommitIsAncestor: one(CommitService.method.commitIsAncestor, {
      repository,
      ancestorId: commits[10] ?? '',
      childId: commits[0] ?? '',
    }),
  };
}

/** Returns calls that read many objects. */
export function listsOf(subjects: Subjects): Reading[] {
  return [...objectListsOf(subjects), ...refListsOf(subjects)];
}

function objectListsOf({ path, wire: repository, commits, files }: Subjects): Reading[] {
  const chosen = files.slice(0, BLOBS);
  const batch = (oids: readonly string[]) => ({
    name: 'git cat-file --batch',
    run: () =>
      runProgram('git', ['-C', path, 'cat-file', '--batch', '--buffer'], { input: `${oids.join('\n')}\n` }),
  });
  return [
    {
      name: `ListCommitsByOid, ${PAGE}`,
      call: one(CommitService.method.listCommitsByOid, { repository, oid: commits.slice(0, PAGE) }),
      reference: batch(commits.slice(0, PAGE)),
    },
    {
      name: `GetBlobs, ${chosen.length} small`,
      call: one(BlobService.method.getBlobs, {
        repository,
        revisionPaths: chosen.map((file) => ({ revision: commits[0] ?? '', path: Buffer.from(file.path) })),
        limit: -1n,
      }),
      reference: batch(chosen.map(({ oid }) => oid)),
    },
    {
      name: `ListBlobs, ${files.length} small`,
      call: one(BlobService.method.listBlobs, {
        repository,
        revisions: files.map(({ oid }) => oid),
        bytesLimit: -1n,
      }),
      reference: batch(files.map(({ oid }) => oid)),
    },
    {
      name: 'GetTreeEntries, recursive',
      call: one(CommitService.method.getTreeEntries, {
        repository,
        revision: Buffer.from('HEAD'),
        path: Buffer.from('.'),
        recursive: true,
      }),
      reference: program(path, 'ls-tree', '-r', '-t', '-z', 'HEAD'),
    },
  ];
}

function refListsOf({ path, wire: repository }: Subjects): Reading[] {
  const forEachRef = (fields: readonly string[], pattern: string) =>
    program(
      path,
      'for-each-ref',
      `--format=${['refname', 'objectname', ...fields].map((field) => `%(${field})`).join('%00')}`,
      pattern,
    );
  return [
    {
      name: 'ListRefs',
      call: one(RefService.method.listRefs, { repository, patterns: [Buffer.from('refs/')] }),
      reference: forEachRef([], 'refs/'),
    },
    {
      name: 'FindLocalBranches',
      call: one(RefService.method.findLocalBranches, { repository }),
      reference: forEachRef(COMMIT_FIELDS, 'refs/heads/'),
    },
    {
      name: 'FindAllTags',
      call: one(RefService.method.findAllTags, { repository }),
      reference: forEachRef([...TAG_FIELDS, ...COMMIT_FIELDS.map((field) => `*${field}`)], 'refs/tags/'),
    },
  ];
}

function program(path: string, ...args: string[]) {
  return { name: `git ${args[0]}`, run: () => runProgram('git', ['-C', path, ...args]) };
}

export function mergeDiffsOf({ path, wire: repository, merge }: Subjects): Reading[] {
  const sides = { repository, leftCommitId: merge.left, rightCommitId: merge.right };
  const reference = {
    name: 'git diff-tree -p',
    run: () => runProgram('git', ['-C', path, 'diff-tree', '-r', '-p', merge.left, merge.right]),
  };
  return [
    { name: 'RawDiff of a large merge', call: one(DiffService.method.rawDiff, sides), reference },
    { name: 'CommitDiff of a large merge', call: one(DiffService.method.commitDiff, sides), reference },
  ];
}

/**
 * Makes a call and counts the bytes of its responses without decoding them, as git's output is not
 * decoded either.
 */
export function one<I extends DescMessage>(
  method: Parameters<typeof callable>[0] & { readonly input: I },
  request: MessageInitShape<I>,
): Call {
  const bytes = toBinary(method.input, create(method.input, request));
  return async (channel) => {
    for await (const _ of channel.invokeRaw(callable(method), [bytes]));
  };
}
