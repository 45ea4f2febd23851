import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { testSeed } from '#testkit/test-seed';
import { Compaction } from './compaction.ts';
import type { NewEvent, RepositoryEvent } from './event.ts';

const seed = testSeed('COMPACTION_SEED');
const RUNS = 300;
const PATHS = ['a.git', 'b.git', 'c.git', 'd.git'];
const REFERENCES = ['refs/heads/1', 'refs/heads/2', 'refs/heads/3'];

/** The knowledge of a consumer: the references of each repository, and which ones it has to list. */
type Knowledge = Map<string, { readonly references: Map<string, string>; mustList: boolean }>;

function apply(known: Knowledge, { kind, relativePath, previousPath, reference, newValue }: NewEvent): void {
  if (kind === 'created') known.set(relativePath, { references: new Map(), mustList: false });
  if (kind === 'removed') known.delete(relativePath);
  const renamed = previousPath === undefined ? undefined : known.get(previousPath);
  if (kind === 'renamed' && renamed !== undefined) {
    known.delete(previousPath ?? '');
    known.set(relativePath, renamed);
  }
  const repository = known.get(relativePath);
  if (repository === undefined) return;
  // What was known before it is listed does not count.
  if (kind === 'resync') {
    repository.mustList = true;
    repository.references.clear();
  }
  if (reference === undefined) return;
  if (newValue === undefined) repository.references.delete(reference);
  else repository.references.set(reference, newValue);
}

const inOrder = (events: Iterable<RepositoryEvent>): RepositoryEvent[] =>
  [...events].sort((one, other) => one.sequence - other.sequence);

/** Returns a life of some repositories, each of which begins with its creation. */
function randomEvents(random: () => number, count: number): RepositoryEvent[] {
  const known: Knowledge = new Map();
  const pick = <T>(values: readonly T[]): T | undefined => values[Math.floor(random() * values.length)];
  const events: RepositoryEvent[] = [];
  while (events.length < count) {
    const path = pick([...known.keys()]);
    const free = pick(PATHS.filter((each) => !known.has(each)));
    const part = random();
    let event: NewEvent | undefined;
    if (part < 0.15) event = free === undefined ? undefined : { kind: 'created', relativePath: free };
    else if (path === undefined) continue;
    else if (part < 0.22) event = { kind: 'removed', relativePath: path };
    else if (part < 0.32 && free !== undefined)
      event = { kind: 'renamed', relativePath: free, previousPath: path };
    else if (part < 0.37) event = { kind: 'resync', relativePath: path };
    else {
      const reference = pick(REFERENCES) ?? '';
      const newValue = random() < 0.3 ? {} : { newValue: `${events.length}` };
      event = { kind: 'reference', relativePath: path, reference, oldValue: 'x', ...newValue };
    }
    if (event === undefined) continue;
    apply(known, event);
    events.push({ ...event, sequence: events.length + 1, timeMs: 0 });
  }
  return events;
}

function compacted(before: readonly RepositoryEvent[], part: readonly RepositoryEvent[]): RepositoryEvent[] {
  const compaction = new Compaction();
  for (const event of part) compaction.add(event);
  return [...before.map((event) => compaction.merge(event)), ...inOrder(compaction.rest())].filter(
    (event) => event !== undefined,
  );
}

function knowledgeOf(events: readonly NewEvent[]): Knowledge {
  const known: Knowledge = new Map();
  for (const event of events) apply(known, event);
  return known;
}

test('who reads compacted events knows the same as who has read all', (context) => {
  context.diagnostic(`COMPACTION_SEED=${seed}`);
  const random = seededRandom(seed);
  for (let run = 0; run < RUNS; run++) {
    const events = randomEvents(random, 60);
    let left: RepositoryEvent[] = [];
    for (let start = 0; start < events.length; ) {
      const end = start + 1 + Math.floor(random() * 25);
      left = compacted(left, events.slice(start, end));
      start = end;

      assert.deepEqual(knowledgeOf(left), knowledgeOf(events.slice(0, end)));
      const numbers = left.map(({ sequence }) => sequence);
      assert.deepEqual(
        numbers,
        numbers.toSorted((one, other) => one - other),
      );
      assert.equal(new Set(left.map((event) => eventKey(event))).size, left.length, 'one event of each');
    }
  }
});

const eventKey = ({ kind, relativePath, reference }: RepositoryEvent): string =>
  `${kind} ${relativePath} ${reference}`;

const at = (sequence: number, event: NewEvent): RepositoryEvent => ({ sequence, timeMs: 0, ...event });

test('a repository that is older than the feed is to be listed after a move', () => {
  const moved = at(1, { kind: 'renamed', relativePath: 'b.git', previousPath: 'a.git' });

  assert.deepEqual(compacted([], [moved]), [at(1, { kind: 'resync', relativePath: 'b.git' })]);
});

test('a move of a repository whose references were compacted moves these', () => {
  const reference = { kind: 'reference', reference: 'refs/heads/1', newValue: '1' } as const;
  const before = [at(1, { ...reference, relativePath: 'a.git' })];
  const moved = at(2, { kind: 'renamed', relativePath: 'b.git', previousPath: 'a.git' });

  assert.deepEqual(compacted(before, [moved]), [at(1, { ...reference, relativePath: 'b.git' })]);
});

test('an event that nothing is known of leaves nothing', () => {
  const compaction = new Compaction();
  compaction.add(at(1, { kind: 'resync', relativePath: '' }));

  assert.equal(compaction.isUnknown, true);
});
