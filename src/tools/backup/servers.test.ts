import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServers } from './servers.ts';

const encoded = (text: string): string => Buffer.from(text).toString('base64');

test('servers are read by storage; absent fields are empty', () => {
  const json = '{"a":{"address":"tcp://a:1","token":"secret"},"b":{"address":"unix:/b"}}';

  assert.deepEqual(Object.fromEntries(readServers(encoded(json)) ?? []), {
    a: { address: 'tcp://a:1', token: 'secret' },
    b: { address: 'unix:/b', token: '' },
  });
  assert.equal(readServers(''), undefined);
});

// A user saw: the error about a missing quote repeated a part of the token.
for (const [json, problem] of [
  ['{"a":{"token":hush-hush}}', "invalid character 'h' looking for beginning of value"],
  ['{"a":{"token":"hush-hush"x}}', "invalid character 'x' after object key:value pair"],
  ['{"a":{"token":"hush-hush"', 'unexpected end of JSON input'],
  ['"hush-hush"', 'it is no object'],
] as const)
  test(`${json} is refused with Go's message, without the token`, () => {
    assert.throws(() => readServers(encoded(json)), {
      message: `injecting GITALY_SERVERS: failed unmarshalling json: ${problem}`,
    });
  });
