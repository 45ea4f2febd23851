import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { fetchRequest } from './lib/fetch-request.ts';
import { cpuDuring } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';

const CLONES = 32;
const SMALL_CLONES = 100;
const CACHE = '[pack_objects_cache]\nenabled = true\nmin_occurrences = 0\n';

/** Identical clones at once, with one git process for all of them. */
export const bench: Bench = {
  name: 'shared-clones',
  question: `${CLONES} identical clones at once of a repository that was never repacked, against one clone`,
  async *run(workshop) {
    const repository = await workshop.repository(workshop.quick ? '20mb' : '250mb');
    makeLoose(repository.path);
    const [off, on] = [await workshop.server(), await workshop.server(CACHE)];
    const clients = { off: await clientOf(off.socket), on: await clientOf(on.socket) };
    // First, so that the code of both servers is warm.
    yield await smallClones(workshop, clients);
    const oid = await git(repository.path, ['rev-parse', 'main']);
    const clone = async (server: 'off' | 'on', count: number) => {
      const { pid } = server === 'off' ? off : on;
      let wallMs = 0;
      const { childrenMs } = await cpuDuring(pid, async () => {
        wallMs = await timed(() =>
          Promise.all(Array.from({ length: count }, () => clients[server](repository, fetchRequest(oid)))),
        );
      });
      return { wallMs, gitMs: childrenMs };
    };
    // The page cache is warm for all of them.
    await clone('off', 1);
    const one = await clone('off', 1);
    const shared = await clone('off', CLONES);
    const cached = await clone('on', CLONES);
    const again = await clone('on', 1);

    const wall = { name: 'one clone', value: one.wallMs };
    const cpu = { name: 'one clone', value: one.gitMs };
    const row = (name: string, value: number, reference: typeof wall, atMost?: number) => ({
      name,
      value,
      unit: 'ms',
      reference,
      ...(atMost !== undefined && { goal: { of: 'ratio', atMost } as const }),
    });
    yield row(`${CLONES} clones, cache on`, cached.wallMs, wall, 1.5);
    yield row(`CPU of git, cache on`, cached.gitMs, cpu, 1.3);
    yield row(`${CLONES} clones, cache off`, shared.wallMs, wall, 2.5);
    yield row(`CPU of git, cache off`, shared.gitMs, cpu, 2);
    yield row('a later clone, cache on', again.wallMs, wall);
  },
};

/** Clones a small repository with ever different depths, so that none was made before. */
async function smallClones(workshop: Workshop, clients: Record<'off' | 'on', Client>) {
  const small = await workshop.repository('20-commits');
  const oid = await git(small.path, ['rev-parse', 'main']);
  let depth = 1000;
  const clones = (server: 'off' | 'on') => async () => {
    const times: number[] = [];
    for (let count = 0; count < 10; count++)
      times.push(await timed(() => clients[server](small, fetchRequest(oid, [`deepen ${depth++}`]))));
    return times;
  };
  const samples = await takeTurns(SMALL_CLONES / 10, { off: clones('off'), on: clones('on') });
  return {
    name: 'clone of 20 commits, cache on',
    value: median(samples.on.flat()),
    unit: 'ms',
    reference: { name: 'cache off', value: median(samples.off.flat()) },
    goal: { of: 'ratio', atMost: 1.05 } as const,
  };
}

type Client = (repository: StoredRepository, body: Buffer) => Promise<void>;

async function clientOf(socket: string): Promise<Client> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(`unix:${socket}`, registry);
  return async ({ wire }, body) => {
    const io = {
      stdin: (async function* () {
        yield body;
      })(),
      stdout: sink(),
    };
    await postUploadPack(connection, registry, io, { repository: wire, gitProtocol: 'version=2' });
  };
}

/** Unpacks everything, as if it had come in small pushes: git has to search for deltas again. */
function makeLoose(path: string): void {
  const packs = join(path, 'objects/pack');
  const aside = join(path, 'packs');
  renameSync(packs, aside);
  for (const name of readdirSync(aside).filter((each) => each.endsWith('.pack'))) {
    const pack = openSync(join(aside, name), 'r');
    execFileSync('git', ['-C', path, 'unpack-objects', '-q'], { stdio: [pack, 'ignore', 'inherit'] });
    closeSync(pack);
  }
  rmSync(aside, { recursive: true });
}
