import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { type Connection, dial, receivePack } from '#client/index';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { cpuTime } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { GIT_ENVIRONMENT, git } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';

/**
 * Our server's git settings. By default git flushes neither loose objects nor references to the
 * disk before it returns.
 */
const SERVER_FSYNC = [
  ['core.fsync', 'objects,derived-metadata,reference'],
  ['core.fsyncMethod', 'fsync'],
] as const;

/** Milliseconds of a push, and its cost for the server. */
interface Push {
  readonly wallMs: number;
  readonly serverCpuMs: number;
}

/** Measures a push of one commit, compared with a push to a directory. */
export const bench: Bench = {
  name: 'push',
  question:
    'git push of one commit through the HTTP gateway and through SSHReceivePack, against git push to a ' +
    'file:// URL',
  async *run(workshop) {
    const local = await workshop.repository('small', 'client.git');
    const plain = await workshop.repository('small', 'plain.git');
    const durable = await workshop.repository('small', 'durable.git');
    for (const [key, value] of SERVER_FSYNC) await git(durable.path, ['config', key, value]);
    const served = await workshop.repository('small', 'served.git');
    await workshop.repository('small', 'behind-gateway.git');
    const server = await workshop.server();
    const gateway = await workshop.gateway();
    await using connection = await dial(`unix:${server.socket}`);

    const toUrl = (branch: string, url: string, pid?: number) => () =>
      pushed(local, branch, pid, () => git(local.path, ['push', '--quiet', url, branch]));
    const candidates = {
      git: toUrl('to-plain', `file://${plain.path}`),
      durable: toUrl('to-durable', `file://${durable.path}`),
      gateway: toUrl('to-gateway', `${gateway.url}/behind-gateway.git`, gateway.pid),
      ssh: () =>
        pushed(local, 'to-ssh', server.pid, () => pushBySsh(local.path, 'to-ssh', connection, served)),
    };
    yield* clientAlone(workshop, { http: `${gateway.url}/behind-gateway.git`, file: `file://${plain.path}` });
    await takeTurns(2, candidates);
    const samples = await takeTurns(workshop.quick ? 5 : 25, candidates);
    const wall = (name: keyof typeof samples): number => median(samples[name].map(({ wallMs }) => wallMs));
    for (const [name, key] of [
      ['HTTP gateway', 'gateway'],
      ['SSHReceivePack', 'ssh'],
    ] as const) {
      const value = wall(key);
      const cpuMs = samples[key].reduce((sum, { serverCpuMs }) => sum + serverCpuMs, 0) / samples[key].length;
      yield {
        name: `push, ${name}`,
        value,
        unit: 'ms',
        reference: { name: 'git push file://', value: wall('git') },
        goal: { of: 'ratio', atMost: 1.5 },
        note: `${cpuMs.toFixed(1)} ms CPU of the server per push`,
      };
      yield {
        name: `push, ${name}, equally durable`,
        value,
        unit: 'ms',
        reference: { name: "file:// with the server's core.fsync", value: wall('durable') },
      };
    }
  },
};

/**
 * Yields the cost of HTTP for the client: it starts git-remote-http, which loads libcurl, and sends
 * two requests. A push by HTTP contains it, whatever the server does.
 */
async function* clientAlone(
  { quick }: Workshop,
  urls: Readonly<Record<'http' | 'file', string>>,
): AsyncGenerator<Measurement> {
  const list = (url: string) => () => timed(() => git('.', ['ls-remote', url]));
  const samples = await takeTurns(quick ? 5 : 25, { http: list(urls.http), file: list(urls.file) });
  yield {
    name: 'ls-remote, HTTP gateway',
    value: median(samples.http),
    unit: 'ms',
    reference: { name: 'git ls-remote file://', value: median(samples.file) },
    note: 'the difference is the start of the client’s git-remote-http, which every push by HTTP pays',
  };
}

/**
 * Makes a commit on a separate branch for each candidate, and pushes it. Only the push is measured.
 */
export async function pushed(
  { path }: StoredRepository,
  branch: string,
  pid: number | undefined,
  push: () => Promise<unknown>,
): Promise<Push> {
  const parent = await git(path, ['rev-parse', '--verify', '--quiet', branch]).catch(() => 'main');
  const commit = await git(path, [
    'commit-tree',
    '-p',
    parent,
    '-m',
    `change at ${performance.now()}`,
    'main^{tree}',
  ]);
  await git(path, ['update-ref', `refs/heads/${branch}`, commit]);
  const before = pid === undefined ? 0 : cpuTime(pid).ownMs;
  const wallMs = await timed(push);
  return { wallMs, serverCpuMs: pid === undefined ? 0 : cpuTime(pid).ownMs - before };
}

/**
 * Pushes through sockets that git inherits (`fd::`) and that are connected to the call: like
 * gitaly-ssh, without its start.
 *
 * @param refspec a branch, or any other refspec
 */
export async function pushBySsh(
  path: string,
  refspec: string,
  connection: Connection,
  { wire }: StoredRepository,
): Promise<void> {
  const client = spawn('git', ['-C', path, 'push', '--quiet', 'fd::3,4', refspec], {
    env: { ...process.env, ...GIT_ENVIRONMENT },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
  });
  const exited = once(client, 'exit');
  const [, , , toGit, fromGit] = client.stdio;
  if (!(toGit instanceof Duplex && fromGit instanceof Duplex)) throw new Error('no sockets to git');
  const streams = { stdin: fromGit, stdout: toGit, stderr: sink() };
  await receivePack(connection, streams, {
    repository: wire,
    glId: 'user-1',
    glRepository: wire.glRepository,
  });
  toGit.end();
  const [code] = await exited;
  if (code !== 0) throw new Error(`git push ended with ${code}`);
}
