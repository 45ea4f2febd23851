import { copyFileSync, linkSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { Bench } from './lib/bench.ts';
import { cpuDuring, residentMb } from './lib/process-usage.ts';
import { git } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';
import { type Call, findCommit } from './unary-calls.ts';

const COLD = 400;
const HOT = 1000;
const CLIENTS = 16;
/** Calls on one repository, and on others, that bring the server to its working state. */
const WARM_UP_CALLS = 4000;
const WARM_UP_REPOSITORIES = 800;

/** Measures FindCommit on repositories that were not read before. */
export const bench: Bench = {
  name: 'cold-repositories',
  question: `CPU of FindCommit over ${COLD} repositories that were not read before, and memory for ${HOT}`,
  async *run(workshop) {
    const count = workshop.quick ? 2000 : 10_000;
    const calls = await makeRepositories(workshop, count);
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    const [warm] = calls;
    if (warm === undefined) return;
    await callAll(channel, new Array<Call>(WARM_UP_CALLS).fill(warm));
    await callAll(channel, calls.slice(-WARM_UP_REPOSITORIES));
    const idle = residentMb(server.pid).now;
    const usPerCall = async (some: readonly Call[]): Promise<{ value: number; note: string }> => {
      const { ownMs, childrenMs } = await cpuDuring(server.pid, () => callAll(channel, some));
      const us = (ms: number): number => Math.round((ms * 1000) / some.length);
      return {
        value: us(ownMs + childrenMs),
        note: `server ${us(ownMs)} us, git reaped ${us(childrenMs)} us`,
      };
    };
    const cold = calls.slice(1, 1 + COLD);
    for (const pass of ['first', 'second']) {
      const goal = { of: 'value', atMost: 500 } as const;
      const measured = await usPerCall(cold);
      yield {
        name: `FindCommit, ${COLD} of ${count} repositories, ${pass} pass`,
        unit: 'us',
        goal,
        ...measured,
      };
    }
    const same = await usPerCall(new Array<Call>(WARM_UP_CALLS).fill(warm));
    yield { name: 'FindCommit, one repository', unit: 'us', ...same };
    for (let pass = 0; pass < 3; pass++) await callAll(channel, calls.slice(0, HOT));
    const value = residentMb(server.pid).now - idle;
    const goal = { of: 'value', atMost: 100 } as const;
    yield { name: `memory for ${HOT} of ${count} repositories`, value, unit: 'MB', goal };
    channel.destroy();
  },
};

/** Makes calls, a number of them at once, in their order. */
async function callAll(channel: GrpcChannel, calls: readonly Call[]): Promise<void> {
  const pending = calls.values();
  const client = async (): Promise<void> => {
    for (const call of pending) await call(channel);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

/** Creates repositories with the same pack, and returns a call for each. */
async function makeRepositories(workshop: Workshop, count: number): Promise<Call[]> {
  const template = await workshop.repository('20-commits', 'template.git');
  await git(template.path, ['repack', '-adq']);
  await git(template.path, ['pack-refs', '--all']);
  const packs = readdirSync(join(template.path, 'objects/pack'));
  return Array.from({ length: count }, (_, number) => {
    const relativePath = `${number % 100}/${number}.git`;
    const path = join(workshop.storage, relativePath);
    for (const name of ['objects/pack', 'refs']) mkdirSync(join(path, name), { recursive: true });
    for (const name of ['HEAD', 'config', 'packed-refs'])
      copyFileSync(join(template.path, name), join(path, name));
    for (const name of packs)
      linkSync(join(template.path, 'objects/pack', name), join(path, 'objects/pack', name));
    return findCommit({ storageName: 'default', relativePath, glRepository: relativePath });
  });
}
