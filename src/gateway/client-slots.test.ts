import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientSlots } from './client-slots.ts';

test('the limits per client and in total apply', () => {
  const slots = new ClientSlots({ total: 3, perClient: 2 });

  const first = slots.take('192.0.2.1');
  slots.take('192.0.2.1');

  assert.equal(slots.take('192.0.2.1'), 'client');
  assert.equal(typeof slots.take('192.0.2.2'), 'object');
  assert.equal(slots.take('192.0.2.3'), 'total');
  if (typeof first === 'string') assert.fail();
  first[Symbol.dispose]();
  first[Symbol.dispose](); // the second release must not free another slot
  assert.equal(typeof slots.take('192.0.2.3'), 'object');
  assert.equal(slots.take('192.0.2.4'), 'total');
});

const IPV6 = [
  ['2001:db8:1:2::7', '2001:db8:1:2:3:4:5:6', true],
  ['2001:db8:1:2::7', '2001:db8:1:3::7', false],
  ['2001:db8::7', '2001:db8:0:0:1::', true],
  ['::1', '::2', true],
  ['fe80::1', '::1', false],
  ['::2:3:4:5:6:7:8', '0:2:3:4::', true],
  ['::2:3:4:5:6:7:8', '::8', false],
  ['1::5:6:7:8', '1:0:0:0::', true],
  ['1:2:3:4:5:6:7::', '1:2:3:4::8', true],
] as const;

for (const [one, other, isSame] of IPV6) {
  test(`${one} and ${other} are ${isSame ? 'one client' : 'two clients'}`, () => {
    const slots = new ClientSlots({ total: 10, perClient: 1 });
    slots.take(one);

    assert.equal(slots.take(other) === 'client', isSame);
  });
}

test('a client that releases one of several slots still holds the others', () => {
  const slots = new ClientSlots({ total: 10, perClient: 2 });
  const [first, second] = [slots.take('192.0.2.1'), slots.take('192.0.2.1')];
  if (typeof first === 'string' || typeof second === 'string') assert.fail();

  first[Symbol.dispose]();

  assert.equal(typeof slots.take('192.0.2.1'), 'object');
  assert.equal(slots.take('192.0.2.1'), 'client');
});

test('each address of a network is a client of its own where the key is the address', () => {
  const slots = new ClientSlots({ total: 3, perClient: 1 }, (address) => address);

  const taken = ['2001:db8::1', '2001:db8::2', '2001:db8::1'].map((address) => typeof slots.take(address));

  assert.deepEqual(taken, ['object', 'object', 'string']);
});
