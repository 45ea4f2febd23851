import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { CommitService } from '#wire/gen/commit_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { fetchRequest } from './fetch-request.ts';
import type { Fetching } from './large-work.ts';
import { one } from './readings.ts';
import type { StoredRepository } from './repositories.ts';
import { git } from './run-program.ts';

/** A kind of call of which each is another one of the history. */
export interface RealCalls {
  readonly name: string;
  readonly call: (index: number) => Promise<unknown>;
}

/** Subjects of the calls. */
interface History {
  /** Commits with one parent, with that parent, the newest first. */
  readonly neighbours: readonly (readonly [commit: string, parent: string])[];
  /** The first parents, the newest first. */
  readonly line: readonly string[];
  /** Merge base and tip of what was merged, of 1 to 30 commits. */
  readonly requests: readonly (readonly [base: string, tip: string])[];
  readonly files: readonly string[];
  readonly blobs: readonly string[];
}

/** Limits of Rails for the page of a commit. */
const RAILS_LIMITS = {
  ...{ collapseDiffs: true, enforceLimits: true, maxPatchBytes: 204_800 },
  ...{ maxFiles: 1000, maxLines: 50_000, maxBytes: 5_120_000 },
  ...{ safeMaxFiles: 100, safeMaxLines: 5000, safeMaxBytes: 512_000 },
} as const;
const COMMITS = 2000;
/** None of these is compared twice in ten seconds: outputs are kept. */
const NEIGHBOURS = 10_000;
const MERGES = 400;
const MAX_REQUEST_COMMITS = 30;
const FILES = 200;
const DAY_SECONDS = 24 * 3600;

/** Reads what the calls are about, with git. */
export async function readHistory({ path }: StoredRepository): Promise<History> {
  const lines = async (...args: string[]): Promise<string[]> =>
    (await git(path, args)).split('\n').filter((line) => line !== '');
  const parents = await lines('rev-list', '--parents', `--max-count=${NEIGHBOURS}`, '--no-merges', 'HEAD');
  const neighbours = parents
    .map((line) => line.split(' '))
    .flatMap(([commit = '', parent]) => (parent === undefined ? [] : [[commit, parent] as const]));
  const merges = await lines('rev-list', '--merges', '--parents', `--max-count=${MERGES}`, 'HEAD');
  const requests: [string, string][] = [];
  for (const merge of merges) {
    const [, first = '', tip = ''] = merge.split(' ');
    const count = Number(await git(path, ['rev-list', '--count', `${first}..${tip}`]));
    if (count >= 1 && count <= MAX_REQUEST_COMMITS)
      requests.push([await git(path, ['merge-base', first, tip]), tip]);
  }
  const listed = (await lines('ls-tree', '-r', 'HEAD')).filter((line) => /^100\d+ blob [^"]*$/.test(line));
  const entries = listed.filter((_, at) => at % Math.ceil(listed.length / FILES) === 0);
  return {
    neighbours,
    line: await lines('rev-list', '--first-parent', `--max-count=${COMMITS}`, 'HEAD'),
    requests: requests.length > 0 ? requests : neighbours.map(([commit, parent]) => [parent, commit]),
    files: entries.map((line) => line.slice(line.indexOf('\t') + 1)),
    blobs: entries.map((line) => line.split(/\s/)[2] ?? ''),
  };
}

/** Returns the calls of people, tools and pipelines in a repository. */
export function realCalls(
  channel: GrpcChannel,
  fetching: Fetching,
  repository: StoredRepository,
  history: History,
): RealCalls[] {
  const { wire } = repository;
  const file = (index: number) => Buffer.from(at(history.files, index));
  const revision = (index: number) => Buffer.from(at(history.line, index));
  const post = (request: Buffer) => fetching.post(repository, request);
  return [
    {
      name: 'FindCommit',
      call: (index) =>
        one(CommitService.method.findCommit, { repository: wire, revision: revision(index) })(channel),
    },
    ...diffs(channel, repository, history),
    {
      name: 'history of a file, 20 commits',
      call: (index) => {
        const request = { revisions: ['HEAD'], paths: [file(index)], paginationParams: { limit: 20 } };
        return one(CommitService.method.listCommits, { repository: wire, ...request })(channel);
      },
    },
    {
      name: 'blame of a file',
      call: (index) => {
        const request = { revision: revision(0), path: file(index) };
        return one(CommitService.method.rawBlame, { repository: wire, ...request })(channel);
      },
    },
    ...fetches(history).map(({ name, request }) => ({ name, call: (index: number) => post(request(index)) })),
  ];
}

/** Returns the diffs of commits with their parents, and of merge requests. */
function diffs(channel: GrpcChannel, { wire }: StoredRepository, history: History): RealCalls[] {
  const commitDiff = ([leftCommitId, rightCommitId]: readonly [string, string]) => {
    const request = { repository: wire, leftCommitId, rightCommitId, ...RAILS_LIMITS };
    return one(DiffService.method.commitDiff, request)(channel);
  };
  const neighbours = (index: number): readonly [string, string] => {
    const [commit, parent] = at(history.neighbours, index);
    return [parent, commit];
  };
  const sides = (index: number) => {
    const [leftCommitId, rightCommitId] = neighbours(index);
    return { repository: wire, leftCommitId, rightCommitId };
  };
  return [
    { name: 'CommitDiff of neighbours', call: (index) => commitDiff(neighbours(index)) },
    {
      name: 'DiffStats of neighbours',
      call: (index) => one(DiffService.method.diffStats, sides(index))(channel),
    },
    {
      name: 'RawDiff of neighbours',
      call: (index) => one(DiffService.method.rawDiff, sides(index))(channel),
    },
    {
      name: 'FindChangedPaths of neighbours',
      call: (index) => {
        const [commitRevision] = at(history.neighbours, index);
        const requests = [{ type: { case: 'commitRequest' as const, value: { commitRevision } } }];
        return one(DiffService.method.findChangedPaths, { repository: wire, requests })(channel);
      },
    },
    { name: 'CommitDiff of merge requests', call: (index) => commitDiff(at(history.requests, index)) },
  ];
}

/** Returns fetches as pipelines, partial clones and people make them. */
function fetches({ blobs, line }: History) {
  const tip = (index: number): string => at(line, index % 50);
  const since = (index: number, seconds: number) =>
    fetchRequest(tip(index), ['thin-pack', `have ${at(line, (index % 50) + commitsIn(line, seconds))}`]);
  return [
    { name: 'fetch of one day', request: (index: number) => since(index, DAY_SECONDS) },
    { name: 'fetch of one week', request: (index: number) => since(index, 7 * DAY_SECONDS) },
    { name: '--depth 1', request: (index: number) => fetchRequest(tip(index), ['deepen 1']) },
    {
      name: '--filter=blob:none',
      request: (index: number) => fetchRequest(tip(index), ['filter blob:none']),
    },
    { name: '--single-branch', request: (index: number) => fetchRequest(tip(index)) },
    {
      name: 'a blob by its id',
      request: (index: number) => fetchRequest(at(blobs, index), ['filter blob:none']),
    },
  ];
}

/** Returns about how many commits of the first line a busy project has in a time: ten in a day. */
function commitsIn(line: readonly string[], seconds: number): number {
  return Math.min(line.length - 51, Math.ceil((10 * seconds) / DAY_SECONDS));
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('the repository has too little history');
  return item;
}
