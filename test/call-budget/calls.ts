import { execFileSync } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import {
  type Connection,
  dial,
  dialSidechannel,
  postReceivePack,
  postUploadPack,
  SidechannelRegistry,
} from '#client/index';
import { FLUSH, packet, pushBody } from '#testkit/repositories/push';
import { USER } from '#testkit/user';
import { UserCommitFilesActionHeader_ActionType as ActionType } from '#wire/gen/operations_pb';

/** The calls of docs/budget.md, in its order. */
export const BUDGETED = [
  'FindCommit',
  'RefExists',
  'GetBlobs of 10',
  'ListCommitsByOid of 20',
  'CommitDiff of 3 files',
  'the same again',
  'WriteRef',
  'UserCommitFiles',
  'UserMergeBranch',
  'push of one commit',
  'clone of 20 commits',
] as const;

export type BudgetedName = (typeof BUDGETED)[number];

/** Calls that need commits of their own each time, so that their number is limited. */
export const NEEDS_COMMITS: ReadonlySet<BudgetedName> = new Set([
  'CommitDiff of 3 files',
  'UserMergeBranch',
  'push of one commit',
]);

/** Makes one call; the next one is similar, but not the same if the call changes the repository. */
export type BudgetedCall = () => Promise<void>;

export interface BudgetedCalls extends AsyncDisposable {
  readonly calls: Readonly<Record<BudgetedName, BudgetedCall>>;
}

const COMMITS = 20;
const FILES = 10;
const FILES_OF_DIFF = 3;
const LISTED = 20;
const ZERO_OID = '0'.repeat(40);
const MAIN = Buffer.from('main');
const HEADER = `${packet('object-format=sha1')}0001`;
const LIST_WORDS = [
  'peel',
  'symrefs',
  'unborn',
  'ref-prefix refs/heads/',
  'ref-prefix refs/tags/',
  'ref-prefix HEAD',
];

/** Commits of a repository for budgeted calls. */
export interface BudgetRepository {
  /** Ids of the branches as they were at the beginning. */
  readonly tips: ReadonlyMap<string, string>;
  readonly pushes: readonly Push[];
}

/**
 * Creates a repository of 20 commits at `path`.
 *
 * @param most number of times that each of {@link NEEDS_COMMITS} can be made
 */
export function makeBudgetRepository(path: string, most: number): BudgetRepository {
  const git = (...args: string[]): string => runGit(path, args).toString().trim();
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', path]);
  runGit(path, ['fast-import', '--quiet'], importStream(most));
  git('repack', '-adq');
  git('pack-refs', '--all');
  const pushes = packsOf(path, most);
  const listed = git('for-each-ref', '--format=%(refname:lstrip=2) %(objectname)').split('\n');
  const tips = new Map(
    listed.map((line) => {
      const [name = '', oid = ''] = line.split(' ');
      return [name, oid];
    }),
  );
  git('gc', '--quiet', '--prune=now');
  return { tips, pushes };
}

/** Connects to a server, and returns calls on a repository or a copy of it. */
export async function budgetedCalls(
  address: string,
  { tips, pushes }: BudgetRepository,
  relativePath: string,
): Promise<BudgetedCalls> {
  const repository = { storageName: 'default', relativePath, glRepository: 'project-1' };
  const connection = await dial(address);
  const registry = new SidechannelRegistry();
  const fetching = await dialSidechannel(address, registry);
  const tip = (name: string): string => {
    const oid = tips.get(name);
    if (oid === undefined) throw new Error(`there is no branch ${name}: too many calls`);
    return oid;
  };
  const parts: Parts = { connection, repository, tip, next: counters() };
  return {
    calls: {
      ...reads(parts),
      ...writes(parts, pushes),
      'clone of 20 commits': clone(parts, fetching, registry),
    },
    async [Symbol.asyncDispose]() {
      await fetching.close();
      await connection.close();
    },
  };
}

interface Parts {
  readonly connection: Connection;
  readonly repository: {
    readonly storageName: string;
    readonly relativePath: string;
    readonly glRepository: string;
  };
  /** Returns the id of a branch as it was at the beginning. @throws when there is none. */
  readonly tip: (name: string) => string;
  /** Returns 0, 1, 2, … for each name. */
  readonly next: (name: string) => number;
}

