/**
 * Measures how many unary calls per second the transport carries, and the server's cost per call,
 * with an empty handler. Our server and grpc-js's each run in a separate process on a Unix socket,
 * with the same client. Prints a table.
 *
 * node --conditions=source bench/rpc-empty.ts [seconds per measurement, default 2]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import { CommitService, FindCommitRequestSchema, FindCommitResponseSchema } from '#wire/gen/commit_pb';

const CANDIDATES = ['ours', 'grpc-js'] as const;
const CONCURRENCY = [1, 16, 64];
const ANSWER = {
  commit: {
    id: '1e292f8fedd741b75372e19097c76d327140c312',
    subject: Buffer.from('add a file'),
    body: Buffer.from('add a file\n\nwith a body\n'),
    author: {
      name: Buffer.from('Scrooge McDuck'),
      email: Buffer.from('scrooge@mcduck.com'),
      timezone: Buffer.from('+0000'),
    },
    parentIds: ['c1c67abbaf91f624347bb3ae96eabe3a1b742478'],
  },
};
const METADATA = {
  'user-agent': 'bench',
  'x-gitlab-client-name': 'gitlab-rails',
  'x-gitlab-correlation-id': '01HXYZ0123456789ABCDEFGHJK',
  'gitaly-feature-some-flag': 'true',
  deadline_type: 'regular',
};

const [role, socket = ''] = process.argv.slice(2);
if (role === 'serve-ours') serveOurs(socket);
else if (role === 'serve-grpc-js') serveGrpcJs(socket);
else await measureAll(Number(role ?? 2));

function serveOurs(path: string): void {
  const server = new GrpcServer({ services: [serve(CommitService, { findCommit: () => ANSWER })] });
  const peer = { transport: 'unix', address: '', backchannelId: undefined } as const;
  createServer((connection) => server.serveConnection(connection, peer)).listen(path, announce);
}

function serveGrpcJs(path: string): void {
  const server = new grpc.Server();
  const definition = {
    findCommit: {
      path: '/gitaly.CommitService/FindCommit',
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(FindCommitRequestSchema, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: typeof ANSWER) =>
        Buffer.from(toBinary(FindCommitResponseSchema, create(FindCommitResponseSchema, message))),
      responseDeserialize: () => ANSWER,
    },
  };
  server.addService(definition, {
    findCommit: (_call: unknown, callback: (error: null, answer: typeof ANSWER) => void) =>
      callback(null, ANSWER),
  });
  server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), announce);
}

/** Notifies the parent that the socket is listening, and reports CPU time on request. */
process.on('SIGINT', () => process.exit());
function announce(): void {
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

async function measureAll(seconds: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'rpc-empty-'));
  try {
    for (const concurrency of CONCURRENCY) {
      for (const candidate of CANDIDATES) {
        const path = join(directory, `${candidate}-${concurrency}`);
        const child = fork(import.meta.filename, [`serve-${candidate}`, path], {
          execArgv: ['--conditions=source'],
        });
        await once(child, 'message');
        const channel = connectGrpc(connectSocket(path));
        await drive(channel, concurrency, 0.5);
        const before = await cpuMs(child);
        const { calls, elapsedMs } = await drive(channel, concurrency, seconds);
        const cpu = (await cpuMs(child)) - before;
        console.log(
          `${candidate.padEnd(8)} ${String(concurrency).padStart(3)} clients: ${Math.round(
            (calls * 1000) / elapsedMs,
          )
            .toString()
            .padStart(6)} calls/s, server CPU ${((cpu * 1000) / calls).toFixed(1)} us/call`,
        );
        channel.destroy();
        child.disconnect();
        await once(child, 'exit');
      }
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function drive(
  channel: GrpcChannel,
  concurrency: number,
  seconds: number,
): Promise<{ calls: number; elapsedMs: number }> {
  const method = callable(CommitService.method.findCommit);
  const start = performance.now();
  const end = start + seconds * 1000;
  let calls = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < end) {
      const request = {
        repository: { storageName: 'default', relativePath: 'a.git' },
        revision: Buffer.from('HEAD'),
      };
      for await (const answer of channel.invoke(method, [request], {
        metadata: METADATA,
        timeoutMs: 10_000,
      })) {
        if (answer.commit?.id === ANSWER.commit.id) calls++;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return { calls, elapsedMs: performance.now() - start };
}

async function cpuMs(child: ChildProcess): Promise<number> {
  child.send('cpu');
  // The child responds with the result of process.cpuUsage().
  const [usage] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return (usage.user + usage.system) / 1000;
}
