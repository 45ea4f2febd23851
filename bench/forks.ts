import { statfs } from 'node:fs/promises';
import { dial } from '#client/index';
import { Repository } from '#client/repository/index';
import { syncTree } from '#storage/lifecycle/sync-tree';
import { type Bench, type Measurement, median, timed } from './lib/bench.ts';

import type { Workshop } from './lib/workshop.ts';

const CLIENTS = 16;
/** After this time an unchanged state of references is trusted. */
const SETTLED_MS = 2_500;

/** Measures forks that borrow the objects of their source. */
export const bench: Bench = {
  name: 'forks',
  question: 'forks of 250 MB that borrow their objects: the first, each further one, and their disk space',
  async *run(workshop) {
    const source = await workshop.repository(workshop.quick ? '20mb' : '250mb', 'source.git');
    // Else the first fork would write what has just been made to the disk.
    await syncTree(source.path);
    const { socket } = await workshop.server();
    await using connection = await dial(`unix:${socket}`);
    const repository = new Repository(connection, { path: 'source.git' });
    let made = 0;
    const fork = (): Promise<unknown> => repository.fork(`forks/${made++}.git`);

    yield { name: 'first fork: makes the pool', value: await timed(fork), unit: 'ms' };
    await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
    await fork();
    const rounds = workshop.quick ? 100 : 1000;
    const times: number[] = [];
    const before = await usedBytes(workshop);
    const together = await timed(async () => {
      for (let round = 0; round < rounds; round++) times.push(await timed(fork));
    });
    yield { name: 'fork', value: median(times), unit: 'ms', goal: { of: 'value', atMost: 20 } };
    yield timeOfEach('time of a fork, 1 client', together / rounds);
    const space = ((await usedBytes(workshop)) - before) / rounds;
    yield { name: 'disk per fork', value: space / 1024, unit: 'KiB' };

    const end = made + rounds;
    const concurrent = await timed(() =>
      Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          while (made < end) await fork();
        }),
      ),
    );
    yield timeOfEach(`time of a fork, ${CLIENTS} clients`, concurrent / rounds);
  },
};

/** Fifty forks per second. */
function timeOfEach(name: string, ms: number): Measurement {
  return { name, value: ms, unit: 'ms', goal: { of: 'value', atMost: 20 } };
}

async function usedBytes({ storage }: Workshop): Promise<number> {
  const { bsize, blocks, bfree } = await statfs(storage);
  return bsize * (blocks - bfree);
}
