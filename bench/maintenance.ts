import { dial } from '#client/index';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { git } from './lib/run-program.ts';

/** The commands of a run with everything, with the server's settings. */
const REPACK = ['repack', '--cruft', '--pack-kept-objects', '-l', '-d', '--write-midx'];
const PRUNE = ['prune', '--expire', '10.days.ago'];
const GRAPH = [
  ...['commit-graph', 'write', '--reachable', '--changed-paths'],
  ...['--size-multiple', '4', '--split=replace'],
];
const SETTINGS = [
  ...['repack.useDeltaIslands=true', 'repack.writeBitmaps=true', 'pack.writeBitmapLookupTable=true'],
  ...['pack.island=r(e)fs/heads', 'pack.island=r(e)fs/tags', 'pack.islandCore=e'],
  ...['pack.windowMemory=100m', 'pack.writeReverseIndex=true', 'pack.threads=1'],
  ...['core.fsync=objects,derived-metadata,reference', 'core.fsyncMethod=fsync'],
].flatMap((setting) => ['-c', setting]);

/** Measures maintenance, compared with the git commands that it runs. */
export const bench: Bench = {
  name: 'maintenance',
  question: 'OptimizeRepository that has nothing to do, and with work, against the git commands alone',
  async *run(workshop) {
    const served = await workshop.repository('50k-commits', 'served.git');
    const plain = await workshop.repository('50k-commits', 'plain.git');
    await using connection = await dial(`unix:${(await workshop.server()).socket}`);
    const repository = served.wire;
    const everything = () =>
      connection.repository.optimizeRepository({ repository, strategy: Strategy.EAGER });
    await everything();

    const idle = await takeTurns(workshop.quick ? 10 : 50, {
      nothing: () => timed(() => connection.repository.optimizeRepository({ repository })),
    });
    yield {
      name: 'OptimizeRepository, nothing to do',
      value: median(idle.nothing),
      unit: 'ms',
      goal: { of: 'value', atMost: 20 },
    };

    const samples = await takeTurns(workshop.quick ? 2 : 5, {
      server: () => timed(everything),
      alone: () =>
        timed(async () => {
          for (const command of [REPACK, PRUNE, GRAPH]) await git(plain.path, [...SETTINGS, ...command]);
        }),
    });
    yield {
      name: 'OptimizeRepository, everything',
      value: median(samples.server),
      unit: 'ms',
      reference: { name: 'git repack, prune, commit-graph', value: median(samples.alone) },
      goal: { of: 'ratio', atMost: 1.1 },
    };
  },
};
