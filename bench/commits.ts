import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { CommitService } from '#wire/gen/commit_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';

type Call = (channel: GrpcChannel) => Promise<void>;

const CLIENTS = 16;
/** Commits per page. */
const PAGE = 20;
const NOTHING = 'health check';

/** Measures reading history, compared with git alone and with an empty call. */
export const bench: Bench = {
  name: 'commits',
  question:
    'commits of a long history: against git alone, and at 16 clients against a call that does nothing',
  async *run(workshop) {
    const repository = await workshop.repository('50k-commits');
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    const oids = (await git(repository.path, ['rev-list', `--max-count=${PAGE}`, 'main'])).trim().split('\n');

    const rounds = workshop.quick ? 50 : 200;
    const alone = againstGit(repository, oids);
    for (const { name, call, reference, goal } of alone) {
      for (let warm = 0; warm < 5; warm++) await call(channel);
      const samples = await takeTurns(name.startsWith('all') ? 5 : rounds, {
        rpc: () => timed(() => call(channel)),
        git: () => timed(reference.run),
      });
      yield {
        name,
        value: median(samples.rpc),
        unit: 'ms',
        reference: { name: reference.name, value: median(samples.git) },
        ...(goal !== undefined && { goal: { of: 'ratio' as const, atMost: goal } }),
      };
    }

    const calls = await atOnce(repository, oids);
    const windowMs = workshop.quick ? 300 : 800;
    for (const call of Object.values(calls)) await drive(channel, call, windowMs / 4);
    const candidates = Object.fromEntries(
      Object.entries(calls).map(([name, call]) => [
        name,
        async () => {
          let count = 0;
          const cpu = await cpuDuring(server.pid, async () => {
            count = await drive(channel, call, windowMs);
          });
          return {
            rate: (count * 1000) / windowMs,
            us: (cpu.ownMs * 1000) / count,
            gitUs: (cpu.childrenMs * 1000) / count,
          };
        },
      ]),
    );
    const samples = await takeTurns(workshop.quick ? 2 : 4, candidates);
    channel.destroy();
    const middle = (name: string, key: 'rate' | 'us' | 'gitUs'): number =>
      median((samples[name] ?? []).map((each) => each[key]));
    for (const name of Object.keys(calls)) {
      yield {
        name: `${name}, ${CLIENTS} clients`,
        value: middle(name, 'rate'),
        unit: 'calls/s',
        reference: { name: NOTHING, value: middle(NOTHING, 'rate') },
        note:
          `server ${middle(name, 'us').toFixed(0)} us/call, git reaped ` +
          `${middle(name, 'gitUs').toFixed(0)} us/call`,
      };
    }
  },
};

interface Question {
  readonly name: string;
  readonly call: Call;
  readonly reference: { readonly name: string; readonly run: () => Promise<unknown> };
  readonly goal?: number;
}

function againstGit({ path, wire }: StoredRepository, oids: readonly string[]): Question[] {
  const batch = () =>
    runProgram('git', ['-C', path, 'cat-file', '--batch', '--buffer'], { input: `${oids.join('\n')}\n` });
  const revList = (...args: string[]) => runProgram('git', ['-C', path, 'rev-list', ...args]);
  const lastOfEach = async () => {
    for (let file = 0; file < PAGE; file++) {
      await runProgram('git', [
        '-C',
        path,
        'log',
        '-1',
        '--format=%H',
        'main',
        '--',
        `directory/file-${file}`,
      ]);
    }
  };
  return [
    {
      name: `ListCommitsByOid, ${PAGE}`,
      call: listByOid(wire, oids),
      reference: { name: 'git cat-file --batch', run: batch },
      goal: 1.3,
    },
    {
      name: `ListCommits, ${PAGE}`,
      call: listCommits(wire, PAGE),
      reference: { name: 'git rev-list', run: () => revList(`--max-count=${PAGE}`, 'main') },
      goal: 1.3,
    },
    {
      name: 'all commits by ListCommits',
      call: listCommits(wire, 0),
      reference: {
        name: 'git rev-list | git cat-file',
        run: async () =>
          await runProgram('git', ['-C', path, 'cat-file', '--batch', '--buffer'], {
            input: (await revList('main')).toString(),
          }),
      },
    },
    {
      name: `ListLastCommitsForTree, ${PAGE} entries`,
      call: async (channel) => {
        const request = { repository: wire, revision: 'main', path: Buffer.from('directory/'), limit: PAGE };
        let count = 0;
        for await (const { commits } of channel.invoke(
          callable(CommitService.method.listLastCommitsForTree),
          [request],
        )) {
          count += commits.length;
        }
        check(count === PAGE);
      },
      reference: { name: 'git log -1, one after the other', run: lastOfEach },
    },
  ];
}

async function atOnce(
  { path, wire }: StoredRepository,
  oids: readonly string[],
): Promise<Readonly<Record<string, Call>>> {
  const [child = '', near = '', far = ''] = (await git(path, ['rev-parse', 'main', 'main~10', 'main~20000']))
    .trim()
    .split('\n');
  const isAncestor =
    (ancestorId: string, childId: string): Call =>
    async (channel) => {
      const request = { repository: wire, ancestorId, childId };
      for await (const { value } of channel.invoke(callable(CommitService.method.commitIsAncestor), [
        request,
      ]))
        check(value);
    };
  return {
    [NOTHING]: async (channel) => {
      for await (const _ of channel.invoke(callable(Health.method.check), [{}]));
    },
    'CommitIsAncestor, 10 apart': isAncestor(near, child),
    'CommitIsAncestor, 20000 apart': isAncestor(far, child),
    [`ListCommits, ${PAGE}`]: listCommits(wire, PAGE),
    [`ListCommitsByOid, ${PAGE}`]: listByOid(wire, oids),
    [`FindCommits, ${PAGE}`]: async (channel) => {
      const request = { repository: wire, revision: Buffer.from('main'), limit: PAGE };
      let count = 0;
      for await (const { commits } of channel.invoke(callable(CommitService.method.findCommits), [request]))
        count += commits.length;
      check(count === PAGE);
    },
  };
}

function listByOid(repository: StoredRepository['wire'], oid: readonly string[]): Call {
  return async (channel) => {
    let count = 0;
    const request = { repository, oid: [...oid] };
    for await (const { commits } of channel.invoke(callable(CommitService.method.listCommitsByOid), [
      request,
    ])) {
      count += commits.length;
    }
    check(count === oid.length);
  };
}

function listCommits(repository: StoredRepository['wire'], limit: number): Call {
  return async (channel) => {
    let count = 0;
    const request = { repository, revisions: ['main'], paginationParams: { limit } };
    for await (const { commits } of channel.invoke(callable(CommitService.method.listCommits), [request]))
      count += commits.length;
    check(limit === 0 ? count > 0 : count === limit);
  };
}

/** Returns the number of calls that some clients complete in a time window. */
async function drive(channel: GrpcChannel, call: Call, windowMs: number): Promise<number> {
  const end = performance.now() + windowMs;
  let count = 0;
  const client = async (): Promise<void> => {
    for (; performance.now() < end; count++) await call(channel);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return count;
}

function check(isRight: boolean): void {
  if (!isRight) throw new Error('a call gave another answer than was expected');
}
