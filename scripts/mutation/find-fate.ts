/** Finds a test that notices a mutant. */
import { dirname } from 'node:path';
import { executes, knownRun, measure, mostRelevantFirst, type TestRun } from './coverage.ts';
import { applyMutant, type Mutant, mutantsOf } from './operators.ts';
import type { Sandbox } from './sandbox.ts';

/** Limit of the tests for one mutant, as is `maxSeconds`; the nearest ones come first. */
export const MAX_TESTS = 25;

export type Fate = 'killed' | 'timed out' | 'survived' | 'not executed' | 'not tried';

export interface Result {
  readonly id: string;
  readonly line: number;
  readonly fate: Fate;
  /** The test that detected it. */
  readonly by?: string | undefined;
}

export interface FateSearch {
  /** Returns the tests that may execute a file, nearest first. */
  readonly testsOf: (file: string) => readonly string[];
  /** Directory with the coverage of earlier runs. */
  readonly coverage: string;
  /** Known runs of tests, by file. */
  readonly runs: Map<string, TestRun>;
  /** Duration of the tests for one mutant. */
  readonly maxSeconds: number;
  /** Tests whose coverage is measured for one mutant, besides those near it. */
  readonly maxOthers: number;
  readonly inTime: () => boolean;
}

/** Tries a mutant; `undefined` if its place is gone since the start of this program, or no time is left. */
export async function fateOf(
  { id, file }: Pick<Mutant, 'id' | 'file'>,
  sandbox: Sandbox,
  search: FateSearch,
): Promise<Result | undefined> {
  const source = sandbox.original(file);
  const mutant = mutantsOf(file, source).find((each) => each.id === id);
  if (mutant === undefined) return undefined;
  const { line, executed } = mutant;
  let seconds = 0;
  let count = 0;
  let measured = 0;
  let isUnknown = false;
  const { list, mostRelevant } = testsFor(mutant, source, sandbox, search);
  for (const test of list) {
    if (!search.inTime()) return undefined;
    const known = knownRunOf(test, sandbox, search);
    if (known === undefined && !isNear(test, file) && measured++ >= search.maxOthers) continue;
    const run = known ?? (await measuredRunOf(test, sandbox, search));
    isUnknown ||= !run.isPassed && isNear(test, file);
    if (!run.isPassed || !executes(run, file, source, executed)) continue;
    const isTooLong = count > 0 && test !== mostRelevant && seconds + run.seconds > search.maxSeconds;
    if (count === MAX_TESTS || isTooLong) {
      isUnknown ||= isNear(test, file);
      if (known === undefined && !isNear(test, file)) break;
      continue; // a shorter one may be known
    }
    count += 1;
    seconds += run.seconds;
    sandbox.change(file, applyMutant(mutant, source));
    const outcome = await sandbox.run(test, { timeoutMs: 15_000 + run.seconds * 4_000 });
    sandbox.restore(file);
    if (outcome !== 'passed')
      return { id, line, fate: outcome === 'failed' ? 'killed' : 'timed out', by: test };
  }
  if (isUnknown) return { id, line, fate: 'not tried' };
  return { id, line, fate: count === 0 ? 'not executed' : 'survived' };
}

/**
 * Returns the tests that may execute the place of a mutant: those near it, those of the others that
 * are known to execute it, and those whose coverage is unknown. The most relevant of the others has
 * no limit of time: it may be a recording of all RPCs of a service.
 */
function testsFor({ executed, file }: Mutant, source: string, sandbox: Sandbox, search: FateSearch) {
  const all = search.testsOf(file);
  const near = all.filter((test) => isNear(test, file));
  const others = all.filter((test) => !isNear(test, file));
  const known = others.flatMap((test) => knownRunOf(test, sandbox, search) ?? []);
  const executing = known.filter((run) => run.isPassed && executes(run, file, source, executed));
  const relevant = mostRelevantFirst(executing, file, source).map(({ test }) => test);
  const isKnown = new Set(known.map(({ test }) => test));
  const unknown = others.filter((test) => !isKnown.has(test));
  return { mostRelevant: relevant[0], list: [...near, ...relevant, ...unknown] };
}

function knownRunOf(test: string, sandbox: Sandbox, { coverage, runs }: FateSearch): TestRun | undefined {
  const run = runs.get(test) ?? knownRun(coverage, test, sandbox.original(test));
  if (run !== undefined) runs.set(test, run);
  return run;
}

async function measuredRunOf(
  test: string,
  sandbox: Sandbox,
  { coverage, runs }: FateSearch,
): Promise<TestRun> {
  const run = await measure(sandbox, coverage, test);
  if (!run.isPassed) console.log(`fails unchanged: ${test}`);
  runs.set(test, run);
  return run;
}

/** Reports whether a test is in the folder of a file, above or below it. */
export function isNear(test: string, file: string): boolean {
  return test.startsWith(`${dirname(file)}/`) || file.startsWith(`${dirname(test)}/`);
}
