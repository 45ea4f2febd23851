import { join } from 'node:path';
import { type Bench, type Measurement, median, takeTurns } from './lib/bench.ts';
import { fetchRequest } from './lib/fetch-request.ts';
import { type Fetching, startFetching } from './lib/large-work.ts';
import { treeTime } from './lib/process-tree.ts';
import { git } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

const ROUNDS = 9;
/** Calls of one server in a round; each is of another commit. */
const CALLS = 6;
const WARM_UP_CALLS = 60;
const NEW_COMMITS = 10;

/** The commits of the first line of a history, the newest first, and files of the newest. */
interface History {
  readonly commits: readonly string[];
  readonly files: readonly string[];
}

/** Requests as the jobs of a pipeline and partial clones send them. */
const REQUESTS: Readonly<Record<string, (history: History, index: number) => Buffer>> = {
  'depth 1': ({ commits }, index) => fetchRequest(at(commits, index), ['deepen 1']),
  'depth 20': ({ commits }, index) => fetchRequest(at(commits, index), ['deepen 20']),
  [`${NEW_COMMITS} new commits`]: ({ commits }, index) =>
    fetchRequest(at(commits, index), ['thin-pack', `have ${at(commits, index + NEW_COMMITS)}`]),
  'depth 1 again, one commit later': ({ commits }, index) => {
    const have = at(commits, index + 1);
    return fetchRequest(at(commits, index), ['thin-pack', `shallow ${have}`, `have ${have}`, 'deepen 1']);
  },
  'clone without files': ({ commits }, index) => fetchRequest(at(commits, index), ['filter blob:none']),
  'clone without directories': ({ commits }, index) => fetchRequest(at(commits, index), ['filter tree:0']),
  'a file by its id': ({ files }, index) => fetchRequest(at(files, index), ['filter blob:none']),
};

function at(items: readonly string[], index: number): string {
  return items[index % items.length] ?? '';
}

/** Measures fetches that are not whole clones, compared with git in a server of the same kind. */
export const bench: Bench = {
  name: 'fetches',
  question:
    "CPU of shallow, partial and small fetches of this project's history (BENCH_REPO=PATH: of another " +
    'one), against a server that starts git for each',
  async *run(workshop) {
    const source = process.env.BENCH_REPO ?? join(import.meta.dirname, '..');
    const repository = await workshop.copyOf(source);
    await git(repository.path, ['-c', 'pack.writeReverseIndex=true', 'repack', '-adbq']);
    const list = async (...args: string[]): Promise<string[]> =>
      (await git(repository.path, args)).split('\n');
    const history = {
      commits: await list('rev-list', '--first-parent', '--max-count=400', 'HEAD'),
      files: (await list('ls-tree', '-r', 'HEAD')).map((line) => line.split(/\s/)[2] ?? ''),
    };
    const servers = [await workshop.server(), await workshop.server('[git]\nin_process = false\n')] as const;
    const fetching = await Promise.all(servers.map(({ socket }) => startFetching(`unix:${socket}`)));
    const [ours, gits] = servers.map(({ pid }, number) => ({ pid, fetching: fetching[number] }));
    for (const [name, request] of Object.entries(REQUESTS)) {
      let index = 0;
      const cpuOf =
        (server: { readonly pid: number; readonly fetching: Fetching | undefined } | undefined) =>
        async (): Promise<number> => {
          const before = treeTime(server?.pid ?? 0);
          const start = index;
          for (; index < start + CALLS; index++)
            await server?.fetching?.post(repository, request(history, index));
          return (treeTime(server?.pid ?? 0) - before) / CALLS;
        };
      yield await measure(workshop, name, { ours: cpuOf(ours), git: cpuOf(gits) });
    }
    await Promise.all(fetching.map((each) => each[Symbol.asyncDispose]()));
  },
};

async function measure(
  workshop: Workshop,
  name: string,
  candidates: Readonly<Record<'git' | 'ours', () => Promise<number>>>,
): Promise<Measurement> {
  for (let calls = 0; calls < (workshop.quick ? CALLS : WARM_UP_CALLS); calls += CALLS)
    await candidates.ours();
  const samples = await takeTurns(workshop.quick ? 3 : ROUNDS, candidates);
  return {
    name,
    value: median(samples.ours),
    unit: 'ms CPU/call',
    reference: { name: 'with git', value: median(samples.git) },
    goal: { of: 'ratio', atMost: 1 },
  };
}
