import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { debtOf, type ListedRepository, RepositoryTable, type SortKey } from './repository-table.ts';

const { signal } = new AbortController();

/** Returns at most a number of listed repositories. */
async function listed(
  table: RepositoryTable,
  options: { search?: string; sort?: SortKey; from?: number; count?: number } = {},
): Promise<ListedRepository[]> {
  const { count = Number.POSITIVE_INFINITY, from = 0, search = '', sort = 'name' } = options;
  const rows: ListedRepository[] = [];
  for await (const row of table.list({ search, sort, from, signal })) if (rows.push(row) >= count) break;
  return rows;
}

const namesOf = (rows: readonly ListedRepository[]): string[] => rows.map(({ name }) => name);

const PLAIN = { noNullPrototype: true };
const FIGURES = fc.record(
  {
    bytes: fc.nat(),
    looseObjects: fc.nat(10),
    packfiles: fc.nat(3),
    pool: fc.option(fc.constantFrom('@pools/b', '@pools/a'), { nil: undefined }),
  },
  PLAIN,
);
const REPOSITORY = fc.record(
  {
    name: fc.string({ minLength: 1, maxLength: 6 }),
    changedMs: fc.nat(5),
    figures: fc.option(FIGURES, { nil: undefined }),
  },
  PLAIN,
);

test('every order is that of a stable sort of the figures, what is not known last', async () => {
  const repositories = fc.uniqueArray(REPOSITORY, { selector: ({ name }) => name, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(repositories, fc.nat(20), fc.string({ maxLength: 1 }), async (given, from, text) => {
      const search = text.toLowerCase();
      const table = await RepositoryTable.of(given, { signal });
      const byName = given.toSorted((one, other) => (one.name < other.name ? -1 : 1));
      for (const [index, { figures }] of byName.entries()) if (figures) table.setFigures(index, figures);
      const keys: Record<SortKey, (each: (typeof given)[number]) => number> = {
        name: () => 0,
        pushed: ({ changedMs }) => -changedMs,
        size: ({ figures }) => -(figures?.bytes ?? -1),
        debt: ({ figures }) => -(figures === undefined ? -1 : debtOf(figures)),
        pool: ({ figures }) => ['@pools/a', '@pools/b', undefined].indexOf(figures?.pool),
      };
      for (const [sort, rank] of Object.entries(keys) as [SortKey, (typeof keys)['name']][]) {
        const expected = byName
          .toSorted((one, other) => rank(one) - rank(other))
          .filter(({ name }) => name.toLowerCase().includes(search))
          .slice(from);
        const rows = await listed(table, { sort, from, search });
        assert.deepEqual(
          rows.map(({ changedMs, figures, name }) => ({ name, changedMs, figures })),
          expected,
          sort,
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('the next table has the figures of the previous one, and the later times', async () => {
  const names = ['a', 'c', 'e', 'g'];
  const previous = await RepositoryTable.of(
    names.map((name) => ({ name, changedMs: 5 })),
    { signal },
  );
  const figures = { bytes: 1, looseObjects: 2, packfiles: 3, pool: '@pools/x' };
  previous.setFigures(1, figures);
  previous.setFigures(3, { ...figures, bytes: 9 });
  previous.setChanged(3, 8);

  const found = ['b', 'c', 'd', 'g', 'h'].map((name) => ({ name, changedMs: name === 'c' ? 7 : 1 }));
  const next = await RepositoryTable.of(found, { previous, signal });

  const rows = await listed(next);
  assert.deepEqual(
    rows.map(({ changedMs, figures: each, name }) => [name, changedMs, each?.bytes]),
    [
      ['b', 1, undefined],
      ['c', 7, 1],
      ['d', 1, undefined],
      ['g', 8, 9],
      ['h', 1, undefined],
    ],
  );
  assert.equal(next.measured, 2);
  assert.deepEqual(
    rows.map(({ index }) => next.isStale(index)),
    [true, true, true, true, true],
  );
  next.setFigures(1, figures);
  assert.equal(next.isStale(1), false);
});

test('a page of many repositories is read without those before it', async () => {
  const found = Array.from({ length: 50_000 }, (_, index) => ({
    name: `r-${String(index).padStart(6, '0')}.git`,
    changedMs: (index * 7919) % 50_000,
  }));
  const table = await RepositoryTable.of(found, { signal });

  assert.deepEqual(namesOf(await listed(table, { from: 49_998, count: 100 })), [
    'r-049998.git',
    'r-049999.git',
  ]);
  const latest = await listed(table, { sort: 'pushed', count: 3 });
  assert.deepEqual(
    latest.map(({ changedMs }) => changedMs),
    [49_999, 49_998, 49_997],
  );
  // An order that is a few seconds old is used again: no request waits for a sort.
  table.setChanged(0, 1e9);
  assert.deepEqual(namesOf(await listed(table, { sort: 'pushed', count: 3 })), namesOf(latest));
});

test('a search ends when it is aborted', async () => {
  const found = Array.from({ length: 2000 }, (_, index) => ({ name: `${index}`, changedMs: 0 }));
  const table = await RepositoryTable.of(found, { signal });
  const options = {
    search: 'x',
    sort: 'size',
    from: 0,
    signal: AbortSignal.abort(new Error('gone')),
  } as const;

  await assert.rejects(table.list(options).next(), /gone/);
});
