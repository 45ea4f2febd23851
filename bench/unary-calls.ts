import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { RefService } from '#wire/gen/ref_pb';
import { type Bench, median, quantile, takeTurns } from './lib/bench.ts';
import { cpuDuring } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';

/** One complete call. */
export type Call = (channel: GrpcChannel) => Promise<void>;

/** Result of a window of calls, and its cost. */
export interface Sample {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly serverUsPerCall: number;
  readonly gitUsPerCall: number;
}

const NOTHING = 'health check';
/** Options as Rails sends them. */
const OPTIONS = {
  timeoutMs: 10_000,
  metadata: {
    'user-agent': 'bench',
    'x-gitlab-client-name': 'gitlab-web',
    'x-gitlab-correlation-id': '01HXYZ0123456789ABCDEFGHJK',
    'call-site': 'ProjectsController#show',
    'deadline-type': 'regular',
    'remote-ip': '127.0.0.1',
    username: 'root',
    'user-id': '1',
    'gitaly-session-id': '4cb7f4b0-1d33-4c3a-a5d0-6a7a5f1ed0b1',
    'gitaly-feature-some-flag': 'true',
    'gitaly-feature-another-flag': 'false',
  },
};

/** Measures calls per second and their cost for the server, compared with an empty call. */
export const bench: Bench = {
  name: 'unary-calls',
  question: 'calls that read one thing, against a call that does nothing (ratio: server CPU per call)',
  async *run(workshop) {
    const calls = await callsOn(await workshop.repository('small'));
    const server = await workshop.server();
    const [rounds, windowMs] = workshop.quick ? [1, 300] : [3, 800];
    for (const clients of [1, 16, 64]) {
      const channel = connectGrpc(await server.connect());
      const candidates = Object.fromEntries(
        Object.entries(calls).map(([name, call]) => [
          name,
          () => drive(channel, { call, clients, windowMs, pid: server.pid }),
        ]),
      );
      for (const call of Object.values(calls))
        await drive(channel, { call, clients, windowMs: windowMs / 4, pid: server.pid });
      const samples = await takeTurns(rounds, candidates);
      channel.destroy();

      const middle = (name: string, key: keyof Sample): number =>
        median((samples[name] ?? []).map((sample) => sample[key]));
      for (const name of Object.keys(calls)) {
        yield {
          name: `${name}, ${clients} clients`,
          value: middle(name, 'callsPerSecond'),
          unit: 'calls/s',
          reference: { name: NOTHING, value: middle(NOTHING, 'callsPerSecond') },
          note: [
            `p50 ${middle(name, 'p50Ms').toFixed(2)} ms`,
            `server ${middle(name, 'serverUsPerCall').toFixed(0)} us/call`,
            `git reaped ${middle(name, 'gitUsPerCall').toFixed(0)} us/call`,
          ].join(', '),
        };
      }
    }
  },
};

async function callsOn({ path, wire }: StoredRepository): Promise<Readonly<Record<string, Call>>> {
  const blob = await git(path, ['rev-parse', 'main:four-kilobytes']);
  return {
    [NOTHING]: async (channel) => {
      for await (const _ of channel.invoke(callable(Health.method.check), [{}], OPTIONS));
    },
    FindCommit: findCommit(wire),
    'GetBlob 4 KiB': async (channel) => {
      const request = { repository: wire, oid: blob, limit: -1n };
      let bytes = 0;
      for await (const { data } of channel.invoke(callable(BlobService.method.getBlob), [request], OPTIONS))
        bytes += data.length;
      check(bytes === 4096);
    },
    'TreeEntry 4 KiB': async (channel) => {
      const request = {
        repository: wire,
        revision: Buffer.from('main'),
        path: Buffer.from('four-kilobytes'),
      };
      let bytes = 0;
      for await (const { data } of channel.invoke(
        callable(CommitService.method.treeEntry),
        [request],
        OPTIONS,
      ))
        bytes += data.length;
      check(bytes === 4096);
    },
    RefExists: async (channel) => {
      const request = { repository: wire, ref: Buffer.from('refs/heads/main') };
      for await (const { value } of channel.invoke(callable(RefService.method.refExists), [request], OPTIONS))
        check(value);
    },
  };
}

export function findCommit(repository: StoredRepository['wire']): Call {
  const request = { repository, revision: Buffer.from('main') };
  return async (channel) => {
    for await (const { commit } of channel.invoke(
      callable(CommitService.method.findCommit),
      [request],
      OPTIONS,
    ))
      check(commit);
  };
}

/** Makes calls of several clients for a time. @param pid of the server whose CPU time is counted */
export async function drive(
  channel: GrpcChannel,
  { call, clients, windowMs, pid }: { call: Call; clients: number; windowMs: number; pid: number },
): Promise<Sample> {
  const latencies: number[] = [];
  const start = performance.now();
  const client = async (): Promise<void> => {
    for (let before = start; before < start + windowMs; ) {
      await call(channel);
      const after = performance.now();
      latencies.push(after - before);
      before = after;
    }
  };
  const cpu = await cpuDuring(pid, () => Promise.all(Array.from({ length: clients }, client)));
  const count = latencies.length;
  return {
    callsPerSecond: (count * 1000) / (performance.now() - start),
    p50Ms: quantile(latencies, 0.5),
    serverUsPerCall: (cpu.ownMs * 1000) / count,
    gitUsPerCall: (cpu.childrenMs * 1000) / count,
  };
}

function check(answer: unknown): void {
  if (!answer) throw new Error('a call gave no answer');
}
