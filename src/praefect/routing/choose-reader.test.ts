import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { anyReader, localReaders } from './choose-reader.ts';

/** Addresses for documentation (RFC 5737), and a Unix socket. */
const ADDRESSES = ['tcp://192.0.2.1:8075', 'unix:/b.socket', 'tcp://192.0.2.3:8075', 'tcp://192.0.2.4:8075'];
// Only the address and the identity of a node matter here.
const nodes = ADDRESSES.map((address) => ({ config: { address } })) as GitalyNode[];
const [a, b, c, d] = nodes as [GitalyNode, GitalyNode, GitalyNode, GitalyNode];
const machine = { names: new Set(['localhost']), addresses: new Set(['192.0.2.4']) };

/** Returns the nodes that are chosen, in enough calls to see each that may be. */
function chosen(choose: () => GitalyNode | undefined): readonly (GitalyNode | undefined)[] {
  const seen = new Set(Array.from({ length: 60 }, choose));
  return [a, b, c, d, undefined].filter((node) => seen.has(node));
}

test('a read goes to any of the nodes', () => {
  assert.deepEqual(
    chosen(() => anyReader([a, c])),
    [a, c],
  );
  assert.equal(anyReader([]), undefined);
});

test('a read goes to a node on the same machine, and without one to any', () => {
  const choose = localReaders(nodes, machine);

  assert.deepEqual(
    chosen(() => choose(nodes)),
    [b, d],
  );
  assert.deepEqual(
    chosen(() => choose([a, d])),
    [d],
  );
  assert.deepEqual(
    chosen(() => choose([a, c])),
    [a, c],
  );
  assert.equal(choose([]), undefined);
});
