/**
 * Tests the tests: changes the sources in one place at a time, on a copy of the project, and runs
 * the tests that execute the place. A mutant that all of them accept has survived: a test is
 * missing, or the mutant is equivalent (mutation/equivalent.ts). `--help` lists the options.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TestRun } from './mutation/coverage.ts';
import { EQUIVALENT } from './mutation/equivalent.ts';
import { type Fate, type FateSearch, fateOf, isNear, MAX_TESTS, type Result } from './mutation/find-fate.ts';
import { canBeParsed, type Mutant, mutantsOf } from './mutation/operators.ts';
import { Sandbox } from './mutation/sandbox.ts';
import { writeRecord } from './records.ts';
import { affectedTests, readSources } from './tests/changed-tests.ts';
import { CLASSES } from './tests/classes.ts';
import { hashOf, IS_SOURCE } from './tests/executed-code.ts';
import { byDistance } from './tests/nearest-tests.ts';

/** Modules whose folders are modules here: each has a sample of its own. */
const DIVIDED = ['domain', 'git', 'rpc'];
/** The sources that only tests use. */
const LEFT_OUT = /^src\/testkit\//;
/** Loads and random runs: minutes each, and what they detect others detect, too. */
const EXCLUDED =
  /^test\/(?:cluster\/faults|hostile-fields|mixed-clusters|parsers|transports)\/|^test\/mixed-load/;
/** Share of killed mutants of all modules together that a recorded run needs to count as passed. */
const GOAL_PERCENT = 90;

const USAGE = `Tests the tests: changes the sources in one place at a time and runs the tests of the place.

  npm run -s mutate -- --module git/refs --sample 20      20 mutants of one module
  npm run -s mutate -- --file wildmatch --minutes 10      those of some files, for ten minutes
  npm run -s mutate -- --report                           what survived before, without running
  npm run -s mutate -- --module . --sample 200            200 mutants of everything

  --module NAME   a folder of src, several times for more; '.' is all of src (default: each folder of
                  src, and of ${DIVIDED.join(', ')})
  --file TEXT     only files whose path contains the text
  --tests GLOB    only these tests, several times for more (default: those of make test, but long ones):
                  quicker, but others may notice a survivor; results are kept for each choice
  --sample N      mutants of each module (default 50)
  --seed N        another sample (default 1)
  --seconds N     duration of the tests for one mutant (default 40); more on a busy machine
  --others N      tests whose coverage is measured for one mutant, besides those near it (default 100);
                  fewer for a first pass, then all of them with --survivors
  --minutes N     ends after that time; the next run continues
  --survivors     tries those again that were not killed
  --report        prints survivors and shares of earlier runs
  --min PERCENT   exit code 1 if less of a module is killed

The share is that of killed mutants among those with a known fate:
  killed          a test failed, or took several times longer than on the unchanged source
  survived        the tests that execute the place passed: all that are near (in the folder of the
                  file, above or below it), that of the others which executes the most of the file,
                  and as many more as the limits allow (${MAX_TESTS} tests and --seconds for each mutant)
  not executed    no test that is near executes the place, none of those whose coverage is known, and
                  none of the --others next ones
Left out of it is a mutant that was not tried: no test noticed, but a near one was cut off by the
limits, or fails without the mutant or takes minutes, so that its coverage is unknown.

Results and coverage are kept in .cache/mutate. What a test executes is measured when a mutant first
needs it.`;

