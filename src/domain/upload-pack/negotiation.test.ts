import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { FLUSH, packet } from '#testkit/repositories/push';
import { Negotiation, type NegotiationStatistics } from './negotiation.ts';

const OID = '1'.repeat(40);

function read(...pieces: readonly string[]): NegotiationStatistics & { isWellFormed: boolean } {
  const negotiation = new Negotiation();
  for (const piece of pieces) negotiation.push(Buffer.from(piece));
  return { ...negotiation.statistics, isWellFormed: negotiation.isWellFormed };
}

const V0 =
  packet(`want ${OID} multi_ack_detailed no-done side-band-64k agent=git/2.29.2\n`) +
  packet(`want ${OID}\n`) +
  packet(`shallow ${OID}`) +
  packet('deepen 1\n') +
  packet('filter blob:none\n') +
  FLUSH +
  packet(`have ${OID}\n`) +
  packet(`have ${OID}\n`) +
  FLUSH +
  packet('done\n');

test('a negotiation of protocol v0 is counted', () => {
  assert.deepEqual(read(V0), {
    payloadBytes: 103 + 45 + 48 + 8 + 16 + 45 + 45 + 'done'.length,
    packets: 9,
    capabilities: ['multi_ack_detailed', 'no-done', 'side-band-64k', 'agent=git/2.29.2'],
    wants: 2,
    haves: 2,
    shallows: 1,
    deepen: 'deepen 1',
    filter: 'blob:none',
    command: '',
    userAgent: 'git/2.29.2',
    isWellFormed: true,
  });
});

test('protocol v2 names command and agent in packets of their own', () => {
  const statistics = read(
    [
      ...[packet('command=fetch'), packet('agent=git/2.45'), packet('object-format=sha1'), '0001'],
      ...[packet('thin-pack'), packet(`want ${OID}\n`), packet('done\n'), FLUSH],
    ].join(''),
  );

  assert.deepEqual(
    [statistics.command, statistics.userAgent, statistics.wants, statistics.packets],
    ['fetch', 'git/2.45', 1, 6],
  );
  assert.equal(statistics.payloadBytes, 13 + 14 + 18 + 9 + 45 + 'done'.length);
});

test('nothing is counted after done', () => {
  assert.equal(read(packet('done\n') + packet(`have ${OID}\n`)).haves, 0);
});

test('a line that makes no sense ends the counting', () => {
  for (const line of [
    'want',
    'have',
    'have a b',
    'shallow a b',
    'deepen',
    'filter a b',
    `want ${OID} caps\n`,
  ]) {
    const statistics = read(packet(`want ${OID} caps\n`) + packet(line) + packet(`have ${OID}`));

    assert.deepEqual([statistics.isWellFormed, statistics.wants, statistics.haves], [false, 1, 0], line);
  }
});

test('bytes that are no packets end the counting', () => {
  assert.equal(read('zzzz', packet(`have ${OID}`)).isWellFormed, false);
  assert.equal(read('fff1').isWellFormed, false);
});

test('a packet that does not end is none, but for what comes after done', () => {
  assert.equal(read(packet('want x\n'), '00').isWellFormed, false);
  assert.equal(read(packet('want x\n').slice(0, -1)).isWellFormed, false);
  assert.equal(read(`${packet('done\n')}00`).isWellFormed, true);
});

test('the result does not depend on how the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: V0.length }), { maxLength: 8 }), (cuts) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), V0.length];
      assert.deepEqual(read(...edges.slice(1).map((edge, index) => V0.slice(edges[index], edge))), read(V0));
    }),
  );
});