function reads({ connection, repository, tip, next }: Parts) {
  const { blob, commit, diff, ref } = connection;
  const revisionPaths = Array.from({ length: FILES }, (_, file) => ({
    revision: 'main',
    path: Buffer.from(`files/${file}`),
  }));
  const oid = Array.from({ length: LISTED }, (_, number) => tip(`diff-${number}`));
  const compare = async (number: number): Promise<void> => {
    const request = { repository, leftCommitId: tip('main'), rightCommitId: tip(`diff-${number}`) };
    let ends = 0;
    for await (const { endOfPatch } of diff.commitDiff(request)) if (endOfPatch) ends++;
    check(ends === FILES_OF_DIFF, 'CommitDiff');
  };
  return {
    FindCommit: async () => {
      check((await commit.findCommit({ repository, revision: MAIN })).commit !== undefined, 'FindCommit');
    },
    RefExists: async () => {
      const request = { repository, ref: Buffer.from('refs/heads/main') };
      check((await ref.refExists(request)).value, 'RefExists');
    },
    'GetBlobs of 10': async () => {
      let found = 0;
      for await (const { oid } of blob.getBlobs({ repository, revisionPaths, limit: -1n }))
        if (oid !== '') found++;
      check(found === FILES, 'GetBlobs');
    },
    'ListCommitsByOid of 20': async () => {
      let found = 0;
      for await (const { commits } of commit.listCommitsByOid({ repository, oid })) found += commits.length;
      check(found === oid.length, 'ListCommitsByOid');
    },
    'CommitDiff of 3 files': () => compare(next('diff')),
    'the same again': () => compare(0),
  };
}

function writes({ connection, repository, tip, next }: Parts, pushes: readonly Push[]) {
  const { operation } = connection;
  // With the same time the ids are the same in each run, and so are the directories of new objects.
  const write = { repository, user: USER, timestamp: { seconds: 1_700_000_000n, nanos: 0 } };
  return {
    WriteRef: async () => {
      const revision = Buffer.from(tip(next('write') % 2 === 0 ? 'main' : 'diff-0'));
      await connection.repository.writeRef({ repository, ref: Buffer.from('refs/heads/written'), revision });
    },
    UserCommitFiles: async () => {
      const header = { ...write, branchName: Buffer.from('committed'), commitMessage: Buffer.from('change') };
      const filePath = Buffer.from(`committed/${next('commit')}`);
      const action = { action: ActionType.CREATE, filePath };
      const payloads = [
        { case: 'header', value: header },
        { case: 'action', value: { userCommitFilesActionPayload: { case: 'header', value: action } } },
        {
          case: 'action',
          value: { userCommitFilesActionPayload: { case: 'content', value: Buffer.from('a line\n') } },
        },
      ] as const;
      const requests = payloads.map((payload) => ({ userCommitFilesRequestPayload: payload }));
      const { branchUpdate } = await operation.userCommitFiles(requests);
      check(branchUpdate !== undefined, 'UserCommitFiles');
    },
    UserMergeBranch: async () => {
      const commitId = tip(`topic-${next('merge')}`);
      let isMerged = false;
      const requests = [
        { ...write, branch: Buffer.from('merged'), commitId, message: Buffer.from('merge') },
        { apply: true },
      ];
      for await (const { branchUpdate } of operation.userMergeBranch(requests))
        isMerged = branchUpdate !== undefined;
      check(isMerged, 'UserMergeBranch');
    },
    'push of one commit': async () => {
      const push = pushes[next('push')];
      if (push === undefined) throw new Error('there are no more pushes');
      const { before, after, pack } = push;
      const body = pushBody([`${before ?? ZERO_OID} ${after} refs/heads/pushed`], { pack });
      const answer = await collected((stdout) =>
        postReceivePack(
          connection,
          { stdin: Readable.from([body]), stdout },
          { ...repositoryOfUser(repository) },
        ),
      );
      check(answer.includes('ok refs/heads/pushed'), 'PostReceivePack');
    },
  };
}

const repositoryOfUser = (repository: Parts['repository']) => ({
  repository,
  glId: 'user-1',
  glRepository: repository.glRepository,
});