const { values } = parseArgs({
  options: {
    module: { type: 'string', multiple: true },
    file: { type: 'string', default: '' },
    tests: { type: 'string', multiple: true },
    sample: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '40' },
    others: { type: 'string', default: '100' },
    minutes: { type: 'string', default: 'Infinity' },
    survivors: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    min: { type: 'string', default: '0' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const root = join(import.meta.dirname, '..');
const cache = join(root, '.cache/mutate');
const resultsFile = join(cache, `results-${hashOf((values.tests ?? []).join(' '))}.jsonl`);
const modules = values.module ?? allModules();
const results = readResults();
const sources = readSources();
const tests = new Set(values.tests ? globSync(values.tests, { cwd: root }) : usualTests());
/** The tests that may execute each file, nearest first. */
const candidates = new Map<string, readonly string[]>();
const samples = new Map(modules.map((module) => [module, sampleOf(module)]));
if (!values.report) await runAll();
const { isReached, isGoalReached, lines: figures } = printReport();
const isOfEverything = values.module === undefined || values.module.includes('.');
if (isOfEverything && values.tests === undefined && values.file === '')
  writeRecord('mutation', isGoalReached, figures);
process.exitCode = isReached ? 0 : 1;

async function runAll(): Promise<void> {
  if (spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status !== 0) {
    throw new Error('a changed program may do anything: this needs unshare(1) and the right to mount');
  }
  removeOldCopies();
  const endsAt = performance.now() + Number(values.minutes) * 60_000;
  const inTime = (): boolean => performance.now() < endsAt;
  const queue = inTurns([...samples.values()]).filter(({ id }) =>
    values.survivors ? isAlive(results.get(id)) : !results.has(id),
  );
  const search: FateSearch = {
    testsOf: candidatesFor,
    coverage: join(cache, 'coverage'),
    runs: new Map<string, TestRun>(),
    maxSeconds: Number(values.seconds),
    maxOthers: Number(values.others),
    inTime,
  };
  await inSandboxes(async (sandbox) => {
    for (let next = queue.shift(); next !== undefined && inTime(); next = queue.shift()) {
      const result = await fateOf(next, sandbox, search);
      if (result === undefined) {
        if (!inTime()) queue.push(next);
        continue;
      }
      results.set(next.id, result);
      appendFileSync(resultsFile, `${JSON.stringify(result)}\n`);
      if (isAlive(result)) console.log(`${result.fate}: ${describe(next)}`);
    }
  });
  if (queue.length > 0) console.log(`${queue.length} mutants are left: run again`);
}

/** Removes the copies of runs that were killed. */
function removeOldCopies(): void {
  for (const name of readdirSync(cache)) {
    const [, pid] = /^copy-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(cache, name), { recursive: true, force: true });
  }
}

/** Runs a job on two copies of the project, or on one with a single processor. */
async function inSandboxes(job: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const count = Math.min(2, availableParallelism());
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      using sandbox = new Sandbox(root, join(cache, `copy-${process.pid}-${index}`));
      await job(sandbox);
    }),
  );
}

/** Returns the tests that may execute a file: those near it, then those of the most similar path. */
function candidatesFor(file: string): readonly string[] {
  const known = candidates.get(file);
  if (known !== undefined) return known;
  const affected = [...affectedTests(sources, [file])].filter(([test]) => tests.has(test));
  const ranked = byDistance(new Map(affected), [file]);
  const near = ranked.filter((test) => isNear(test, file));
  const words = wordsOf(file);
  const others = ranked
    .filter((test) => !isNear(test, file))
    .map((test) => ({ test, shared: words.intersection(wordsOf(test)).size }))
    .sort((a, b) => b.shared - a.shared)
    .map(({ test }) => test);
  candidates.set(file, [...near, ...others]);
  return [...near, ...others];
}

/** Returns the words of a path: what the same words name is often tested through another module. */
function wordsOf(path: string): ReadonlySet<string> {
  return new Set(
    path
      .replace(/(?:\.test)?\.ts$/, '')
      .split(/[/-]/)
      .slice(1),
  );
}

