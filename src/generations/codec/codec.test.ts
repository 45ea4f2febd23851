import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { watchBlocks } from '#testkit/measure/loop-turns';
import { machineSlowness } from '#testkit/measure/machine-slowness';
import { ChainState } from '../chain/chain-state.ts';
import { openCheckpoint, sealCheckpoint } from './checkpoint.ts';
import { type Generation, openChanges, openGeneration, sealChanges, sealGeneration } from './generation.ts';
import { openReferences, sealReferences } from './references.ts';
import { FLOOR, LEASE, MARK, PATH_RECORD, PIN, STORE } from './small-records.ts';

const GENERATION: Generation = {
  n: 1,
  previous: '',
  owner: { server: 'a', epoch: 1 },
  nonce: 'n',
  kind: 'create',
  head: 0,
  timeMs: 5,
  changes: [],
  packsAdded: [],
  packsRemoved: [],
  doomed: [],
  settings: {},
  requests: [],
};

/** Names of references are bytes, one per character. */
const name = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) =>
  Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\0-\x20\x7f]/g, '_'),
);
const oid = fc.stringMatching(/^[0-9a-f]{40}$/);

/** The copy of all pieces, and a collection of garbage. */
const LONGEST_BLOCK_MS = 60;
/** One may be interrupted by a collection of garbage on a busy machine. */
const ATTEMPTS = 5;

test('a generation is decoded as it was encoded, with any names and any inline pack', () => {
  const change = fc.record({ name, old: oid, new: oid }, { noNullPrototype: true });
  fc.assert(
    fc.property(
      fc.array(change),
      fc.uint8Array(),
      fc.dictionary(fc.string(), fc.string()),
      (changes, pack, extra) => {
        const settings = Object.fromEntries(Object.entries(extra).filter(([key]) => key !== '__proto__'));
        const generation = { ...GENERATION, changes, settings, packsAdded: ['p'], doomed: ['d'] };
        const sealed = sealGeneration(generation, Buffer.from(pack));

        const read = openGeneration(sealed.bytes);

        assert.deepEqual(read.generation, generation);
        assert.deepEqual([read.checksum, read.inline], [sealed.checksum, Buffer.from(pack)]);
      },
    ),
  );
});

test('a record with any changed byte, or cut off, is damaged', () => {
  const { bytes } = sealGeneration(GENERATION, Buffer.from('pack'));
  const damaged = { name: 'ProtocolError', problem: 'damaged' };
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    assert.throws(() => openGeneration(changed), damaged, String(index));
    assert.throws(() => openGeneration(bytes.subarray(0, index)), damaged, String(index));
  }
});

test('a record of another kind, or with other fields, is damaged', () => {
  const damaged = { name: 'ProtocolError', problem: 'damaged' };
  const floor = FLOOR.seal({ n: 1, owner: GENERATION.owner, nonce: 'n' });

  assert.throws(() => openGeneration(floor), damaged);
  assert.throws(() => FLOOR.open(PIN.seal({ packs: [] })), damaged);
  assert.throws(() => openGeneration(sealGeneration({ ...GENERATION, n: 0 }).bytes), damaged);
  assert.throws(
    () => openGeneration(sealGeneration({ ...GENERATION, kind: 'other' as 'write' }).bytes),
    damaged,
  );
});

test('the small records are decoded as they were encoded', () => {
  const lease = {
    server: 'a',
    epoch: 2,
    process: 'p',
    address: 'x:1',
    ttlMs: 15_000,
    counter: 3,
    nonce: 'n',
  };
  const mark = { n: 4, checksum: 'c', incarnation: 'i', server: 's', bootId: 'b', fileSystem: 'f' };
  for (const [codec, value] of [
    [LEASE, { ...lease, state: 'released' as const }],
    [FLOOR, { n: 1, owner: GENERATION.owner, nonce: 'n' }],
    [PIN, { packs: ['a', 'b'] }],
    [PATH_RECORD, { kind: 'arriving' as const, id: 'i', nonce: 'n', from: 'old.git' }],
    [STORE, { incarnation: 'i' }],
    [MARK, mark],
  ] as const) {
    // Each codec is paired with a value of its type.
    const { seal, open } = codec as { seal: (value: object) => Buffer; open: (bytes: Buffer) => object };
    assert.deepEqual(open(seal(value)), value);
  }
  const changes = [{ name: 'refs/heads/a', new: '1'.repeat(40) }];
  assert.deepEqual(openChanges(sealChanges(changes).bytes).changes, changes);
});

