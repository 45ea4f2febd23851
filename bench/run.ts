/**
 * Runs the benches one after another, prints one table and writes it as JSON to `bench/results/`.
 * See bench/README.md.
 *
 *   npm run bench -- --help
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { collectAfterBulkBytes } from '#base/memory/bulk-memory';
import { bench as api } from './api.ts';
import { bench as archives } from './archives.ts';
import { bench as backups } from './backups.ts';
import { bench as blobs } from './blobs.ts';
import { bench as budget } from './budget.ts';
import { bench as bundles } from './bundles.ts';
import { bench as capacity } from './capacity.ts';
import { bench as clientCalls } from './client-calls.ts';
import { bench as clone } from './clone.ts';
import { bench as cluster } from './cluster.ts';
import { bench as coldRepositories } from './cold-repositories.ts';
import { bench as commitFiles } from './commit-files.ts';
import { bench as commits } from './commits.ts';
import { bench as content } from './content.ts';
import { bench as copies } from './copies.ts';
import { bench as cores } from './cores.ts';
import { bench as diffs } from './diffs.ts';
import { bench as events } from './events.ts';
import { bench as fetches } from './fetches.ts';
import { bench as flood } from './flood.ts';
import { bench as forks } from './forks.ts';
import { bench as infoRefs } from './info-refs.ts';
import { bench as interceptors } from './interceptors.ts';
import { type Bench, isMet, type Measurement, ratioOf } from './lib/bench.ts';
import { parseBenchArguments } from './lib/bench-arguments.ts';
import { clusterTable } from './lib/cluster-table.ts';
import { type BenchResult, COMPARED_WITH_GIT, gitTable } from './lib/git-table.ts';
import { git } from './lib/run-program.ts';
import { Workshop } from './lib/workshop.ts';
import { bench as lsRefs } from './ls-refs.ts';
import { bench as maintenance } from './maintenance.ts';
import { bench as memory } from './memory.ts';
import { bench as merges } from './merges.ts';
import { bench as processStart } from './process-start.ts';
import { bench as push } from './push.ts';
import { bench as pushHook } from './push-hook.ts';
import { bench as quietMaintenance } from './quiet-maintenance.ts';
import { bench as reads } from './reads.ts';
import { bench as refLists } from './ref-lists.ts';
import { bench as references } from './references.ts';
import { bench as sharedClones } from './shared-clones.ts';
import { bench as sizes } from './sizes.ts';
import { bench as sshGateway } from './ssh-gateway.ts';
import { bench as startUp } from './start-up.ts';
import { bench as trees } from './trees.ts';
import { bench as unaryCalls } from './unary-calls.ts';

const BENCHES: readonly Bench[] = [
  startUp,
  processStart,
  interceptors,
  budget,
  unaryCalls,
  coldRepositories,
  reads,
  clientCalls,
  trees,
  commits,
  blobs,
  diffs,
  commitFiles,
  api,
  capacity,
  cores,
  copies,
  forks,
  merges,
  references,
  infoRefs,
  lsRefs,
  refLists,
  content,
  push,
  pushHook,
  clone,
  sharedClones,
  events,
  fetches,
  flood,
  bundles,
  sshGateway,
  cluster,
  maintenance,
  quietMaintenance,
  backups,
  archives,
  sizes,
  memory,
];
const COLUMNS = ['name', 'value', 'unit', 'reference', 'ratio', 'goal', 'met'] as const;

type Row = Record<(typeof COLUMNS)[number], string>;

const requested = parseBenchArguments(process.argv.slice(2), BENCHES, COMPARED_WITH_GIT);
if (requested.kind !== 'run') {
  (requested.kind === 'help' ? process.stdout : process.stderr).write(`${requested.text.trimEnd()}\n`);
  process.exit(requested.kind === 'help' ? 0 : 2);
}
const { chosen, quick, gitTable: hasGitTable } = requested;
// Otherwise full collections of this process slow down whatever receives bulk bytes.
collectAfterBulkBytes();
process.exitCode = await runAll(chosen, quick);

/** Returns the exit code: 1 if a bench could not run. A missed goal is a result. */
async function runAll(benches: readonly Bench[], quick: boolean): Promise<number> {
  const results: BenchResult[] = [];
  let code = 0;
  for (const bench of benches) {
    console.error(`${bench.name}: ${bench.question}`);
    const startedAt = performance.now();
    try {
      await using workshop = new Workshop({ quick });
      for await (const measurement of bench.run(workshop)) results.push({ bench: bench.name, measurement });
    } catch (error) {
      console.error(`${bench.name} failed:`, error);
      code = 1;
    }
    console.error(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
  printTable(results.map(({ measurement }) => row(measurement)));
  for (const { measurement } of results)
    if (measurement.note !== undefined) console.log(`${measurement.name}: ${measurement.note}`);
  if (chosen.some(({ name }) => name === 'cluster'))
    console.log(`\n${clusterTable(results, await describeRun(quick))}`);
  if (hasGitTable) console.log(`\n${gitTable(results, await describeRun(quick))}`);
  console.log(`\nwritten to ${await save(results, quick)}`);
  return code;
}

function row(measurement: Measurement): Row {
  const { name, value, unit, reference, goal } = measurement;
  const ratio = ratioOf(measurement);
  const met = isMet(measurement);
  return {
    name,
    value: rounded(value),
    unit,
    reference: reference === undefined ? '' : `${rounded(reference.value)} (${reference.name})`,
    ratio: ratio === undefined ? '' : ratio.toFixed(2),
    goal: goal === undefined ? '' : `${goal.of} <= ${goal.atMost}`,
    met: met === undefined ? '' : met ? 'yes' : 'NO',
  };
}

/** Formats three significant digits, or all digits before the point. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function printTable(rows: readonly Row[]): void {
  // All columns of a row, so every key is there.
  const heading = Object.fromEntries(COLUMNS.map((column) => [column, column])) as Row;
  const width = (column: keyof Row): number =>
    Math.max(...[heading, ...rows].map((each) => each[column].length));
  console.log('');
  for (const each of [heading, ...rows])
    console.log(
      COLUMNS.map((column) => each[column].padEnd(width(column)))
        .join('  ')
        .trimEnd(),
    );
  console.log('');
}

async function describeRun(quick: boolean): Promise<string> {
  const date = new Date().toISOString().slice(0, 10);
  const load = loadavg()[0]?.toFixed(1);
  const machine = `${await git('.', ['version'])}, ${cpus().length} cores, load at the end ${load}`;
  return `${date}, ${machine}${quick ? ', quick: not for decisions' : ''}.`;
}

async function save(results: readonly BenchResult[], quick: boolean): Promise<string> {
  const directory = join(import.meta.dirname, 'results');
  mkdirSync(directory, { recursive: true });
  const date = new Date().toISOString();
  const path = join(directory, `${date.replaceAll(':', '-').slice(0, 19)}${quick ? '-quick' : ''}.json`);
  const machine = {
    cores: cpus().length,
    cpu: cpus()[0]?.model,
    node: process.version,
    git: await git('.', ['version']),
  };
  const rows = results.map(({ bench, measurement }) => ({
    bench,
    ...measurement,
    ratio: ratioOf(measurement),
    isMet: isMet(measurement),
  }));
  writeFileSync(
    path,
    `${JSON.stringify({ date, quick, commit: await commit(), machine, results: rows }, undefined, 2)}\n`,
  );
  return path;
}

function commit(): Promise<string | undefined> {
  return git('.', ['rev-parse', 'HEAD']).catch(() => undefined);
}