function allModules(): readonly string[] {
  const foldersOf = (path: string): string[] =>
    readdirSync(join(root, 'src', path), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  return foldersOf('.')
    .flatMap((folder) => (DIVIDED.includes(folder) ? foldersOf(folder) : [folder]))
    .filter((module) => sourcesIn(module).length > 0);
}

/** Returns the tests of `make test`. */
function usualTests(): readonly string[] {
  return (CLASSES.test ?? [])
    .flatMap(({ files, exclude = [] }) => globSync(files, { cwd: root, exclude }))
    .filter((test) => !EXCLUDED.test(test));
}

function sourcesIn(module: string): readonly string[] {
  return globSync(join('src', module, '**/*.ts'), { cwd: root }).filter(
    (file) => IS_SOURCE.test(file) && !LEFT_OUT.test(file),
  );
}

function sampleOf(module: string): readonly Mutant[] {
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const rank = ({ id }: Mutant): string => hashOf(`${values.seed} ${id}`);
  return sourcesIn(module)
    .filter((file) => file.includes(values.file))
    .flatMap((file) => mutantsOf(file, read(file)))
    .filter((mutant) => !EQUIVALENT.some(({ id }) => mutant.id.startsWith(id)))
    .map((mutant) => ({ mutant, rank: rank(mutant) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .values()
    .map(({ mutant }) => mutant)
    .filter((mutant) => canBeParsed(mutant, read(mutant.file)))
    .take(Number(values.sample))
    .toArray();
}

/** Returns the first of each list, then the second of each, and so on. */
function inTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat();
}

function readResults(): Map<string, Result> {
  mkdirSync(cache, { recursive: true });
  const lines = existsSync(resultsFile) ? readFileSync(resultsFile, 'utf8').split('\n').filter(Boolean) : [];
  // Written by `runAll`; later results replace earlier ones.
  return new Map(lines.map((line) => JSON.parse(line) as Result).map((result) => [result.id, result]));
}

/** Reports whether no test has detected a mutant so far. */
function isAlive(result: Result | undefined): result is Result {
  return result !== undefined && result.fate !== 'killed' && result.fate !== 'timed out';
}

function describe({ file, line, operator, text }: Mutant): string {
  return `${file}:${line}: ${operator}: ${text}`;
}

/**
 * Prints the share of killed mutants.
 *
 * @returns whether each module reaches `--min`, whether all together reach the goal, and the lines.
 */
function printReport(): { isReached: boolean; isGoalReached: boolean; lines: readonly string[] } {
  const lines = [`samples of ${values.sample} mutants, seed ${values.seed}`];
  if (values.report) printAlive();
  let isReached = true;
  for (const [module, sample] of samples) {
    const { share, summary } = shareOf(sample);
    lines.push(`${module}: ${summary}`);
    if (share < Number(values.min)) isReached = false;
  }
  const together = shareOf([...samples.values()].flat());
  if (samples.size > 1) lines.push(`together: ${together.summary}`);
  for (const line of lines.slice(1)) console.log(line);
  return { isReached, isGoalReached: together.left === 0 && together.share >= GOAL_PERCENT, lines };
}

/** Prints the mutants that were not killed. */
function printAlive(): void {
  for (const mutant of [...samples.values()].flat()) {
    const result = results.get(mutant.id);
    if (isAlive(result)) console.log(`${result.fate}: ${describe(mutant)}`);
  }
}

/**
 * Returns the percentage of killed mutants among those with a known fate, the number of those that
 * no run has reached yet, and a line with all fates.
 */
function shareOf(sample: readonly Mutant[]): { share: number; left: number; summary: string } {
  const count: Record<Fate, number> = {
    killed: 0,
    'timed out': 0,
    survived: 0,
    'not executed': 0,
    'not tried': 0,
  };
  for (const { id } of sample) {
    const result = results.get(id);
    if (result !== undefined) count[result.fate]++;
  }
  const killed = count.killed + count['timed out'];
  const known = killed + count.survived + count['not executed'];
  const share = known === 0 ? 0 : (100 * killed) / known;
  const alive = `${count.survived} survived, ${count['not executed']} not executed`;
  const left = sample.filter(({ id }) => !results.has(id)).length;
  const leftOut = `${count['not tried']} not tried and left out${left === 0 ? '' : `; ${left} left`}`;
  return {
    share,
    left,
    summary: `${killed} of ${known} killed, ${share.toFixed(1)} %; ${alive}; ${leftOut}`,
  };
}
