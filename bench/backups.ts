import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { S3Client } from '@aws-sdk/client-s3';
import { dial } from '#client/index';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring, cpuTime, resetPeak, residentMb } from './lib/process-usage.ts';
import { git } from './lib/run-program.ts';
import type { ServerProcess } from './lib/server-process.ts';
import type { Workshop } from './lib/workshop.ts';

const PROGRAM = join(import.meta.dirname, '../bin/gitaly-ts');
const POLL_MS = 20;
const MIB = 1024 * 1024;
/** Repositories for which plain git makes bundles: for all of them it would take too long. */
const PLAIN = 200;

/** Measures backups of many small repositories to a directory, and of a large one to S3. */
export const bench: Bench = {
  name: 'backups',
  question:
    'backups of 1,000 repositories of 20 commits (BENCH_REPOSITORIES=10000) and of 1 GB to S3, ' +
    'compared with git bundle create; memory of server and tool',
  async *run(workshop) {
    yield* manyRepositories(workshop);
    yield* largeRepository(workshop);
  },
};

async function* manyRepositories(workshop: Workshop): AsyncGenerator<Measurement> {
  const count = Number(process.env.BENCH_REPOSITORIES || (workshop.quick ? 100 : 1000));
  const paths: string[] = [];
  for (let index = 0; index < count; index++)
    paths.push((await workshop.repository('20-commits', `${index}.git`)).path);
  const server = await workshop.server();
  const idleMb = await idleMemory(server);
  const bucket = join(workshop.directory, 'backups');
  const to = `${pathToFileURL(bucket)}?create_dir=true`;

  const plainStart = performance.now();
  for (const [index, path] of paths.slice(0, PLAIN).entries())
    await git(path, ['bundle', 'create', '--quiet', join(workshop.directory, `${index}.bundle`), '--all']);
  const plainMs = (performance.now() - plainStart) / Math.min(count, PLAIN);

  const full = await backUp(server, to);
  await backUp(server, to, '--incremental');
  const again = await backUp(server, to, '--incremental');
  yield {
    name: `backup of a repository of 20 commits, ${count} of them`,
    value: full.wallMs / count,
    unit: 'ms',
    reference: { name: 'git bundle create, one by one', value: plainMs },
    note: `${(full.wallMs / 1000).toFixed(1)} s in all; ${cpuNote(full, count)}`,
  };
  yield {
    name: 'incremental, nothing new, per repository',
    value: again.wallMs / count,
    unit: 'ms',
    goal: { of: 'value', atMost: 5 },
    note: cpuNote(again, count),
  };
  yield* memory(`${count} repositories`, residentMb(server.pid).peak - idleMb, full.toolMb);
  await server.stop();
  for (const path of [...paths, bucket]) rmSync(path, { recursive: true });
}

async function* largeRepository(workshop: Workshop): AsyncGenerator<Measurement> {
  const s3 = await startS3Server();
  if (s3 === undefined) return console.error('  no Go: no server of S3');
  await using _s3 = s3;
  const url = await s3.createBucket();
  const { path, wire } = await workshop.repository(workshop.quick ? '250mb' : '1gb');
  const server = await workshop.server(`[backup]\ngo_cloud_url = "${url}"\n`);
  await using connection = await dial(`unix:${server.socket}`);
  await backUp(server, url, '--id', 'warm');
  const idleMb = await idleMemory(server);
  const client = await s3Client(s3.port);
  const bundle = join(workshop.directory, 'plain.bundle');
  let toolMb = 0;

  const samples = await takeTurns(workshop.quick ? 1 : 3, {
    rpc: () =>
      timed(() =>
        connection.repository.backupRepository({
          ...{ repository: wire, vanityRepository: wire, backupId: 'rpc', incremental: false },
        }),
      ),
    tool: async (round) => {
      const { wallMs, toolMb: mb } = await backUp(server, url, '--id', `tool-${round}`);
      toolMb = Math.max(toolMb, mb);
      return wallMs;
    },
    plain: () =>
      timed(async () => {
        await git(path, ['bundle', 'create', '--quiet', bundle, '--all']);
        await copyFile(client, bundle, new URL(url).hostname);
      }),
  });
  client.destroy();
  const reference = { name: 'git bundle create, copy by the SDK', value: median(samples.plain) };
  for (const [name, times] of [
    ['BackupRepository to S3', samples.rpc],
    ['gitaly-ts backup to S3', samples.tool],
  ] as const) {
    const goal = { of: 'ratio', atMost: 1.3 } as const;
    yield { name: `${name}, ${megabytes(bundle)} MB`, value: median(times), unit: 'ms', reference, goal };
  }
  yield* memory('one large repository', residentMb(server.pid).peak - idleMb, toolMb);
}

