import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressProblem } from './address-problem.ts';

for (const [address, problem] of [
  ['localhost:9999', undefined],
  [':0', undefined],
  ['[::1]:80', undefined],
  ['localhost', 'address localhost: missing port in address'],
  ['::1:80', 'address ::1:80: too many colons in address'],
  ['localhost:http', 'address localhost:http: invalid port'],
  ['localhost:65536', 'address localhost:65536: invalid port'],
] as const) {
  test(`the address ${address} is ${problem === undefined ? 'fine' : 'refused'}`, () => {
    assert.equal(addressProblem(address), problem);
  });
}
