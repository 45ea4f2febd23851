import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RepositoryState } from '../repository-state.ts';
import { decideCommitGraph } from './commit-graph.ts';
import {
  decidePrune,
  decideRepack,
  maxLooseReferences,
  maxUntrackedPacks,
  planAsNeeded,
  planEverything,
  shouldPackReferences,
} from './plan-maintenance.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW_MS = 1_700_000_000_000;
const GRAPH = {
  chainLength: 1,
  hasBloomFilters: true,
  hasGenerationData: true,
  hasGenerationDataOverflow: false,
};

interface Facts {
  packs?: number;
  cruft?: number;
  packBytes?: bigint;
  /** Packs in the multi-pack-index; `undefined` for none. */
  indexed?: number | undefined;
  loose?: number;
  stale?: number;
  rest?: Partial<RepositoryState>;
}

/** Returns a repository that needs nothing, except for these facts. */
function state({
  packs = 1,
  cruft = 0,
  packBytes = 0n,
  loose = 0,
  stale = 0,
  rest,
  ...more
}: Facts = {}): RepositoryState {
  const indexed = 'indexed' in more ? more.indexed : packs;
  return {
    isPool: false,
    looseObjects: { count: loose, size: 0n, staleCount: stale, staleSize: 0n, garbageCount: 0 },
    packfiles: {
      count: packs,
      size: packBytes,
      reverseIndexCount: packs,
      cruftCount: cruft,
      cruftSize: 0n,
      keepCount: 0,
      keepSize: 0n,
      bitmap: undefined,
      multiPackIndex:
        indexed === undefined
          ? undefined
          : {
              version: 1,
              packfileCount: indexed,
              hasLargeOffsets: false,
              hasBitmappedPacks: false,
              hasReverseIndex: false,
            },
      multiPackIndexBitmap: undefined,
    },
    references: { backend: 'files', looseCount: 1, packedSizeBytes: 0 },
    commitGraph: GRAPH,
    alternateCount: 0,
    alternatesModifiedMs: undefined,
    lastFullRepackMs: NOW_MS - DAY_MS,
    ...rest,
  };
}

const REPACKS: readonly (readonly [name: string, facts: Facts, strategy: string | undefined])[] = [
  ['no objects at all', { packs: 0, indexed: undefined }, undefined],
  ['one pack in the index', {}, undefined],
  [
    'alternates that are newer than the last full repack',
    { rest: { alternatesModifiedMs: NOW_MS } },
    'full_with_cruft',
  ],
  ['alternates that are older', { rest: { alternatesModifiedMs: NOW_MS - 2 * DAY_MS } }, undefined],
  [
    'two packs and no known full repack',
    { packs: 2, rest: { lastFullRepackMs: undefined } },
    'full_with_cruft',
  ],
  [
    'two packs, five days after a full repack',
    { packs: 2, rest: { lastFullRepackMs: NOW_MS - 5 * DAY_MS } },
    undefined,
  ],
  [
    'two packs, a moment later',
    { packs: 2, rest: { lastFullRepackMs: NOW_MS - 5 * DAY_MS - 1 } },
    'full_with_cruft',
  ],
  ['a pack and a cruft pack', { packs: 2, cruft: 1, rest: { lastFullRepackMs: undefined } }, undefined],
  ['no multi-pack-index', { indexed: undefined }, 'geometric'],
  ['two packs outside the index', { packs: 3, indexed: 1 }, undefined],
  ['three packs outside the index', { packs: 4, indexed: 1 }, 'geometric'],
  ['three packs outside the index of 10 MiB', { packs: 4, indexed: 1, packBytes: 10n << 20n }, undefined],
  ['an index that lists packs that are gone', { packs: 1, indexed: 2 }, 'geometric'],
  ['1024 loose objects', { loose: 1024 }, undefined],
  ['1025 loose objects', { loose: 1025 }, 'incremental_with_unreachable'],
  [
    'a pool with two packs',
    { packs: 2, rest: { isPool: true, lastFullRepackMs: undefined } },
    'full_with_unreachable',
  ],
];

for (const [name, facts, strategy] of REPACKS) {
  test(`with ${name} the repack is ${strategy ?? 'none'}`, () => {
    assert.equal(decideRepack(state(facts), NOW_MS)?.strategy, strategy);
  });
}

test('a repack writes bitmaps only without alternates, and expires objects after ten days', () => {
  const facts = { packs: 2, rest: { lastFullRepackMs: undefined } };
  const expected = {
    strategy: 'full_with_cruft',
    expireBeforeMs: NOW_MS - 10 * DAY_MS,
    writeBitmap: true,
    writeMultiPackIndex: true,
  };
  assert.deepEqual(decideRepack(state(facts), NOW_MS), expected);
  const member = state({ ...facts, rest: { ...facts.rest, alternateCount: 1 } });
  assert.deepEqual(decideRepack(member, NOW_MS), { ...expected, writeBitmap: false });
});

test('the accepted number of packs outside the index grows with the size', () => {
  // Examples of the specification.
  assert.equal(maxUntrackedPacks(0n), 2);
  assert.equal(maxUntrackedPacks(10n << 20n), 3);
  assert.equal(maxUntrackedPacks(1000n << 20n), 11);
});

