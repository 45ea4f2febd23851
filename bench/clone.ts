import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Transform, type Writable } from 'node:stream';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { packet } from '#testkit/repositories/push';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuTime } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';

const GB = 1_000_000_000;
const WALL_GOAL = { of: 'ratio', atMost: 1.1 } as const;
const CPU_GOAL = { of: 'value', atMost: 700 } as const;

/** Milliseconds of one clone, and its cost for the server. */
interface Clone {
  readonly wallMs: number;
  readonly serverCpuMs: number;
}

/** Measures a clone through our server, compared with git's own. */
export const bench: Bench = {
  name: 'clone',
  question:
    'a bare clone through the sidechannel and through the HTTP gateway, against git clone of a file:// URL',
  async *run(workshop) {
    const repository = await workshop.repository(workshop.quick ? '20mb' : '250mb');
    const server = await workshop.server();
    const gateway = await workshop.gateway();
    const fetch = await postedFetch(repository, server.socket);
    const indexed = join(workshop.directory, 'indexed.git');

    const samples = await takeTurns(workshop.quick ? 1 : 5, {
      git: cloned(workshop, `file://${repository.path}`),
      sidechannel: () => measured(server.pid, () => intoIndexPack(indexed, (pack) => fetch.into(pack))),
      gateway: cloned(workshop, `${gateway.url}/${repository.wire.relativePath}`, gateway.pid),
      'git, sink': () => measured(undefined, () => uploadPackIntoSink(repository.path, fetch.request)),
      'sidechannel, sink': () => measured(server.pid, () => fetch.into(sink())),
    });
    const bytes = await fetch.close();
    const wall = (name: keyof typeof samples): number => median(samples[name].map(({ wallMs }) => wallMs));
    const cpuPerGb = (name: keyof typeof samples): number =>
      (median(samples[name].map(({ serverCpuMs }) => serverCpuMs)) * GB) / bytes;

    const theirs = { name: 'git clone file://', value: wall('git') };
    yield {
      name: 'clone, sidechannel',
      value: wall('sidechannel'),
      unit: 'ms',
      reference: theirs,
      goal: WALL_GOAL,
    };
    yield {
      name: 'clone, HTTP gateway',
      value: wall('gateway'),
      unit: 'ms',
      reference: theirs,
      goal: WALL_GOAL,
    };
    yield {
      name: 'transfer alone, sidechannel',
      value: wall('sidechannel, sink'),
      unit: 'ms',
      reference: { name: 'git upload-pack', value: wall('git, sink') },
    };
    yield { name: 'server CPU, sidechannel', value: cpuPerGb('sidechannel'), unit: 'ms/GB', goal: CPU_GOAL };
    yield {
      name: 'server CPU, sidechannel into a sink',
      value: cpuPerGb('sidechannel, sink'),
      unit: 'ms/GB',
    };
    yield {
      name: 'server and gateway CPU, HTTP',
      value: cpuPerGb('gateway'),
      unit: 'ms/GB',
      note: 'both in one process: two copies of every byte',
    };
  },
};

function cloned(workshop: Workshop, url: string, pid?: number): () => Promise<Clone> {
  const target = join(workshop.directory, 'clone.git');
  return async () => {
    const clone = await measured(pid, () => runProgram('git', ['clone', '--quiet', '--bare', url, target]));
    rmSync(target, { recursive: true });
    return clone;
  };
}

async function measured(pid: number | undefined, run: () => Promise<unknown>): Promise<Clone> {
  const before = pid === undefined ? 0 : cpuTime(pid).ownMs;
  const wallMs = await timed(run);
  return { wallMs, serverCpuMs: pid === undefined ? 0 : cpuTime(pid).ownMs - before };
}

export interface PostedFetch {
  /** The body of the POST. */
  readonly request: Buffer;
  /** Fetches everything and writes the pack. */
  into(pack: Writable): Promise<void>;
  /** Closes the connection and returns the size of the response. */
  close(): Promise<number>;
}

/**
 * Returns a fetch of a whole repository by PostUploadPackWithSidechannel. It uses protocol v0
 * without side bands, so the response is a NAK followed by the pack.
 */
export async function postedFetch({ path, wire }: StoredRepository, socket: string): Promise<PostedFetch> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(`unix:${socket}`, registry);
  const want = `want ${await git(path, ['rev-parse', 'main'])} ofs-delta no-progress\n`;
  const request = Buffer.from(`${packet(want)}0000${packet('done\n')}`);
  let bytes = 0;
  return {
    request,
    into: async (pack) => {
      bytes = 0;
      const stdout = withoutNak((length) => {
        bytes += length;
      });
      stdout.pipe(pack);
      await postUploadPack(connection, registry, { stdin: chunksOf(request), stdout }, { repository: wire });
      stdout.end();
      await once(pack, 'finish');
    },
    close: async () => {
      await connection.close();
      return bytes;
    },
  };
}

const NAK = packet('NAK\n');

function withoutNak(count: (bytes: number) => void): Transform {
  let skip = NAK.length;
  return new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      const data = chunk.subarray(skip);
      skip -= chunk.length - data.length;
      count(data.length);
      done(null, data);
    },
  });
}

async function* chunksOf(body: Buffer): AsyncGenerator<Buffer> {
  yield body;
}

async function intoIndexPack(directory: string, fetch: (pack: Writable) => Promise<void>): Promise<void> {
  await runProgram('git', ['init', '--quiet', '--bare', directory]);
  const indexPack = spawn('git', ['-C', directory, 'index-pack', '--stdin'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const exited = once(indexPack, 'exit');
  await fetch(indexPack.stdin);
  if ((await exited)[0] !== 0) throw new Error('git index-pack refused what came');
  rmSync(directory, { recursive: true });
}

async function uploadPackIntoSink(path: string, request: Buffer): Promise<void> {
  const uploadPack = spawn('git', ['upload-pack', '--stateless-rpc', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  uploadPack.stdin.end(request);
  uploadPack.stdout.pipe(sink());
  await once(uploadPack, 'close');
}