/** Returns what git does to clone by HTTP in protocol version 2, without the work of the client. */
function clone({ connection, repository, tip }: Parts, fetching: Connection, registry: SidechannelRegistry) {
  const request = { repository, gitProtocol: 'version=2' };
  const post = (body: string): Promise<Buffer> =>
    collected((stdout) =>
      postUploadPack(fetching, registry, { stdin: Readable.from([Buffer.from(body)]), stdout }, request),
    );
  const bodyOf = (command: string, words: readonly string[]): string =>
    `${packet(`command=${command}\n`)}${HEADER}${words.map((word) => packet(`${word}\n`)).join('')}${FLUSH}`;
  const list = bodyOf('ls-refs', LIST_WORDS);
  const fetch = bodyOf('fetch', ['thin-pack', 'no-progress', 'ofs-delta', `want ${tip('main')}`, 'done']);
  return async (): Promise<void> => {
    for await (const _ of connection.smartHttp.infoRefsUploadPack(request));
    check((await post(list)).includes('refs/heads/main'), 'ls-refs');
    check((await post(fetch)).includes('PACK'), 'fetch');
  };
}

function counters(): Parts['next'] {
  const counts = new Map<string, number>();
  return (name) => {
    const number = counts.get(name) ?? 0;
    counts.set(name, number + 1);
    return number;
  };
}

async function collected(run: (stdout: Writable) => Promise<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await run(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    }),
  );
  return Buffer.concat(chunks);
}

function check(isRight: boolean, name: string): void {
  if (!isRight) throw new Error(`${name} gave a wrong response`);
}

interface Push {
  readonly before: string | undefined;
  readonly after: string;
  readonly pack: Buffer;
}

/** Returns packs with the commits of the branch `pushed`, which is deleted. */
function packsOf(path: string, most: number): Push[] {
  const commits = runGit(path, ['rev-list', '--reverse', '--first-parent', 'main..pushed'])
    .toString()
    .trim()
    .split('\n');
  const pushes = commits.slice(0, most).map((after, index) => {
    const before = commits[index - 1];
    const input = `${after}\n^${before ?? 'main'}\n`;
    return { before, after, pack: runGit(path, ['pack-objects', '--revs', '--stdout', '--quiet'], [input]) };
  });
  runGit(path, ['update-ref', '-d', 'refs/heads/pushed']);
  return pushes;
}

/**
 * Returns `main`, branches of one commit each that can be merged into each other, and branches that
 * differ from `main` in three files.
 */
function* importStream(most: number): Generator<string> {
  let date = 1_700_000_000;
  const commit = (
    branch: string,
    from: string | undefined,
    files: Readonly<Record<string, string>>,
  ): string =>
    `commit refs/heads/${branch}\ncommitter A <a@example.com> ${date++} +0000\ndata 6\nchange\n` +
    `${from === undefined ? '' : `from refs/heads/${from}\n`}` +
    Object.entries(files)
      .map(([name, text]) => `M 100644 inline ${name}\ndata ${text.length}\n${text}\n`)
      .join('');
  const first = Object.fromEntries(
    Array.from({ length: FILES }, (_, file) => [`files/${file}`, lines(file, '')]),
  );
  for (let number = 0; number < COMMITS; number++)
    yield commit(
      'main',
      undefined,
      number === 0 ? first : { [`files/${number % FILES}`]: lines(number, ` ${number}`) },
    );
  for (const branch of ['merged', 'committed']) yield `reset refs/heads/${branch}\nfrom refs/heads/main\n\n`;
  for (let number = 0; number < most; number++) {
    yield commit(`topic-${number}`, 'main', { [`topics/${number}`]: `${number}\n` });
    const changed = Array.from({ length: FILES_OF_DIFF }, (_, file) => [
      `files/${file}`,
      lines(file, ` changed ${number}`),
    ]);
    yield commit(`diff-${number}`, 'main', Object.fromEntries(changed));
    yield commit('pushed', number === 0 ? 'main' : undefined, { [`pushed/${number}`]: `pushed ${number}\n` });
  }
}

/** Returns a text of some lines, one of which is changed. */
function lines(seed: number, changed: string): string {
  return Array.from(
    { length: 40 },
    (_, line) => `line ${(seed * 31 + line * line) % 97}${line === 20 ? changed : ''}\n`,
  ).join('');
}

function runGit(path: string, args: readonly string[], input: Iterable<string> = []): Buffer {
  return execFileSync('git', ['-C', path, ...args], { input: [...input].join(''), maxBuffer: 1 << 28 });
}
