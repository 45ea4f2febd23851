import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { namedRun, report } from './seeds.ts';
import { simulate } from './simulate-runs.ts';

/** Runs that found faults of the protocol, each long after the first seeds. */
const FOUND_FAULTS = ['checkpoints:7006506', 'mixed:3100025425'];

/** Runs in which a generation appears below the head (`zombies`): by chance, one in 250 has one. */
const ZOMBIES = ['zombie:2', 'zombie:5', 'zombie:12', 'zombie-deep:2', 'zombie-deep:23', 'mixed:324'];

/** The seed of the run chooses others each time; a failure prints the run that repeats it. */
const FIRST_SEED = 1 + (testSeed() % 1_000_000) * 1000;

test('no run of the simulation violates an invariant', { timeout: 24 * 3600_000 }, async (context) => {
  const count = repetitions('SIMULATED_SEEDS', { short: 2000, long: 30_000 });
  const { SIMULATED_RUN: only = '' } = process.env;
  const chosen = only === '' ? { names: [...FOUND_FAULTS, ...ZOMBIES], count } : { names: [only], count: 0 };

  const { runs, totals, violation } = await simulate({ ...chosen, first: FIRST_SEED });

  if (violation !== '') assert.fail(violation);
  context.diagnostic(`${runs} runs: ${JSON.stringify(totals)}`);
  if (only === '') for (const [what, times] of Object.entries(totals)) assert.ok(times > 0, `no ${what}`);
});

test('a run is repeated exactly by its seed', async () => {
  for (const name of ['mixed:7', 'zombie:3', 'crash:5']) {
    const [one, other] = [await report(namedRun(name)), await report(namedRun(name))];

    assert.equal(one, other);
    assert.ok(one.split('\n').length > 10, one);
  }
});
