/**
 * Measures a cluster of this project next to one of Gitaly's programs, in turns, and prints one
 * table. See bench/README.md.
 *
 *   npm run bench:peer-cluster -- --help
 */
import { dirname, resolve } from 'node:path';
import { dial } from '#client/index';
import { findProgram } from '#git/command/find-program';
import { startInternalApi } from '#testkit/servers/internal-api';
import { type Load, loads, type Target, target } from './cluster-calls.ts';
import { median, takeTurns } from './lib/bench.ts';
import { runClients, type Window } from './lib/clients.ts';
import type { PeerPrograms } from './lib/cluster-processes.ts';
import { fail, parseOptions } from './lib/peer-options.ts';
import { Workshop } from './lib/workshop.ts';

const NODES = 3;
const WARM_UP_MS = 2000;

const USAGE = `Usage: npm run bench:peer-cluster -- --gitaly FILE --praefect FILE [options]

Measure a cluster of three nodes next to one of Gitaly's programs, in turns; print one table.

Options:
  --gitaly FILE   the program of the other cluster's nodes
  --praefect FILE the other cluster's praefect
  --git FILE      the git that all nodes run (default: the first one in PATH)
  --seconds N     length of a window (default 2)
  --rounds N      windows of each row (default 5)
  --only WORD     only calls whose name contains the word
  -h, --help      print this help
`;

const OPTIONS = {
  gitaly: { type: 'string' },
  praefect: { type: 'string' },
  git: { type: 'string' },
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '5' },
  only: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const values = parseOptions(OPTIONS, USAGE);
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const [gitaly, praefect] = [values.gitaly, values.praefect];
if (gitaly === undefined || praefect === undefined)
  fail('Pass the other cluster with --gitaly and --praefect.', USAGE);
const git = resolve(values.git ?? findProgram('git'));
// The repositories are made by the same git.
process.env.PATH = `${dirname(git)}:${process.env.PATH}`;
const [rounds, windowMs] = [Number(values.rounds), Number(values.seconds) * 1000];

await using cleanUp = new AsyncDisposableStack();
const { url, secret } = cleanUp.use(await startInternalApi());
const settings = `[gitlab]\nurl = ${JSON.stringify(url)}\nsecret = ${JSON.stringify(secret)}\n`;
const workshop = cleanUp.use(new Workshop({ quick: false }));
const ours = await startSide(
  `${settings}[git]\nbin_path = ${JSON.stringify(git)}\n[housekeeping]\nautomatic = false\n`,
);
const theirs = await startSide(settings, { gitaly: resolve(gitaly), praefect: resolve(praefect), git });
console.log(
  '| call | clients | ours, calls/s | theirs, calls/s | ours ÷ theirs | p50, ms | CPU, ms | failed |\n' +
    `| ---${' | ---'.repeat(7)} |`,
);
for (const load of await loads(workshop)) {
  if (values.only !== undefined && !load.name.includes(values.only)) continue;
  for (const clients of load.clients) await measure(load, clients);
}

/** Starts a cluster. @param peer its programs; default this project's */
async function startSide(nodeSettings: string, peer?: PeerPrograms): Promise<Target> {
  const cluster = await workshop.cluster(NODES, { settings: nodeSettings, peer });
  const connection = cleanUp.use(await dial(`unix:${cluster.praefect.socket}`));
  const pids = [cluster.praefect, ...cluster.nodes].map(({ pid }) => pid);
  return await target(connection, pids, (name, as) => cluster.repository(name, as));
}

/** Measures calls of a number of clients, and prints a row. */
async function measure({ name, callsPerRun = 1, run }: Load, clients: number): Promise<void> {
  const window = (side: Target, ms: number) => () =>
    runClients((client) => run(side, client).then(() => {}), {
      callsPerRun,
      clients,
      windowMs: ms,
      pids: side.pids,
    });
  await takeTurns(1, { ours: window(ours, WARM_UP_MS), theirs: window(theirs, WARM_UP_MS) });
  const samples = await takeTurns(rounds, { ours: window(ours, windowMs), theirs: window(theirs, windowMs) });
  const both = (figure: (windows: readonly Window[]) => string): string =>
    `${figure(samples.ours)}, ${figure(samples.theirs)}`;
  const [mine, others] = [samples.ours, samples.theirs].map((windows) =>
    median(windows.map(({ callsPerSecond }) => callsPerSecond)),
  );
  const figures = [
    name,
    clients,
    mine?.toFixed(1),
    others?.toFixed(1),
    ((mine ?? Number.NaN) / (others ?? Number.NaN)).toFixed(2),
    both((windows) => median(windows.map(({ p50Ms }) => p50Ms)).toFixed(2)),
    both((windows) => median(windows.map(({ cpuMs }) => sum(cpuMs))).toFixed(2)),
    both((windows) => `${sum(windows.map(({ failed }) => failed))}`),
  ];
  console.log(`| ${figures.join(' | ')} |`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
