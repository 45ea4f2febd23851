import { randomBytes } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Connection, dial } from '#client/index';
import {
  UserCommitFilesActionHeader_ActionType as ActionType,
  type UserCommitFilesRequestSchema,
} from '#wire/gen/operations_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';

const CPU_CALLS = 20;
const MANY_FILES = 10_000;
const CHUNK_BYTES = 128 * 1024;
const MEBIBYTE = 1024 * 1024;

/**
 * Our server's git settings. By default git flushes neither loose objects nor references to the
 * disk before it returns.
 */
const SERVER_FSYNC = ['core.fsync=objects,derived-metadata,reference', 'core.fsyncMethod=fsync'];

/** Measures a commit of one file, compared with a script of git's plumbing commands. */
export const bench: Bench = {
  name: 'commit-files',
  question:
    'UserCommitFiles in a repository of 5000 files, against git plumbing; memory while a file of 1 GiB ' +
    'is committed',
  async *run(workshop) {
    const served = await workshop.repository('5k-files', 'served.git');
    const plain = await workshop.repository('5k-files', 'plain.git');
    const durable = await workshop.repository('5k-files', 'durable.git');
    for (const setting of SERVER_FSYNC) await git(durable.path, ['config', ...setting.split('=')]);
    const server = await workshop.server();
    await using connection = await dial(`unix:${server.socket}`);

    let number = 0;
    const one = (): Promise<unknown> => commitFiles(connection, served, [`files/7/new-${number++}`]);
    await takeTurns(100, { rpc: one });
    const samples = await takeTurns(workshop.quick ? 10 : 60, {
      rpc: () => timed(one),
      plain: (round) => timed(() => plumbing(plain, `files/7/new-${round}`)),
      durable: (round) => timed(() => plumbing(durable, `files/7/new-${round}`)),
    });
    const cpu = await cpuDuring(server.pid, async () => {
      for (let round = 0; round < CPU_CALLS; round++) await one();
    });
    const value = median(samples.rpc);
    const note =
      `server CPU ${(cpu.ownMs / CPU_CALLS).toFixed(1)} ms a call, git ` +
      `${(cpu.childrenMs / CPU_CALLS).toFixed(1)} ms`;
    const reference = { name: 'git plumbing', value: median(samples.plain) };
    yield {
      name: 'UserCommitFiles, one file',
      value,
      unit: 'ms',
      reference,
      goal: { of: 'ratio', atMost: 0.35 },
      note,
    };
    const equally = { name: "plumbing with the server's core.fsync", value: median(samples.durable) };
    yield { name: 'UserCommitFiles, equally durable', value, unit: 'ms', reference: equally };

    const paths = Array.from({ length: MANY_FILES }, (_, file) => `many/${file % 100}/${file}`);
    const manyMs = await timed(() => commitFiles(connection, served, paths));
    yield { name: `UserCommitFiles, ${MANY_FILES} files`, value: manyMs, unit: 'ms' };

    // A separate server, so that nothing else is counted.
    const fresh = await workshop.server();
    await using freshConnection = await dial(`unix:${fresh.socket}`);
    await commitFiles(freshConnection, served, ['small']);
    const before = residentMb(fresh.pid).now;
    const mebibytes = workshop.quick ? 256 : 1024;
    const ms = await timed(() => commitLarge(freshConnection, served, mebibytes));
    yield {
      name: `memory, one file of ${mebibytes} MiB`,
      value: residentMb(fresh.pid).peak - before,
      unit: 'MB',
      goal: { of: 'value', atMost: 67 },
      note: `${((mebibytes * MEBIBYTE) / 1000 / ms).toFixed(0)} MB/s`,
    };
  },
};

type Request = MessageInitShape<typeof UserCommitFilesRequestSchema>;

function header({ wire }: StoredRepository, branch = 'main'): Request {
  const user = {
    glId: 'user-1',
    name: Buffer.from('Bench'),
    email: Buffer.from('bench@example.com'),
    glUsername: 'bench',
  };
  const value = {
    repository: wire,
    user,
    branchName: Buffer.from(branch),
    commitMessage: Buffer.from('change'),
    // Without one each node of a cluster takes its own time, and votes for another commit.
    timestamp: { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 },
  };
  return { userCommitFilesRequestPayload: { case: 'header', value } };
}

function creation(path: string): Request {
  const value = { action: ActionType.CREATE, filePath: Buffer.from(path) };
  const action = { userCommitFilesActionPayload: { case: 'header', value } } as const;
  return { userCommitFilesRequestPayload: { case: 'action', value: action } };
}

function content(value: Uint8Array): Request {
  const action = { userCommitFilesActionPayload: { case: 'content', value } } as const;
  return { userCommitFilesRequestPayload: { case: 'action', value: action } };
}

/** Commits new files, each with its path as content. */
export async function commitFiles(
  connection: Connection,
  repository: StoredRepository,
  paths: readonly string[],
  branch?: string,
): Promise<void> {
  const requests = [
    header(repository, branch),
    ...paths.flatMap((path) => [creation(path), content(Buffer.from(`${path}\n`))]),
  ];
  const { branchUpdate } = await connection.operation.userCommitFiles(requests);
  if (branchUpdate === undefined) throw new Error('nothing was committed');
}

/** Commits incompressible bytes, each mebibyte different. */
async function commitLarge(
  connection: Connection,
  repository: StoredRepository,
  mebibytes: number,
): Promise<void> {
  const noise = randomBytes(2 * MEBIBYTE);
  async function* requests(): AsyncGenerator<Request> {
    yield header(repository);
    yield creation('large');
    for (let mebibyte = 0; mebibyte < mebibytes; mebibyte++) {
      for (let at = 0; at < MEBIBYTE; at += CHUNK_BYTES) {
        yield content(noise.subarray(mebibyte + at, mebibyte + at + CHUNK_BYTES));
      }
    }
  }
  await connection.operation.userCommitFiles(requests());
}

/** Script that commits one file: its own index, blob, tree, commit, reference. */
const SCRIPT = `
  git read-tree main
  blob=$(echo "$1" | git hash-object -w --stdin)
  git update-index --add --cacheinfo "100644,$blob,$1"
  tree=$(git write-tree)
  commit=$(git commit-tree -p main -m change "$tree")
  git update-ref refs/heads/main "$commit"
`;

async function plumbing({ path }: StoredRepository, file: string): Promise<void> {
  await runProgram('sh', ['-euc', SCRIPT, 'sh', file], {
    env: { GIT_DIR: path, GIT_INDEX_FILE: `${path}/bench-index` },
  });
}
