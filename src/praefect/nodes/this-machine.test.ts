import assert from 'node:assert/strict';
import { hostname, networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { isOnMachine, thisMachine } from './this-machine.ts';

const MACHINE = { names: new Set(['localhost', 'one']), addresses: new Set(['192.0.2.1', '2001:db8::1']) };

for (const { address, expected } of [
  { address: 'unix:/run/gitaly.socket', expected: true },
  { address: 'tcp://localhost:8075', expected: true },
  { address: 'tcp://127.0.0.1:8075', expected: true },
  { address: 'tcp://127.3.2.1:8075', expected: true },
  { address: 'tls://[::1]:9999', expected: true },
  { address: 'tls://192.0.2.1:9999', expected: true },
  { address: 'tcp://[2001:db8::1]:8075', expected: true },
  { address: 'tcp://One:8075', expected: true },
  { address: 'dns:one:8075', expected: true },
  { address: 'tcp://192.0.2.2:8075', expected: false },
  { address: 'tcp://[2001:db8::2]:8075', expected: false },
  { address: 'tcp://one.example.com:8075', expected: false },
  { address: 'dns:///two:8075', expected: false },
])
  test(`${address} is ${expected ? '' : 'not '}on the machine`, () => {
    assert.equal(isOnMachine(address, MACHINE), expected);
  });

test('this machine has its name and the addresses of its interfaces', () => {
  const machine = thisMachine();

  assert.ok(isOnMachine(`tcp://${hostname()}:8075`, machine));
  for (const { address } of Object.values(networkInterfaces()).flatMap((each) => each ?? []))
    assert.ok(machine.addresses.has(address));
});
