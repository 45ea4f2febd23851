import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { BoundedMap, type BoundedMapOptions } from './bounded-map.ts';

const keysOf = (map: { keys(): Iterable<string> }): string => [...map.keys()].join('');

test('the least recently used entry is removed first', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 2 });

  map.set('a', 1).set('b', 2);
  assert.equal(map.get('a'), 1);
  map.set('c', 3);

  assert.deepEqual([map.get('a'), map.get('b'), map.get('c')], [1, undefined, 3]);
});

test('has and peek do not count as a use', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 2 }).set('a', 1).set('b', 2);

  assert.ok(map.has('a'));
  assert.equal(map.peek('a'), 1);
  map.set('c', 3);

  assert.equal(keysOf(map), 'bc');
});

test('with order of insertion, reading changes nothing and setting again does', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 3, order: 'insertion' });

  map.set('a', 1).set('b', 2).set('c', 3);
  map.get('a');
  map.set('b', 4);
  map.set('d', 5);

  assert.equal(keysOf(map), 'cbd');
});

test('weights are limited in total, and computed again when an entry is set again', () => {
  const map = new BoundedMap<string, string>({ maxEntries: 9, maxWeight: 6, weigh: ({ length }) => length });

  map.set('a', 'xxx').set('b', 'xx');
  assert.equal(map.weight, 5);
  map.set('a', 'x').set('c', 'xxx');
  assert.deepEqual([keysOf(map), map.weight], ['bac', 6]);
  map.set('d', 'xx');
  assert.deepEqual([keysOf(map), map.weight], ['acd', 6]);
});

test('a value that is too heavy by itself is not kept, its key is removed, and other entries stay', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 9, maxWeight: 6, weigh: (value) => value });

  map.set('a', 2).set('b', 3).set('a', 7);

  assert.deepEqual([keysOf(map), map.weight], ['b', 3]);
});

test('without a weighing function every value weighs 1', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 9, maxWeight: 2 });

  map.set('a', 1).set('b', 2).set('c', 3);

  assert.deepEqual([keysOf(map), map.weight], ['bc', 2]);
});

test('a value expires after its maximum age, counted from when it was set', () => {
  let now = 1000;
  const map = new BoundedMap<string, number>({ maxEntries: 9, maxAgeMs: 10, now: () => now });

  map.set('a', 1).set('b', 2);
  now += 9;
  assert.equal(map.get('a'), 1);
  map.set('b', 3);
  now += 1;
  assert.deepEqual([map.get('a'), map.has('b'), map.size], [undefined, true, 1]);
  now += 9;
  assert.equal(map.has('b'), false);
});

test('the default clock is the machine’s', () => {
  assert.equal(new BoundedMap<string, number>({ maxEntries: 1, maxAgeMs: 60_000 }).set('a', 1).get('a'), 1);
});

test('undefined is a value', () => {
  const map = new BoundedMap<string, undefined>({ maxEntries: 2 }).set('a', undefined).set('b', undefined);

  assert.equal(map.get('a'), undefined);

  assert.equal(keysOf(map), 'ba');
});

test('clear removes everything', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 5, maxWeight: 5, maxAgeMs: 5 });

  map.set('a', 1).clear();

  assert.deepEqual([map.size, map.weight, map.has('a')], [0, 0, false]);
});

interface Entry {
  readonly key: string;
  readonly value: number;
  readonly setAt: number;
}

/** A list in order of age, searched from the start for every operation. */
class NaiveMap {
  entries: Entry[] = [];
  readonly #options: BoundedMapOptions<number>;
  readonly #now: () => number;

  constructor(options: BoundedMapOptions<number>, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  get weight(): number {
    return this.entries.reduce((sum, { value }) => sum + value, 0);
  }

  find(key: string): Entry | undefined {
    const { maxAgeMs = Number.POSITIVE_INFINITY } = this.#options;
    const isKept = (entry: Entry): boolean => entry.key !== key || this.#now() - entry.setAt < maxAgeMs;
    this.entries = this.entries.filter(isKept);
    return this.entries.find((entry) => entry.key === key);
  }

  get(key: string): number | undefined {
    const found = this.find(key);
    if (found !== undefined && this.#options.order !== 'insertion') {
      this.delete(key);
      this.entries.push(found);
    }
    return found?.value;
  }

  set(key: string, value: number): void {
    const { maxEntries, maxWeight = Number.POSITIVE_INFINITY } = this.#options;
    this.delete(key);
    if (value <= maxWeight) this.entries.push({ key, value, setAt: this.#now() });
    while (this.entries.length > maxEntries || this.weight > maxWeight) this.entries.shift();
  }

  delete(key: string): boolean {
    const before = this.entries.length;
    this.entries = this.entries.filter((entry) => entry.key !== key);
    return this.entries.length < before;
  }
}

test('it behaves like a list that is searched from the start', () => {
  const limits = fc.record(
    {
      maxEntries: fc.integer({ min: 1, max: 5 }),
      maxWeight: fc.integer({ min: 1, max: 12 }),
      maxAgeMs: fc.integer({ min: 1, max: 12 }),
      order: fc.constantFrom('use' as const, 'insertion' as const),
    },
    { requiredKeys: ['maxEntries'] },
  );
  const step = fc.record({
    action: fc.constantFrom('get', 'peek', 'has', 'set', 'set', 'delete'),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
    value: fc.nat(8),
    passMs: fc.nat(4),
  });
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 60 }), (options, steps) => {
      let time = 0;
      const now = (): number => time;
      const map = new BoundedMap<string, number>({ ...options, weigh: (value) => value, now });
      const naive = new NaiveMap(options, now);
      for (const { action, key, value, passMs } of steps) {
        time += passMs;
        if (action === 'get') assert.equal(map.get(key), naive.get(key));
        else if (action === 'peek') assert.equal(map.peek(key), naive.find(key)?.value);
        else if (action === 'has') assert.equal(map.has(key), naive.find(key) !== undefined);
        else if (action === 'delete') assert.equal(map.delete(key), naive.delete(key));
        else {
          map.set(key, value);
          naive.set(key, value);
        }
        assert.equal(keysOf(map), naive.entries.map((entry) => entry.key).join(''));
        if (options.maxWeight !== undefined) assert.equal(map.weight, naive.weight);
      }
    }),
    { numRuns: 1000 },
  );
});

test('shift deletes the entry that a limit would remove first', () => {
  const map = new BoundedMap<string, number>({ maxEntries: 2, maxWeight: 10, weigh: (value) => value });
  map.set('a', 1).set('b', 2);
  map.get('a');

  assert.equal(map.shift(), 2);

  assert.deepEqual([...map.keys()], ['a']);
  assert.equal(map.weight, 1);
  assert.equal(map.shift(), 1);
  assert.equal(map.shift(), undefined);
});
