import { type Plant, type RunResult, run, type Scenario } from './simulator/run.ts';
import { SCENARIOS } from './simulator/scenarios.ts';

/** Share of the runs for the scenario `mixed`, which has everything; the others share the rest. */
const MIXED_SHARE = 0.5;
/** Steps of a trace that are printed: the last ones, without those that change nothing. */
const SHOWN_STEPS = 60;

/** A run by its name, such as `zombie:12`: the scenario and the seed. */
export interface NamedRun {
  readonly scenario: Scenario;
  readonly seed: number;
}

export function namedRun(name: string): NamedRun {
  const [scenarioName, seed] = name.split(':');
  const scenario = SCENARIOS.find((each) => each.name === scenarioName);
  if (scenario === undefined || seed === undefined) throw new Error(`no run ${name}`);
  return { scenario, seed: Number(seed) };
}

/** Yields runs of all scenarios, the directed ones first. @param first the first seed of each. */
export function* runsOf(count: number, first: number): Generator<NamedRun> {
  const [mixed] = SCENARIOS.filter(({ name }) => name === 'mixed');
  const directed = SCENARIOS.filter((scenario) => scenario !== mixed);
  const each = Math.ceil((count * (1 - MIXED_SHARE)) / directed.length);
  for (const scenario of directed)
    for (let seed = first; seed < first + each; seed++) yield { scenario, seed };
  const rest = Math.max(0, count - each * directed.length);
  if (mixed !== undefined)
    for (let seed = first; seed < first + rest; seed++) yield { scenario: mixed, seed };
}

export async function runNamed({ scenario, seed }: NamedRun, plant: Plant = {}): Promise<RunResult> {
  return await run(scenario, seed, { plant });
}

/** Repeats a run that failed, and returns its last steps with the command that repeats it. */
export async function report({ scenario, seed }: NamedRun, plant: Plant = {}): Promise<string> {
  const { violation, trace } = await run(scenario, seed, { plant, isTraced: true });
  const steps = trace.filter((line) => !/ (?:GET|LIST) .*: |REPLACE nodes/.test(line));
  return [
    `${scenario.name}:${seed}: ${violation?.message ?? 'no violation in the second run'}`,
    ...steps.slice(-SHOWN_STEPS),
    `SIMULATED_RUN=${scenario.name}:${seed} npm test -- test/generations/simulation.test.ts`,
  ].join('\n');
}
