import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedNode } from '#testkit/feed/scripted-node';
import { Event_Kind as Kind } from '#wire/gen/gitalyts/events/v1/events_pb';
import { currentPosition, movesSince } from './node-journal.ts';

const PATH = '@cluster/1';
const at = (last: number | undefined) => ({ last: () => last });
const position = { node: 'gitaly-1', journal: 'journal-1', sequence: 10 };

function nodeWithMoves(): ScriptedNode {
  const node = new ScriptedNode('gitaly-1');
  const ofMain = { relativePath: PATH, reference: 'refs/heads/main' };
  node.events.push(
    { ...ofMain, sequence: 10, oldValue: '0', newValue: '1' },
    { ...ofMain, sequence: 11, oldValue: '1', newValue: '2' },
    { ...ofMain, sequence: 12, relativePath: '@cluster/10', newValue: '9' },
    { ...ofMain, sequence: 13, oldValue: '2' },
    { ...ofMain, sequence: 14, reference: 'refs/heads/\xe4', newValue: '3' },
    { ...ofMain, sequence: 15, relativePath: '@cluster/2', newValue: '8' },
  );
  return node;
}

test('the moves since a place are those of the repository, up to a new place', async () => {
  const { node } = nodeWithMoves();

  assert.deepEqual(await movesSince(node, PATH, { position, nodeEvents: at(15) }), {
    moves: [
      { reference: 'refs/heads/main', oldValue: '1', newValue: '2', sequence: 11 },
      { reference: 'refs/heads/main', oldValue: '2', newValue: undefined, sequence: 13 },
      { reference: 'refs/heads/\xe4', oldValue: undefined, newValue: '3', sequence: 14 },
    ],
    position: { ...position, sequence: 15 },
  });
});

test('moves since a place of another node or journal are not known', async () => {
  const { node } = nodeWithMoves();
  const since = async (place: Partial<typeof position>) =>
    await movesSince(node, PATH, { position: { ...position, ...place }, nodeEvents: at(15) });

  assert.equal(await since({ node: 'gitaly-2' }), undefined);
  assert.equal(await since({ journal: 'journal-2' }), undefined);
  assert.notEqual(await since({}), undefined);
});

test('a node without a feed is not asked for moves', async () => {
  const scripted = nodeWithMoves();

  assert.equal(await movesSince(scripted.node, PATH, { position, nodeEvents: at(undefined) }), undefined);
  assert.equal(await currentPosition(scripted.node, PATH, at(undefined)), undefined);
  assert.deepEqual(scripted.lists, []);
});

test('a node is not made to read more than ten thousand events', async () => {
  const { node } = nodeWithMoves();
  const moves = async (last: number) => await movesSince(node, PATH, { position, nodeEvents: at(last) });

  assert.equal((await moves(10_010))?.moves.length, 3);
  assert.equal(await moves(10_011), undefined);
});

test('more than ten thousand moves are not known', async () => {
  const scripted = new ScriptedNode('gitaly-1');
  const add = (sequence: number) =>
    scripted.events.push({
      sequence,
      relativePath: PATH,
      reference: `refs/heads/${sequence}`,
      newValue: '1',
    });
  for (let sequence = 11; sequence <= 10_010; sequence++) add(sequence);
  const moves = async () => await movesSince(scripted.node, PATH, { position, nodeEvents: at(10_010) });

  assert.equal((await moves())?.moves.length, 10_000);
  assert.equal(scripted.lists.length, 10, 'a thousand at a time');
  for (let sequence = 10_011; sequence <= 11_012; sequence++) add(sequence);
  assert.equal(await moves(), undefined);
});

for (const [name, event] of Object.entries({
  'a creation': { kind: Kind.CREATED, relativePath: PATH },
  'a resync of all repositories': { kind: Kind.RESYNC, relativePath: '' },
}))
  test(`after ${name} the moves are not known`, async () => {
    const scripted = nodeWithMoves();
    scripted.events.push({ sequence: 16, ...event });

    assert.equal(await movesSince(scripted.node, PATH, { position, nodeEvents: at(16) }), undefined);
  });

test('the current place is behind the last event, for the node that has it', async () => {
  const scripted = nodeWithMoves();
  const current = async () => await currentPosition(scripted.node, PATH, at(15));

  assert.deepEqual(await current(), { ...position, sequence: 15 });
  assert.deepEqual(
    scripted.lists.map(({ after, limit }) => [after, limit]),
    [[15n, 1]],
    'one event is enough',
  );
  scripted.journal = '';
  assert.equal(await current(), undefined);
});

test('a node whose feed is off or has been compacted has no place; other errors are reported', async () => {
  const scripted = nodeWithMoves();
  const moves = async () => await movesSince(scripted.node, PATH, { position, nodeEvents: at(15) });

  for (const code of ['UNIMPLEMENTED', 'OUT_OF_RANGE'] as const) {
    scripted.eventsFail = code;
    assert.equal(await moves(), undefined, code);
    assert.equal(await currentPosition(scripted.node, PATH, at(15)), undefined, code);
  }
  scripted.eventsFail = 'UNAVAILABLE';
  await assert.rejects(moves(), { code: 'UNAVAILABLE' });
});
