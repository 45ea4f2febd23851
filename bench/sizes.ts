import { setTimeout as delay } from 'node:timers/promises';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { RepositoryService } from '#wire/gen/repository_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { git, runProgram } from './lib/run-program.ts';

const PACKS = 20;
const LOOSE_OBJECTS = 5000;
/** git keeps the objects of an import in a pack if there are more than this. */
const UNPACK_LIMIT = 'fastimport.unpackLimit';

/** Maintenance would pack the objects. */
const NO_MAINTENANCE = '[housekeeping]\nautomatic = false\n[daily_maintenance]\ndisabled = true\n';

/** Directories that changed a moment ago are read again at each call. */
const SETTLE_MS = 3000;

const { repositoryInfo, repositorySize } = RepositoryService.method;

/** Measures RPCs that add up the files of a repository, compared with `du`. */
export const bench: Bench = {
  name: 'sizes',
  question: 'RepositorySize and RepositoryInfo with 20 packs and 5,000 loose objects, against du -sk',
  async *run(workshop) {
    const { path, wire: repository } = await workshop.repository('small');
    for (let pack = 0; pack < PACKS; pack++) await importBlobs(path, [`pack ${pack}`], 0);
    const loose = Array.from({ length: LOOSE_OBJECTS }, (_, object) => `loose ${object}`);
    await importBlobs(path, loose, LOOSE_OBJECTS + 1);
    const channel = connectGrpc(await (await workshop.server(NO_MAINTENANCE)).connect());
    await delay(SETTLE_MS);
    const samples = await takeTurns(workshop.quick ? 5 : 20, {
      size: () => timed(() => drained(channel.invoke(callable(repositorySize), [{ repository }]))),
      information: () => timed(() => drained(channel.invoke(callable(repositoryInfo), [{ repository }]))),
      du: () => timed(() => runProgram('du', ['-sk', path])),
    });
    channel.destroy();
    const reference = { name: 'du -sk', value: median(samples.du) };
    const goal = { of: 'ratio', atMost: 0.5 } as const;
    yield { name: 'RepositorySize', value: median(samples.size), unit: 'ms', reference, goal };
    yield { name: 'RepositoryInfo', value: median(samples.information), unit: 'ms', reference, goal };
  },
};

/** Stores blobs as loose objects, or in a pack if there are `unpackLimit` or more. */
async function importBlobs(path: string, texts: readonly string[], unpackLimit: number): Promise<void> {
  const input = texts.map((text) => `blob\ndata ${text.length}\n${text}\n`).join('');
  await git(path, ['-c', `${UNPACK_LIMIT}=${unpackLimit}`, 'fast-import', '--quiet'], { input });
}

async function drained(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}
