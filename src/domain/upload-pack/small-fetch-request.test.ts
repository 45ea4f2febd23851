import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLUSH, packet } from '#testkit/repositories/push';
import { smallFetchRequest } from './small-fetch-request.ts';

const DELIMITER = '0001';
const OID = '1'.repeat(40);

function request(lines: readonly string[], capabilities: readonly string[] = ['agent=git/2.39.5']): Buffer {
  const text = (all: readonly string[]): string => all.map((line) => packet(`${line}\n`)).join('');
  return Buffer.from(`${text(['command=fetch', ...capabilities])}${DELIMITER}${text(lines)}${FLUSH}`);
}

const CLONE = ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', `want ${OID}`, 'done'];

test('a clone is a small fetch; the name of the client is no part of its key', () => {
  const parsed = smallFetchRequest(request(CLONE));

  assert.deepEqual(parsed?.wants, [OID]);
  assert.equal(smallFetchRequest(request(CLONE, ['agent=jgit', 'session-id=1']))?.key, parsed?.key);
});

test('everything that changes the answer is part of the key', () => {
  const { key } = smallFetchRequest(request(CLONE)) ?? {};
  const others = [
    request(CLONE, ['object-format=sha256']),
    request([...CLONE, 'deepen 1']),
    request([...CLONE, 'filter blob:none']),
    request(CLONE.filter((line) => line !== 'include-tag')),
    request(CLONE.map((line) => line.replace(OID, '2'.repeat(40)))),
  ].map((bytes) => smallFetchRequest(bytes)?.key);

  assert.equal(new Set([key, ...others]).size, 6);
  assert.ok(!others.includes(undefined));
});

for (const [reason, bytes] of Object.entries({
  'of a client that has something': request([...CLONE, `have ${OID}`]),
  'of a shallow client': request([...CLONE, `shallow ${OID}`]),
  'that depend on more references': request([...CLONE, 'deepen-not refs/heads/x']),
  'that name references': request([...CLONE, 'want-ref refs/heads/x']),
  'with another form of answer': request([...CLONE, 'sideband-all']),
  'with options for the server': request(CLONE, ['server-option=x']),
  'without a want': request(['done']),
  'before the end of the negotiation': request(CLONE.slice(0, -1)),
  'without an end': request(CLONE).subarray(0, -4),
  'with bytes behind the end': Buffer.concat([request(CLONE), Buffer.from('0000')]),
  'with another command': Buffer.from(`${packet('command=ls-refs\n')}${DELIMITER}${FLUSH}`),
  'with a second delimiter': Buffer.from(
    request(CLONE)
      .toString()
      .replace(packet('done\n'), DELIMITER + packet('done\n')),
  ),
  'that are empty': Buffer.alloc(0),
})) {
  test(`git answers requests ${reason}`, () => {
    assert.equal(smallFetchRequest(bytes), undefined);
  });
}
