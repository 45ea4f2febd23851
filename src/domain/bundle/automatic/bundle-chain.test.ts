import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type BundleChain,
  type ChainFacts,
  formatChain,
  isOfferable,
  nextBundle,
  parseChain,
  withBundle,
} from './bundle-chain.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;
const OIDS = ['a', 'b', 'c'].map((digit) => digit.repeat(40));

const bundleAt = (index: number, bytes: number, madeMs: number) => ({
  token: 100 + index,
  key: `r/uri/${index}.bundle`,
  oid: OIDS[index] ?? '',
  bytes,
  madeMs,
});
const full = bundleAt(0, 100 * MIB, 0);
const increment = bundleAt(1, 5 * MIB, DAY_MS);
const chainOf = (...bundles: BundleChain['bundles']): BundleChain => ({
  branch: 'refs/heads/main',
  bundles,
  retired: [],
});
const FACTS: ChainFacts = {
  nowMs: HOUR_MS,
  branch: 'refs/heads/main',
  oid: OIDS[2] ?? '',
  isDescendant: true,
  growthBytes: 0,
  maxAgeMs: DAY_MS,
};

for (const [name, chain, facts, expected] of [
  ['the first bundle is a full one', undefined, {}, 'full'],
  ['another default branch starts again', chainOf(full), { branch: 'refs/heads/trunk' }, 'full'],
  ['a force push starts again', chainOf(full), { isDescendant: false }, 'full'],
  ['nothing new needs no bundle', chainOf(full), { oid: full.oid, nowMs: 100 * DAY_MS }, 'none'],
  ['small growth needs no bundle', chainOf(full), { growthBytes: MIB }, 'none'],
  ['growth by a fiftieth is an increment', chainOf(full), { growthBytes: 2 * MIB }, 'increment'],
  ['of a small one, by a mebibyte', chainOf(bundleAt(0, MIB, 0)), { growthBytes: MIB }, 'full'],
  [
    'small growth waits for half of the age',
    chainOf(full),
    { growthBytes: 1, nowMs: DAY_MS / 2 },
    'increment',
  ],
  ['a week later it is a full one', chainOf(full), { growthBytes: 2 * MIB, nowMs: 7 * DAY_MS }, 'full'],
  ['increments have half of the bytes', chainOf(full, increment), { growthBytes: 46 * MIB }, 'full'],
  ['increments follow increments', chainOf(full, increment), { growthBytes: 44 * MIB }, 'increment'],
  [
    'the increments of a quiet repository are joined after a week',
    chainOf(full, increment),
    { oid: increment.oid, nowMs: 8 * DAY_MS },
    'full',
  ],
  [
    'a long chain starts again',
    chainOf(full, ...Array(30).fill(bundleAt(1, 1, 0))),
    { growthBytes: 3 * MIB },
    'full',
  ],
] as const) {
  test(name, () => {
    assert.equal(nextBundle(chain, { ...FACTS, ...facts }), expected);
  });
}

test('a chain is offered while the branch has its commits, and until it is too old', () => {
  const chain = chainOf(full, increment);

  assert.equal(isOfferable(chain, { ...FACTS, nowMs: 2 * DAY_MS - 1 }), true);
  assert.equal(isOfferable(chain, { ...FACTS, nowMs: 2 * DAY_MS }), false);
  assert.equal(isOfferable(chain, { ...FACTS, nowMs: 9 * DAY_MS, oid: increment.oid }), true);
  assert.equal(isOfferable(chain, { ...FACTS, isDescendant: false }), false);
  assert.equal(isOfferable(chain, { ...FACTS, branch: 'refs/heads/trunk' }), false);
});

test('a full bundle retires all others, an increment none', () => {
  const { branch } = FACTS;
  const grown = withBundle(chainOf(full), { kind: 'increment', branch, bundle: increment });
  assert.deepEqual(grown, chainOf(full, increment));

  const renewed = withBundle(grown, { kind: 'full', branch, bundle: bundleAt(2, 1, 9) });

  assert.deepEqual(renewed, {
    ...chainOf(bundleAt(2, 1, 9)),
    retired: [full, increment].map(({ key }) => ({ key, retiredMs: 9 })),
  });
});

test('the file of a chain is read as it was written; others are no chain', () => {
  const chain = { ...chainOf(full, increment), retired: [{ key: 'old', retiredMs: 1 }] };
  const text = formatChain(chain);

  assert.deepEqual(parseChain(text), chain);
  for (const other of [
    '',
    '{}',
    'null',
    '[]',
    text.replace('"version": 1', '"version": 2'),
    text.slice(0, -5),
  ])
    assert.equal(parseChain(other), undefined, other);
  assert.equal(parseChain(text.replace(full.oid, 'x')), undefined);
  assert.equal(parseChain(text.replace(/"token": \d+/, '"token": "1"')), undefined);
});
