import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, getPriority, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { type Bench, median, quantile } from './lib/bench.ts';
import { fetchRequest } from './lib/fetch-request.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';
import { findCommit } from './unary-calls.ts';

const REPOSITORIES = 200;
const CLONES = 64;
/** Interval between calls, which do not wait for each other. */
const PACE_MS = 20;
const SETTLE_MS = 500;

/** Measures how long calls on other repositories take while one is cloned many times at once. */
export const bench: Bench = {
  name: 'flood',
  question: `FindCommit on ${REPOSITORIES} repositories beside ${CLONES} clones of another`,
  async *run(workshop) {
    const flooded = await workshop.repository(workshop.quick ? '20mb' : '250mb');
    const others: StoredRepository[] = [];
    for (let index = 0; index < REPOSITORIES; index++)
      others.push(await workshop.repository('20-commits', `other-${index}.git`));
    const oid = await git(flooded.path, ['rev-parse', 'main']);
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    const calls = others.map(({ wire }) => findCommit(wire));
    const windowMs = workshop.quick ? 4000 : 10_000;
    await latencies(channel, calls, windowMs);

    const samples: Record<'quiet' | 'identical' | 'different', number[][]> = {
      quiet: [],
      identical: [],
      different: [],
    };
    for (let round = 0; round < (workshop.quick ? 2 : 5); round++) {
      samples.quiet.push(await latencies(channel, calls, windowMs));
      for (const kind of ['identical', 'different'] as const) {
        const flood = await startFlood(kind, { socket: server.socket, repository: flooded, oid });
        try {
          samples[kind].push(await latencies(channel, calls, windowMs));
        } finally {
          flood.kill('SIGKILL');
          await once(flood, 'exit');
        }
        // The server ends the packs of clients that have gone.
        await delay(SETTLE_MS);
      }
    }
    channel.destroy();
    const of = (kind: keyof typeof samples, share: number): number =>
      median(samples[kind].map((sample) => quantile(sample, share)));
    for (const kind of ['identical', 'different'] as const)
      yield {
        name: `FindCommit p99 beside ${CLONES} ${kind} clones`,
        value: of(kind, 0.99),
        unit: 'ms',
        reference: { name: 'quiet', value: of('quiet', 0.99) },
        goal: { of: 'ratio', atMost: 3 },
        note: `p50 ${of(kind, 0.5).toFixed(2)} ms, quiet ${of('quiet', 0.5).toFixed(2)} ms`,
      };
  },
};

type Calls = readonly ((channel: GrpcChannel) => Promise<void>)[];

/** Starts a call every {@link PACE_MS}, each on the next repository. Returns their milliseconds. */
export async function latencies(channel: GrpcChannel, calls: Calls, windowMs: number): Promise<number[]> {
  const taken: number[] = [];
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let index = 0; index * PACE_MS < windowMs; index++) {
    const due = start + index * PACE_MS;
    const waitMs = due - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const call = calls[index % calls.length];
    const before = performance.now();
    if (call !== undefined)
      running.push(call(channel).then(() => void taken.push(performance.now() - before)));
  }
  await Promise.all(running);
  return taken;
}

interface Flooded {
  readonly socket: string;
  readonly repository: StoredRepository;
  readonly oid: string;
}

/** Starts the clones, in a separate process. Resolves when packs are being made. */
async function startFlood(kind: string, { socket, repository, oid }: Flooded): Promise<ChildProcess> {
  const options = [kind, socket, repository.wire.relativePath, oid];
  const child = fork(import.meta.filename, ['clones', ...options], { execArgv: ['--conditions=source'] });
  // The clients represent other machines, which would not take the processor from the calls.
  if (child.pid !== undefined)
    setPriority(child.pid, getPriority() + constants.priority.PRIORITY_BELOW_NORMAL);
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the clones ended with ${code}`))),
  ]);
  await delay(SETTLE_MS);
  return child;
}

async function cloneForEver([kind, socket, relativePath, oid]: readonly string[]): Promise<void> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(`unix:${socket}`, registry);
  const repository = { storageName: 'default', relativePath: relativePath ?? '' };
  let depth = 100_000;
  const one = async (): Promise<void> => {
    const more = kind === 'different' ? [`deepen ${depth++}`] : [];
    const stdin = (async function* () {
      yield fetchRequest(oid ?? '', more);
    })();
    await postUploadPack(
      connection,
      registry,
      { stdin, stdout: sink() },
      { repository, gitProtocol: 'version=2' },
    );
  };
  const loop = async (): Promise<never> => {
    for (;;) await one();
  };
  const loops = Array.from({ length: CLONES }, loop);
  process.send?.('begun');
  await Promise.all(loops);
}

const [role, ...options] = process.argv.slice(2);
if (process.send !== undefined && role === 'clones') await cloneForEver(options);
