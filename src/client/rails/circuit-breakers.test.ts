import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { startForeignServer } from '#testkit/servers/foreign-server';
import { CircuitBreakers } from './circuit-breakers.ts';
import { GitalyClient } from './index.ts';

const OPEN = {
  code: 'RESOURCE_EXHAUSTED',
  message: 'Gitaly service temporarily unavailable. Circuit is open',
};

function atTime(start = 0) {
  const clock = { now: start };
  return { clock, circuits: new CircuitBreakers(() => clock.now) };
}

function times(count: number, work: () => void): void {
  for (let i = 0; i < count; i++) work();
}

test('a circuit opens when half of five calls within a minute were refused', () => {
  const { circuits } = atTime();

  times(3, () => circuits.noteAnswer('a'));
  times(2, () => circuits.noteRefusal('a'));
  circuits.check('a');
  circuits.noteRefusal('a');

  assert.throws(() => circuits.check('a'), OPEN);
  circuits.check('b');
});

test('four refusals are too few, and those of the minute before do not count', () => {
  const { circuits, clock } = atTime();

  times(4, () => circuits.noteRefusal('a'));
  circuits.check('a');
  clock.now = 60_000;
  times(4, () => circuits.noteRefusal('a'));

  circuits.check('a');
});

test('after a minute one refusal opens it again, and one success closes it', () => {
  const { circuits, clock } = atTime();
  times(5, () => circuits.noteRefusal('a'));

  clock.now = 59_999;
  assert.throws(() => circuits.check('a'), OPEN);
  clock.now = 60_000;
  circuits.check('a');
  circuits.noteRefusal('a');
  assert.throws(() => circuits.check('a'), OPEN);

  clock.now = 120_000;
  circuits.check('a');
  circuits.noteAnswer('a');
  circuits.noteRefusal('a');
  circuits.check('a');
});

test('an overloaded server receives no calls without a user, but those with a user', async () => {
  let calls = 0;
  await using server = await startForeignServer({
    refExists: (_call: unknown, callback: (error: object) => void) => {
      calls++;
      callback({ code: status.RESOURCE_EXHAUSTED, details: 'busy' });
    },
    serverInfo: (_call: unknown, callback: (error: object) => void) =>
      callback({ code: status.INTERNAL, details: 'broken' }),
  });
  let isOn = false;
  await using client = new GitalyClient({
    storages: { default: { gitaly_address: server.address }, other: { gitaly_address: server.address } },
    breaksCircuits: () => isOn,
  });
  const messageOf = (work: Promise<unknown>) => work.then(String, (error: Error) => error.message);
  const ask = (storage = 'default') => messageOf(client.call(storage, (gitaly) => gitaly.ref.refExists({})));
  const info = () => messageOf(client.call('default', (gitaly) => gitaly.server.serverInfo({})));

  for (let i = 0; i < 6; i++) assert.equal(await ask(), 'busy', 'switched off');
  isOn = true;
  for (let i = 0; i < 5; i++) assert.equal(await ask(), 'busy');
  assert.equal(await ask(), OPEN.message);
  assert.equal(calls, 11);

  assert.equal(await ask('other'), 'busy');
  assert.equal(await client.run(() => ask(), { context: { username: 'jane' } }), 'busy');
  for (let i = 0; i < 6; i++) assert.equal(await info(), 'broken', 'other failures do not count');
});
