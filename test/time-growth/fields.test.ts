import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { extent, isSoak, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { Campaign } from '../hostile-fields/campaign.ts';
import { isIsolated, isolatingCommand, runIsolated } from '../hostile-fields/isolation.ts';
import { attackedFields, isInMany } from '../hostile-fields/plan.ts';
import { FieldGrowth } from './field-growth.ts';
import { fieldShapes } from './hostile-shapes.ts';

const seed = testSeed('GROWTH_SEED');
/** Part of the path of a method, to try only those. */
const only = process.env.GROWTH_ONLY ?? '';
/** Shapes for each field; a quarter of them for fields that many methods have. */
const SHAPES = extent('GROWTH_SHAPES', { short: 1, long: 24 });
/** CPU time of the server after which no further method is tried. */
const BUDGET_MS = repetitions('GROWTH_BUDGET_MS', { short: 4000, long: 300_000 });
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
    const growth = new FieldGrowth(campaign);
    const served = (await campaign.servedMethods()).filter(({ path }) => path.includes(only));
    const random = seededRandom(seed);
    const startedMs = campaign.usedCpuMs();
    const findings: string[] = [];
    let [fields, methods] = [0, 0];
    const endMs = startedMs + BUDGET_MS;
    for (const [index, method] of shuffled(served, random).entries()) {
      if (growth.isStuck || campaign.usedCpuMs() > endMs) break;
      // In the soak every method gets its share of what is left.
      const leftMs = endMs - campaign.usedCpuMs();
      const methodEndMs = isSoak ? campaign.usedCpuMs() + leftMs / (served.length - index) : endMs;
      methods++;
      for (const field of shuffled(attackedFields(method, isIsolated()), random)) {
        if (campaign.usedCpuMs() > methodEndMs) break;
        const count = isInMany(field) ? Math.floor(random() + SHAPES / 4) : SHAPES;
        const shapes = shuffled(fieldShapes(), random).slice(0, count);
        if (count > 0) fields++;
        for (const shape of shapes) findings.push(...(await growth.findings(method, field.path, shape)));
      }
    }

    const spentMs = Math.round(campaign.usedCpuMs() - startedMs);
    t.diagnostic(`${fields} fields of ${methods} methods, ${spentMs} ms of CPU time, GROWTH_SEED=${seed}`);
    assert.deepEqual(findings, []);
  });
}
