import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Spent, Work } from './client-peer.ts';
import { type Bench, median, takeTurns } from './lib/bench.ts';

const PEER = join(import.meta.dirname, 'client-peer.ts');
const REFERENCE = 'grpc-js';
const GIB = 1 << 30;

/**
 * Measures the cost of a call for the client and the speed of a stream, compared with grpc-js
 * against the same server.
 */
export const bench: Bench = {
  name: 'client-calls',
  question:
    'CPU of the client library for a unary call, its time for a stream of 1 GiB, beside grpc-js on the ' +
    'same server',
  async *run({ quick }) {
    const directory = mkdtempSync(join(tmpdir(), 'client-calls-'));
    const socket = join(directory, 'server.sock');
    await using _server = await start('serve', socket);
    await using ours = await start('ours', socket);
    await using bare = await start('bare', socket);
    await using rails = await start('rails', socket);
    await using grpcJs = await start('grpc-js', socket);
    const compare = async (work: Work, rounds: number): Promise<{ ours: Spent[]; grpcJs: Spent[] }> =>
      takeTurns(rounds, { ours: () => ours.ask(work), grpcJs: () => grpcJs.ask(work) });

    try {
      const calls = quick ? 2000 : 20_000;
      for (const width of [1, 16]) {
        const work = { kind: 'unary', calls, width } as const;
        await compare({ ...work, calls: calls / 2 }, 1);
        const spent = await compare(work, quick ? 1 : 3);
        yield {
          name: `unary call, ${width} at a time`,
          value: cpuPerCall(spent.ours, calls),
          unit: 'us CPU',
          reference: { name: REFERENCE, value: cpuPerCall(spent.grpcJs, calls) },
          goal: { of: 'ratio', atMost: 0.6 },
        };
      }
      const work = { kind: 'unary', calls, width: 16 } as const;
      await takeTurns(1, { bare: () => bare.ask(work), rails: () => rails.ask(work) });
      const both = await takeTurns(quick ? 2 : 5, {
        bare: () => bare.ask(work),
        rails: () => rails.ask(work),
      });
      yield {
        name: 'GitalyClient.call of a request, 16 at a time',
        value: cpuPerCall(both.rails, calls),
        unit: 'us CPU',
        reference: { name: 'bare client, same headers', value: cpuPerCall(both.bare, calls) },
        goal: { of: 'ratio', atMost: 1.15 },
      };
      const bytes = quick ? GIB / 8 : GIB;
      await compare({ kind: 'stream', bytes: GIB / 8 }, 1);
      const spent = await compare({ kind: 'stream', bytes }, quick ? 1 : 3);
      const time = (samples: Spent[], key: keyof Spent) =>
        (median(samples.map((sample) => sample[key])) * GIB) / bytes;
      yield {
        name: 'stream of 1 GiB',
        value: time(spent.ours, 'seconds'),
        unit: 's',
        reference: { name: REFERENCE, value: time(spent.grpcJs, 'seconds') },
        goal: { of: 'ratio', atMost: 1 / 1.5 }, // 1.5 × of its MB/s
        note:
          `client CPU ${time(spent.ours, 'cpuSeconds').toFixed(2)} s, ${REFERENCE} ` +
          `${time(spent.grpcJs, 'cpuSeconds').toFixed(2)} s`,
      };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

/** Returns the median CPU time of a call in microseconds. */
function cpuPerCall(samples: readonly Spent[], calls: number): number {
  return (median(samples.map(({ cpuSeconds }) => cpuSeconds)) / calls) * 1e6;
}

interface Peer extends AsyncDisposable {
  ask(work: Work): Promise<Spent>;
}

async function start(role: string, socket: string): Promise<Peer> {
  const child: ChildProcess = fork(PEER, [role, socket], { execArgv: ['--conditions=source'] });
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${role} ended`);
  });
  failed.catch(() => {}); // the caller that waits handles it
  await Promise.race([once(child, 'message'), failed]);
  return {
    ask: async (work) => {
      child.send(work);
      const [spent] = await Promise.race([once(child, 'message'), failed]);
      return spent;
    },
    [Symbol.asyncDispose]: async () => {
      child.disconnect();
      await failed.catch(() => {}); // it fails when the child ends
    },
  };
}
