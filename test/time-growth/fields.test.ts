import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { extent } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import type { MethodInfo } from '#wire/method-info';
import { CALL_LIMIT_MS } from '../hostile-fields/caller.ts';
import { Campaign } from '../hostile-fields/campaign.ts';
import { isIsolated, isolatingCommand, runIsolated } from '../hostile-fields/isolation.ts';
import { attackedFields, callWith, isInMany } from '../hostile-fields/plan.ts';
import { type HostileShape, hostileShapes } from './hostile-shapes.ts';

const seed = testSeed('GROWTH_SEED');
/** Part of the path of a method, to try only those. */
const only = process.env.GROWTH_ONLY ?? '';
/** Shapes for each field; a quarter of them for fields that many methods have. */
const SHAPES = extent('GROWTH_SHAPES', { short: 1, long: 24 });
/** CPU time of the server after which no further method is tried. */
const BUDGET_MS = extent('GROWTH_BUDGET_MS', { short: 7000, long: Number.POSITIVE_INFINITY });
/** A quadratic time is seconds at the largest size. */
const SIZES = [1 << 14, 1 << 15, 1 << 16] as const;
/** A call that takes less CPU time at the largest size grows in proportion, or does not matter. */
const ENOUGH_MS = 400;
/** Growth of the second step in relation to the first: 2 for a linear time, 4 for a quadratic one. */
const MAX_STEP_GROWTH = 3;
/** A growth that is too large is measured again, as often as this: noise goes away. */
const ATTEMPTS = 3;

const network = isIsolated() ? undefined : await isolatingCommand();
if (network === undefined) measureFields();
else
  test('CPU time of hostile fields, in a network that has only loopback', async (t) => {
    const { code, stdout, stderr } = await runIsolated(network, import.meta.filename, t.signal);
    for (const [, line] of stdout.matchAll(/^# (\d+ fields .*)$/gm)) t.diagnostic(line ?? '');
    assert.equal(code, 0, stdout + stderr);
  });

function measureFields(): void {
  test('calls take a CPU time in proportion to the text in each of their fields', async (t) => {
    await using campaign = await Campaign.start();
    const served = (await campaign.servedMethods()).filter(({ path }) => path.includes(only));
    const random = seededRandom(seed);
    const startedMs = campaign.usedCpuMs();
    const findings: string[] = [];
    let [fields, methods] = [0, 0];
    for (const method of shuffled(served, random)) {
      if (campaign.usedCpuMs() - startedMs > BUDGET_MS) break;
      methods++;
      for (const field of attackedFields(method, isIsolated())) {
        const count = isInMany(field) ? Math.floor(random() + SHAPES / 4) : SHAPES;
        const shapes = shuffled(hostileShapes(Buffer.alloc(0), []), random).slice(0, count);
        if (count > 0) fields++;
        for (const shape of shapes) findings.push(...(await growthIn(campaign, method, field.path, shape)));
      }
    }

    const spentMs = Math.round(campaign.usedCpuMs() - startedMs);
    t.diagnostic(`${fields} fields of ${methods} methods, ${spentMs} ms of CPU time, GROWTH_SEED=${seed}`);
    assert.deepEqual(findings, []);
  });
}

/** Returns what is wrong with the times of a call with a text that grows in one field. */
async function growthIn(
  campaign: Campaign,
  method: MethodInfo,
  field: string,
  { piece, build }: HostileShape,
): Promise<string[]> {
  const cpuMs = async (size: number): Promise<number> => {
    const call = callWith(method, campaign.sandbox, field, build(size), campaign.targetOf(method));
    const outcome = await campaign.measure(call);
    return outcome.tookMs > CALL_LIMIT_MS - 1000 ? Number.POSITIVE_INFINITY : outcome.cpuMs;
  };
  if ((await cpuMs(SIZES[2])) < ENOUGH_MS) return [];
  let timesMs: number[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    timesMs = [await cpuMs(SIZES[0]), await cpuMs(SIZES[1]), await cpuMs(SIZES[2])];
    if (isLinear(timesMs)) return [];
  }
  return [`${method.path} ${field} with ${JSON.stringify(piece)}: ${timesMs.join(', ')} ms of CPU time`];
}

function isLinear([first = 0, second = 0, third = 0]: readonly number[]): boolean {
  if (third === Number.POSITIVE_INFINITY) return false;
  return third - second < MAX_STEP_GROWTH * Math.max(second - first, ENOUGH_MS / 4);
}
