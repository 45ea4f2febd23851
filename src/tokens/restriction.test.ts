import { test } from 'node:test';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { parseRulesDocument } from './push-rules.ts';
import { applying } from './restriction.ts';

const COUNT = 1000;
const LIMIT_MS = 1;

async function assertShortSearch(patternOf: (number: number) => string, reference: string): Promise<void> {
  const rules = Array.from({ length: COUNT }, (_, number) => ({ on: patternOf(number), update: ['alice'] }));
  const { protected: parsed = [] } = await parseRulesDocument(
    Buffer.from(JSON.stringify({ protected: rules })),
  );
  await assertCpuBelow(LIMIT_MS, () => applying(parsed, { reference, user: 'bob' }), patternOf(1));
}

test('1,000 rules are searched for a reference within a millisecond', async () => {
  const reference = 'refs/heads/team/feature-12345-with-a-long-name';
  for (const patternOf of [
    (number: number) => `refs/heads/branch-${number}`,
    (number: number) => `refs/heads/team/feature-${number}/**`,
    (number: number) => `refs/heads/*/feature-${number}-*`,
    (number: number) => `refs/heads/**-${number}`,
    (number: number) => `refs/heads/**-${number}-**e`,
  ])
    await assertShortSearch(patternOf, reference);
});