test('references are a packed-refs file of git, with symbolic ones in comments', async () => {
  const references = new Map([
    ['refs/heads/b', '2'.repeat(40)],
    ['HEAD', 'ref: refs/heads/a'],
    ['refs/heads/a', '1'.repeat(40)],
  ]);

  const { bytes, checksum } = await sealReferences(references);

  assert.equal(
    bytes.toString(),
    [
      '# pack-refs with: sorted ',
      `${'1'.repeat(40)} refs/heads/a`,
      `${'2'.repeat(40)} refs/heads/b`,
      '# ref: refs/heads/a HEAD',
      '',
    ].join('\n'),
  );
  assert.deepEqual(await openReferences(bytes, checksum), references);
  await assert.rejects(openReferences(Buffer.from('x'), checksum), { problem: 'damaged' });
});

test('a state is the same after a checkpoint and the generations since', async () => {
  const state = new ChainState();
  let previous = '';
  const add = (parts: Partial<Generation>, inline = ''): void => {
    const generation = { ...GENERATION, ...parts, n: state.n + 1, previous, nonce: String(state.n) };
    const sealed = sealGeneration(generation, Buffer.from(inline));
    previous = sealed.checksum;
    state.apply(sealed);
  };
  add({});
  add({
    kind: 'write',
    changes: [{ name: 'HEAD', new: 'ref: a' }],
    packsAdded: ['p'],
    settings: { config: 'x' },
  });
  add({
    kind: 'write',
    owner: { server: 'b', epoch: 1 },
    requests: [{ correlationId: 'c', hash: 'h', principal: 'u' }],
  });
  add({ kind: 'doomed', owner: { server: 'b', epoch: 1 }, doomed: ['q'] });

  const { bytes, checksum } = await sealReferences(state.references);
  const stored = openCheckpoint(sealCheckpoint(state.toCheckpoint(checksum)).bytes);
  const copy = ChainState.fromCheckpoint(stored, await openReferences(bytes, checksum));

  assert.deepEqual(copy.toCheckpoint(checksum), state.toCheckpoint(checksum));
  assert.deepEqual([...copy.kept], [0, 1, 2, 3]);
  assert.deepEqual([copy.barrier, copy.isNamed('p'), copy.isNamed('q')], [4, true, false]);
  assert.equal(copy.requests.get('c')?.n, 3);
});

test('many references are encoded, decoded and copied in slices of the event loop', async () => {
  const names = Array.from(
    { length: 100_000 },
    (_, index) => `refs/heads/branch-${(index * 7919) % 100_003}`,
  );
  const state = new ChainState(new Map(names.map((name) => [name, '1'.repeat(40)])));
  let [blockMs, limitMs] = [Number.POSITIVE_INFINITY, 0];
  for (let attempt = 0; attempt < ATTEMPTS && blockMs >= limitMs; attempt++) {
    using blocks = watchBlocks();

    const { bytes, checksum } = await sealReferences(state.references);
    const opened = await openReferences(bytes, checksum);
    const copy = await state.copy();

    [blockMs, limitMs] = [blocks.cpuMs, LONGEST_BLOCK_MS * machineSlowness()];
    assert.deepEqual(opened, state.references);
    assert.deepEqual(copy.references, state.references);
  }
  assert.ok(blockMs > 0 && blockMs < limitMs, `${blockMs} ms`);
});
