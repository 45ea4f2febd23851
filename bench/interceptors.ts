import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { exceptions } from '#calls/exceptions';
import { GitCalls } from '#calls/git-calls';
import { createMetrics } from '#calls/metrics';
import { RunningCalls } from '#calls/running-calls';
import { startGit } from '#gitaly/foundation';
import { interceptors } from '#gitaly/interceptors';
import { methodLimits } from '#gitaly/limits/configured-limits';
import { limitFactory } from '#gitaly/limits/limit-factory';
import { startMaintenance } from '#gitaly/maintenance';
import { openStorages } from '#gitaly/repositories';
import { configFrom } from '#platform/config/load-config';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger } from '#platform/log/logger';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { signToken } from '#rpc/common/token-auth';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { contextExtras } from '#rpc/server/front';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import { CommitService } from '#wire/gen/commit_pb';
import { type Bench, median, takeTurns } from './lib/bench.ts';

const CLIENTS = 16;
const TOKEN = 'a token of a bench';
const SERVICES = [serve(CommitService, { findCommit: () => ({}) })];
const REQUEST = {
  repository: { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' },
  revision: Buffer.from('main'),
};

/** Measures what the interceptors of a server cost. */
export const bench: Bench = {
  name: 'interceptors',
  question: 'CPU of a call that does nothing, with all interceptors, against the transport alone',
  async *run(workshop) {
    const servers = {
      bare: await startCounted('bare', workshop.directory),
      all: await startCounted('all', workshop.directory),
    };
    try {
      const calls = workshop.quick ? 3000 : 20_000;
      // The code of both gets warm.
      for (const { channel } of Object.values(servers)) await callOn(channel, calls);
      const cost =
        ({ child, channel }: Counted) =>
        async () => {
          const before = await cpuMicroseconds(child);
          await callOn(channel, calls);
          return ((await cpuMicroseconds(child)) - before) / calls;
        };
      const samples = await takeTurns(workshop.quick ? 3 : 9, {
        bare: cost(servers.bare),
        all: cost(servers.all),
      });
      yield {
        name: 'a call with all interceptors, CPU',
        value: median(samples.all),
        unit: 'us',
        reference: { name: 'bare transport', value: median(samples.bare) },
        goal: { of: 'ratio', atMost: 1.35 },
      };
    } finally {
      for (const { child, channel } of Object.values(servers)) {
        channel.destroy();
        child.kill();
      }
    }
  },
};

interface Counted {
  readonly child: ChildProcess;
  readonly channel: GrpcChannel;
}

async function startCounted(role: 'bare' | 'all', directory: string): Promise<Counted> {
  const socket = join(directory, `${role}.socket`);
  const child = fork(import.meta.filename, [role, socket], { execArgv: ['--conditions=source'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ended with ${code}`);
  });
  await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {}); // calls report the end of the server
  return { child, channel: connectGrpc(connect(socket)) };
}

async function cpuMicroseconds(child: ChildProcess): Promise<number> {
  child.send('cpu');
  // The child responds with the result of process.cpuUsage().
  const [usage] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return usage.user + usage.system;
}

async function callOn(channel: GrpcChannel, calls: number): Promise<void> {
  const method = callable(CommitService.method.findCommit);
  const metadata = {
    authorization: signToken(TOKEN, Date.now() / 1000),
    'user-agent': 'bench',
    'x-gitlab-client-name': 'gitlab-web',
    'x-gitlab-correlation-id': '01HXYZ0123456789ABCDEFGHJK',
    'gitaly-feature-some-flag': 'true',
    call_site: 'controller',
    deadline_type: 'regular',
    remote_ip: '127.0.0.1',
    user_id: 'user-1',
    username: 'ann',
  };
  let left = calls;
  const loop = async (): Promise<void> => {
    while (left-- > 0)
      for await (const _ of channel.invoke(method, [REQUEST], { metadata, timeoutMs: 30_000 }));
  };
  await Promise.all(Array.from({ length: CLIENTS }, loop));
}

/** Returns a server with everything around its handlers that `gitaly serve` has. */
async function allInterceptors(directory: string): Promise<GrpcServer> {
  const storage = join(directory, 'all');
  mkdirSync(storage);
  const config = configFrom({
    socket_path: join(directory, 'unused'),
    storage: [{ name: 'default', path: storage }],
    auth: { token: TOKEN },
    concurrency: [{ rpc: '/gitaly.CommitService/FindCommit', max_concurrency: 100 }],
    daily_maintenance: { disabled: true },
  });
  const stream = new FdLogStream(openSync('/dev/null', 'a'), { format: 'json' });
  const logger = createLogger({ format: 'json', level: 'info', stream });
  const metrics = createMetrics(config);
  const [gitCalls, calls] = [new GitCalls(), new RunningCalls()];
  const none = { family: undefined, tracing: undefined, groups: undefined, copyTo: undefined };
  const git = await startGit({ config, logger, metrics, gitCalls, calls, ...none });
  const { storages } = await openStorages(git, { config, metrics, logger, family: undefined });
  return new GrpcServer({
    services: SERVICES,
    interceptors: await interceptors({
      config,
      logger,
      metrics,
      storages,
      trustsUnixSockets: false,
      tracing: undefined,
      reports: undefined,
      history: undefined,
      calls,
      faults: undefined,
      limits: { byMethod: methodLimits(config, limitFactory(undefined)).byMethod, onWait: () => () => {} },
      maintenance: startMaintenance({ calls, config, family: undefined, storages, metrics, logger }),
      exceptions: exceptions(metrics, logger, undefined),
    }),
    contextExtras: contextExtras({
      backchannels: new Backchannels((stream) => connectGrpc(stream)),
      onFlagChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc(),
    }),
  });
}

const [role, socket = ''] = process.argv.slice(2);
if (process.send !== undefined && (role === 'bare' || role === 'all')) {
  const server =
    role === 'bare' ? new GrpcServer({ services: SERVICES }) : await allInterceptors(join(socket, '..'));
  const peer = { transport: 'unix', address: '', backchannelId: undefined } as const;
  createServer((connection) => server.serveConnection(connection, peer)).listen(socket, () => {
    process.on('message', () => process.send?.(process.cpuUsage()));
    process.on('disconnect', () => process.exit());
    process.send?.('ready');
  });
}