test('the accepted number of loose references grows with packed-refs', () => {
  // Examples of the specification.
  for (const [bytes, count] of [
    [0, 16],
    [1, 16],
    [1024, 16],
    [10 * 1024, 33],
    [100 * 1024, 49],
    [1e6, 65],
    [10 * 2 ** 20, 82],
    [100 * 2 ** 20, 99],
  ] as const)
    assert.equal(maxLooseReferences(bytes), count, String(bytes));
});

test('references are packed at the accepted number of loose ones', () => {
  const packs = (looseCount: number) =>
    shouldPackReferences({ backend: 'files', looseCount, packedSizeBytes: 100 });
  assert.deepEqual([0, 15, 16].map(packs), [false, false, true]);
});

test('tables are compacted when one is less than twice as large as the next newer one', () => {
  const packs = (...tableSizesBytes: number[]) =>
    shouldPackReferences({ backend: 'reftable', tableSizesBytes });
  assert.equal(packs(), false);
  assert.equal(packs(100), false);
  assert.equal(packs(228, 128), false);
  assert.equal(packs(227, 128), true);
  assert.equal(packs(1000, 227, 128), true);
});

test('references of an unknown backend are never packed', () => {
  assert.equal(shouldPackReferences({ backend: 'other' }), false);
});

test('joining a pool needs a full repack, unless one came later or at the same time', () => {
  const strategyAt = (alternatesModifiedMs: number) => {
    const rest = { alternateCount: 1, alternatesModifiedMs, lastFullRepackMs: NOW_MS };
    return decideRepack(state({ rest }), NOW_MS)?.strategy;
  };

  assert.deepEqual(
    [-1, 0, 1].map((ms) => strategyAt(NOW_MS + ms)),
    [undefined, undefined, 'full_with_cruft'],
  );
});

test('a geometric repack writes a bitmap without alternates, an incremental one never', () => {
  const bitmapOf = (facts: Facts, alternateCount: number) => {
    const { strategy, writeBitmap, writeMultiPackIndex } =
      decideRepack(state({ ...facts, rest: { alternateCount } }), NOW_MS) ?? {};
    return [strategy, writeBitmap, writeMultiPackIndex];
  };
  const [geometric, incremental] = [{ indexed: undefined }, { loose: 1025 }];

  assert.deepEqual(bitmapOf(geometric, 0), ['geometric', true, true]);
  assert.deepEqual(bitmapOf(geometric, 1), ['geometric', false, true]);
  for (const alternates of [0, 1])
    assert.deepEqual(bitmapOf(incremental, alternates), ['incremental_with_unreachable', false, false]);
});

test('objects are pruned beyond 1024 stale ones, never in a pool', () => {
  assert.equal(decidePrune(state({ stale: 1024 }), NOW_MS), undefined);
  assert.deepEqual(decidePrune(state({ stale: 1025 }), NOW_MS), { expireBeforeMs: NOW_MS - 10 * DAY_MS });
  assert.equal(decidePrune(state({ stale: 1025, rest: { isPool: true } }), NOW_MS), undefined);
});

test('a repack adds to the commit-graph; it is written anew when commits expire or data are missing', () => {
  const repack = { strategy: 'geometric', writeBitmap: true, writeMultiPackIndex: true } as const;
  const full = { ...repack, strategy: 'full_with_cruft', expireBeforeMs: 1 } as const;
  const graph = (commitGraph: RepositoryState['commitGraph']) => state({ rest: { commitGraph } });
  assert.equal(decideCommitGraph(state(), {}), undefined);
  assert.deepEqual(decideCommitGraph(state(), { repack }), { replaceChain: false });
  assert.deepEqual(decideCommitGraph(state(), { repack: full }), { replaceChain: true });
  assert.deepEqual(decideCommitGraph(state(), { prune: { expireBeforeMs: 1 } }), { replaceChain: true });
  assert.deepEqual(decideCommitGraph(graph(undefined), {}), { replaceChain: true });
  assert.deepEqual(decideCommitGraph(graph({ ...GRAPH, chainLength: 0 }), {}), { replaceChain: true });
  assert.deepEqual(decideCommitGraph(graph({ ...GRAPH, hasBloomFilters: false }), {}), {
    replaceChain: true,
  });
  assert.deepEqual(decideCommitGraph(graph({ ...GRAPH, hasGenerationData: false }), {}), {
    replaceChain: true,
  });
  const empty = state({ rest: { references: { backend: 'files', looseCount: 0, packedSizeBytes: 0 } } });
  assert.equal(decideCommitGraph(empty, { repack: full }), undefined);
});

test('everything is a full repack, a new commit-graph and, except in a pool, pruning', () => {
  const plan = planEverything(state(), NOW_MS);
  assert.equal(plan.repack?.strategy, 'full_with_cruft');
  assert.deepEqual(plan.commitGraph, { replaceChain: true });
  assert.deepEqual(plan.prune, { expireBeforeMs: NOW_MS - 10 * DAY_MS });
  const pool = planEverything(state({ rest: { isPool: true } }), NOW_MS);
  assert.deepEqual([pool.repack?.strategy, pool.prune], ['full_with_unreachable', undefined]);
});

test('a good repository needs nothing', () => {
  assert.deepEqual(planAsNeeded(state(), NOW_MS), {
    repack: undefined,
    prune: undefined,
    packReferences: false,
    commitGraph: undefined,
  });
});
