import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { latencies } from './flood.ts';
import { type Bench, type Measurement, median, quantile } from './lib/bench.ts';
import { fetchRequest } from './lib/fetch-request.ts';
import { cpuDuring } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import { findCommit } from './unary-calls.ts';

const CLONES = 64;
/** Clones within a minute after which the server makes a bundle. */
const CLONES_FOR_BUNDLE = 5;
/** Time of a download from a bucket, in which the server does nothing: 64 at once have 1.6 GB/s. */
const DOWNLOAD_MS = 10_000;
const POLL_MS = 100;
const REPOSITORY = 'cloned.git';
const HEAD_BYTES = 16 * 1024;
const DELIMITER = Buffer.from('0001');

/** Measures clones that get most of their objects from a bundle. */
export const bench: Bench = {
  name: 'bundles',
  question: `CPU of ${CLONES} clones of 250 MB with bundles, against one without; FindCommit beside them`,
  async *run(workshop) {
    const { path } = await workshop.repository(workshop.quick ? '20mb' : '250mb', REPOSITORY);
    const other = await workshop.repository('20-commits', 'other.git');
    const oid = await git(path, ['rev-parse', 'main']);
    const server = await workshop.gateway({ bundles: true });
    const clones = await Clones.open(server.socket);
    for (let count = 0; count < CLONES_FOR_BUNDLE; count++) await clones.plain(oid);
    const chain = join(workshop.directory, `bundles/default/${REPOSITORY}/uri/chain.json`);
    while (!existsSync(chain)) await delay(POLL_MS);
    await delay(POLL_MS);
    const { bundles } = JSON.parse(readFileSync(chain, 'utf8')) as { bundles: { oid: string }[] };
    const have = bundles[0]?.oid ?? '';
    if ((await clones.urls()).length === 0) throw new Error('no bundle is offered: git is older than 2.40');

    const cpuOf = async (work: () => Promise<unknown>): Promise<number> => {
      const { ownMs, childrenMs } = await cpuDuring(server.pid, work);
      return ownMs + childrenMs;
    };
    const all = (work: () => Promise<unknown>) => Promise.all(Array.from({ length: CLONES }, work));
    const one = median([await cpuOf(() => clones.plain(oid)), await cpuOf(() => clones.plain(oid))]);
    const reference = { name: 'one clone without', value: one };
    let bytes = 0;
    yield {
      name: `CPU of ${CLONES} clones, bundles of a bucket`,
      value: await cpuOf(() =>
        all(async () => {
          bytes = await clones.bundled(oid, have);
        }),
      ),
      unit: 'ms',
      reference,
      goal: { of: 'ratio', atMost: 2 },
      note: `the fetch after the download has ${bytes} bytes`,
    };
    yield {
      name: `CPU of ${CLONES} clones, bundles of the gateway`,
      value: await cpuOf(() => all(() => clones.bundled(oid, have, download))),
      unit: 'ms',
      reference,
      note: `${CLONES} clones without bundles: ${await cpuOf(() => all(() => clones.plain(oid)))} ms`,
    };

    const load = () => startClones(server.socket, oid, have);
    yield await latencyBeside(connectGrpc(await server.connect()), other, { load, quick: workshop.quick });
  },
};

async function latencyBeside(
  channel: GrpcChannel,
  { wire }: StoredRepository,
  { load, quick }: { readonly load: () => Promise<ChildProcess>; readonly quick: boolean },
): Promise<Measurement> {
  const windowMs = quick ? 4000 : 10_000;
  const calls = [findCommit(wire)];
  const p99 = async (): Promise<number> => quantile(await latencies(channel, calls, windowMs), 0.99);
  await p99();
  const samples: { quiet: number[]; beside: number[] } = { quiet: [], beside: [] };
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    samples.quiet.push(await p99());
    const clones = await load();
    try {
      samples.beside.push(await p99());
    } finally {
      clones.kill('SIGKILL');
      await once(clones, 'exit');
    }
  }
  channel.destroy();
  return {
    name: `FindCommit p99 beside ${CLONES} clones with bundles`,
    value: median(samples.beside),
    unit: 'ms',
    reference: { name: 'quiet', value: median(samples.quiet) },
    goal: { of: 'ratio', atMost: 2 },
    note: `each clone downloads for ${DOWNLOAD_MS} ms, and another one follows`,
  };
}

type Send = (request: Buffer) => Promise<{ readonly head: string; readonly bytes: number }>;

/** The requests of git's clones, whose results are dropped. */
class Clones {
  /** Returns the start of the response, and its size. */
  readonly #send: Send;

  private constructor(send: Send) {
    this.#send = send;
  }

  static async open(socket: string): Promise<Clones> {
    const registry = new SidechannelRegistry();
    const connection = await dialSidechannel(`unix:${socket}`, registry);
    const repository = { storageName: 'default', relativePath: REPOSITORY };
    return new Clones(async (request) => {
      let [head, bytes] = ['', 0];
      const stdout = new Writable({
        highWaterMark: 256 * 1024,
        write(piece: Buffer, _encoding, done) {
          if (bytes < HEAD_BYTES) head += piece.toString('latin1', 0, HEAD_BYTES);
          bytes += piece.length;
          done();
        },
      });
      const stdin = (async function* () {
        yield request;
      })();
      const call = { repository, gitProtocol: 'version=2' };
      await postUploadPack(connection, registry, { stdin, stdout }, call);
      return { head, bytes };
    });
  }

  async plain(oid: string): Promise<void> {
    await this.#send(fetchRequest(oid));
  }

  /** Returns the addresses of the bundles. */
  async urls(): Promise<string[]> {
    const request = [textPacket('command=bundle-uri\n'), DELIMITER, FLUSH_PACKET];
    const { head } = await this.#send(Buffer.concat(request));
    return Array.from(
      head.matchAll(/bundle\.\w+\.uri=(http[^\s]+?)(?=\n?[0-9a-f]{4}bundle\.|\n?0000$)/g),
      ([, url = '']) => url,
    );
  }

  /** @returns the bytes of the fetch after the download. */
  async bundled(oid: string, have: string, work?: (url: string) => Promise<void>): Promise<number> {
    for (const url of await this.urls()) await work?.(url);
    return (await this.#send(fetchRequest(oid, [`have ${have}`]))).bytes;
  }
}

async function download(url: string): Promise<void> {
  const { body } = await fetch(url);
  for await (const _ of body ?? []);
}

/** Starts clones in a separate process, which represents other machines. */
async function startClones(...options: readonly string[]): Promise<ChildProcess> {
  const child = fork(import.meta.filename, ['bundled', ...options], { execArgv: ['--conditions=source'] });
  if (child.pid !== undefined)
    setPriority(child.pid, getPriority() + constants.priority.PRIORITY_BELOW_NORMAL);
  await once(child, 'message');
  return child;
}

async function cloneForEver([socket = '', oid = '', have = '']: readonly string[]): Promise<void> {
  const clones = await Clones.open(socket);
  process.send?.('begun');
  const loop = async (index: number): Promise<never> => {
    await delay((index / CLONES) * DOWNLOAD_MS);
    for (;;) await clones.bundled(oid, have, () => delay(DOWNLOAD_MS));
  };
  await Promise.all(Array.from({ length: CLONES }, (_, index) => loop(index)));
}

const [role, ...options] = process.argv.slice(2);
if (process.send !== undefined && role === 'bundled') await cloneForEver(options);
