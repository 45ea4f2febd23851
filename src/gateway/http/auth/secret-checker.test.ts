import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientSlot } from '#gateway/slots';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';
import { parseSecretHash, type SecretHash } from './password-hash.ts';
import { SecretChecker } from './secret-checker.ts';

const TEXT = quickPasswordHash('right');
const hash = parseSecretHash(TEXT) as SecretHash; // it was made above
const CLIENT = '192.0.2.1';

/** Slots that record who takes them, and may refuse. */
function counting(refusal?: 'client' | 'total') {
  const taken: (string | undefined)[] = [];
  let held = 0;
  const slots = {
    take: async (client: string | undefined): Promise<ClientSlot> => {
      taken.push(client);
      if (refusal !== undefined) return refusal;
      held++;
      return { [Symbol.dispose]: () => void held-- };
    },
  };
  return { slots, taken, held: () => held };
}

test('a right secret is computed once, a wrong one each time', async () => {
  const { held, slots, taken } = counting();
  const checker = new SecretChecker(slots);
  const check = (secret: string, text = TEXT) => checker.check(hash, text, secret, CLIENT);

  assert.deepEqual([await check('right'), await check('right')], [true, true]);
  assert.deepEqual(taken, [CLIENT]);
  assert.deepEqual([await check('wrong'), await check('wrong')], [false, false]);
  assert.equal(taken.length, 3);
  assert.equal(await check('right', 'the hash was changed'), true);

  assert.deepEqual([taken.length, held()], [4, 0]);
});

test('equal checks at the same time are one, others wait for their turn', async () => {
  const { held, slots, taken } = counting();
  const checker = new SecretChecker(slots);
  const check = (secret: string) => checker.check(hash, TEXT, secret, CLIENT);

  const same = await Promise.all([check('right'), check('right'), check('right')]);
  assert.deepEqual([same, taken.length], [[true, true, true], 1]);
  const others = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(check));

  assert.deepEqual([new Set(others), taken.length, held()], [new Set([false]), 6, 0]);
  assert.equal(await check('f'), false, 'the turns were given back');
});

test('a check without a slot is refused: for the client, or for now', async () => {
  for (const [refusal, status] of [
    ['client', 429],
    ['total', 503],
  ] as const) {
    const checker = new SecretChecker(counting(refusal).slots);

    const error = await checker.check(hash, TEXT, 'right', CLIENT).catch((e) => e);

    assert.equal(error.answer.status, status);
  }
});