function* memory(of: string, serverMb: number, toolMb: number): Generator<Measurement> {
  const limit = (mebibytes: number) => ({ of: 'value', atMost: (mebibytes * MIB) / 1e6 }) as const;
  yield { name: `server above idle, ${of}`, value: serverMb, unit: 'MB', goal: limit(64) };
  yield { name: `tool, ${of}`, value: toolMb, unit: 'MB', goal: limit(150) };
}

/** Returns the resident memory of a server that has nothing to do, and begins its peak anew. */
async function idleMemory(server: ServerProcess): Promise<number> {
  const connection = await dial(`unix:${server.socket}`);
  await connection.server.serverInfo({});
  await connection.close();
  resetPeak(server.pid);
  return residentMb(server.pid).now;
}

interface Run {
  readonly wallMs: number;
  /** Peak of the program, and CPU time of it and of the server with its gits. */
  readonly toolMb: number;
  readonly toolCpuMs: number;
  readonly serverCpuMs: number;
}

/** Backs up the storage `default` with the program. */
async function backUp(server: ServerProcess, to: string, ...options: string[]): Promise<Run> {
  const args = ['backup', `unix:${server.socket}`, '--to', to, ...options];
  let [toolMb, toolCpuMs, wallMs] = [0, 0, 0];
  const { ownMs, childrenMs } = await cpuDuring(server.pid, async () => {
    const start = performance.now();
    const child = spawn(PROGRAM, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const errors: Buffer[] = [];
    child.stderr.on('data', (text: Buffer) => errors.push(text));
    const poll = setInterval(() => {
      const facts = child.pid === undefined ? undefined : factsOf(child.pid);
      [toolMb, toolCpuMs] = [Math.max(toolMb, facts?.peak ?? 0), facts?.cpuMs ?? toolCpuMs];
    }, POLL_MS);
    const [code] = await once(child, 'close');
    wallMs = performance.now() - start;
    clearInterval(poll);
    if (code !== 0) throw new Error(`gitaly-ts backup ended with ${code}: ${Buffer.concat(errors)}`);
  });
  return { wallMs, toolMb, toolCpuMs, serverCpuMs: ownMs + childrenMs };
}

/** Returns `undefined` for a process that is ending: it has no memory any more. */
function factsOf(pid: number): { peak: number; cpuMs: number } | undefined {
  try {
    const [{ peak }, { ownMs }] = [residentMb(pid), cpuTime(pid)];
    return Number.isNaN(peak) ? undefined : { peak, cpuMs: ownMs };
  } catch {
    return undefined; // it has ended
  }
}

function cpuNote({ serverCpuMs, toolCpuMs }: Run, count: number): string {
  const each = (ms: number): string => `${(ms / count).toFixed(1)} ms`;
  return `CPU of the server and git ${each(serverCpuMs)}, of the tool with its start ${each(toolCpuMs)}`;
}

async function s3Client(port: number): Promise<S3Client> {
  const { S3Client } = await import('@aws-sdk/client-s3');
  return new S3Client({ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true });
}

async function copyFile(client: S3Client, path: string, Bucket: string): Promise<void> {
  const { PutObjectCommand } = await import('@aws-sdk/client-s3');
  const Body = createReadStream(path);
  const ContentLength = statSync(path).size;
  await client.send(new PutObjectCommand({ Bucket, Key: 'plain', Body, ContentLength }));
}

function megabytes(path: string): string {
  return (statSync(path).size / 1e6).toFixed(0);
}
