import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRepeatable } from './kept-answers.ts';

const OID = '1'.repeat(40);
const CLONE = ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta'];

const request = (others: readonly string[], key = '') => ({
  name: 'fetch' as const,
  key,
  wants: [OID],
  others,
  isDone: others.includes('done'),
});

for (const more of [[], ['deepen 1'], ['filter blob:none']])
  test(`the answer to a clone may be kept (${more.join()})`, () => {
    assert.equal(isRepeatable(request([...CLONE, ...more, 'done'])), true);
  });

for (const [reason, one] of Object.entries({
  'of a client that has something': request([...CLONE, `have ${OID}`, 'done']),
  'of a shallow client': request([...CLONE, `shallow ${OID}`, 'done']),
  'with another form of answer': request([...CLONE, 'sideband-all', 'done']),
  'before the end of the negotiation': request(CLONE),
  'for thousands of references': request([...CLONE, 'done'], `want ${OID}\n`.repeat(1000)),
}))
  test(`the answer to a request ${reason} is not kept`, () => {
    assert.equal(isRepeatable(one), false);
  });
