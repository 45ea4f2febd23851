import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRulesDocument } from './push-rules.ts';
import { applying } from './restriction.ts';

const COUNT = 1000;
const RUNS = 51;

/** The median time of a search among 1,000 rules. */
async function medianMs(patternOf: (number: number) => string, reference: string): Promise<number> {
  const rules = Array.from({ length: COUNT }, (_, number) => ({ on: patternOf(number), update: ['alice'] }));
  const { protected: parsed = [] } = await parseRulesDocument(
    Buffer.from(JSON.stringify({ protected: rules })),
  );
  const times = Array.from({ length: RUNS }, () => {
    const startedAt = performance.now();
    applying(parsed, { reference, user: 'bob' });
    return performance.now() - startedAt;
  });
  return times.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? 0;
}

test('1,000 rules are searched for a reference within a millisecond', async () => {
  const reference = 'refs/heads/team/feature-12345-with-a-long-name';
  for (const patternOf of [
    (number: number) => `refs/heads/branch-${number}`,
    (number: number) => `refs/heads/team/feature-${number}/**`,
    (number: number) => `refs/heads/*/feature-${number}-*`,
    (number: number) => `refs/heads/**-${number}`,
    (number: number) => `refs/heads/**-${number}-**e`,
  ]) {
    const ms = await medianMs(patternOf, reference);
    assert.ok(ms < 1, `${patternOf(1)}: ${ms} ms`);
  }
});
