import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { ChangeFeed } from './change-feed.ts';
import { formatEventLine } from './event-line.ts';

const OTHER = '1'.repeat(40);

/** Starts a feed on what a dead process has left, and returns its events and problems. */
async function recovered(
  prepare: (path: string) => void,
  intents: readonly object[],
): Promise<{ events: string[]; problems: unknown[]; main: string }> {
  await using fixture = await StorageFixture.create();
  const { path, storagePath } = fixture.init('a.git', { commits: 1 });
  const main = fixture.runGit(path, ['rev-parse', 'main']);
  const directory = join(storagePath, '+gitaly/events/intents');
  mkdirSync(directory, { recursive: true });
  for (const [index, intent] of intents.entries())
    writeFileSync(join(directory, `1-${index}.json`), JSON.stringify(intent));
  prepare(path);
  const problems: unknown[] = [];
  const onProblem = (error: unknown): void => void problems.push(error);
  await using feed = await ChangeFeed.open(fixture.storages, {
    maxBytes: 1 << 20,
    maxAgeMs: 1000,
    onProblem,
  });
  const all = (await Array.fromAsync(feed.journal('default').read(0))).flat();
  const events = all.map(({ kind, oldValue = '-', newValue = '-', relativePath }) =>
    kind === 'reference' ? `${oldValue} ${newValue}` : `${kind} ${relativePath}`,
  );
  return { events, problems, main };
}

const moved = (values?: object) => ({ kind: 'references', relativePath: 'a.git', after: 0, values });

test('a change that was made is reported, one that was not is none', async () => {
  const made = await recovered(() => {}, [moved({ 'refs/heads/main': OTHER })]);
  const created = await recovered(() => {}, [moved({ 'refs/heads/main': null })]);
  const failed = await recovered(() => {}, [moved({ 'refs/heads/gone': null })]);

  assert.deepEqual(made.events, [`${OTHER} ${made.main}`]);
  assert.deepEqual(created.events, [`- ${created.main}`]);
  assert.deepEqual(failed.events, []);
});

test('of two changes of a reference the first knows its value', async () => {
  const { events, main } = await recovered(() => {}, [
    { ...moved({ 'refs/heads/main': OTHER }), after: 0 },
    { ...moved({ 'refs/heads/main': '2'.repeat(40) }), after: 0 },
  ]);

  assert.deepEqual(events, [`${OTHER} ${main}`]);
});

test('a change that is not known in detail, and a broken repository, ask for a list', async () => {
  const unknown = await recovered(() => {}, [moved()]);
  const broken = await recovered(
    (path) => writeFileSync(join(path, 'refs/heads/main'), 'no object id'),
    [moved({ 'refs/heads/main': OTHER })],
  );

  assert.deepEqual(unknown.events, ['resync a.git']);
  assert.deepEqual(broken.events, ['resync a.git']);
  assert.ok(broken.problems.length > 0);
});

test('creations, removals and renames depend on what is there', async () => {
  const { events } = await recovered(
    (path) => rmSync(`${path}.moved`, { recursive: true, force: true }),
    [
      { kind: 'created', relativePath: 'a.git', after: 0 },
      { kind: 'created', relativePath: 'never.git', after: 0 },
      { kind: 'removed', relativePath: 'gone.git', after: 0 },
      { kind: 'removed', relativePath: 'a.git', after: 0 },
      { kind: 'renamed', relativePath: 'never.git', previousPath: 'a.git', after: 0 },
    ],
  );

  assert.deepEqual(events, ['created a.git', 'resync a.git', 'removed gone.git']);
});

test('a server starts on a journal whose events are out of order, and asks for a list', async () => {
  await using fixture = await StorageFixture.create();
  const { storagePath } = fixture.init('a.git', { commits: 1 });
  const directory = join(storagePath, '+gitaly/events');
  for (const name of ['intents', 'journal']) mkdirSync(join(directory, name), { recursive: true });
  const line = (sequence: number): string =>
    formatEventLine({ kind: 'resync', relativePath: 'b.git', sequence, timeMs: Date.now() });
  writeFileSync(join(directory, 'journal/0000000000000001.log'), line(1) + line(1));
  writeFileSync(join(directory, 'journal/0000000000000003.log'), line(3));
  writeFileSync(join(directory, 'intents/1-1.json'), JSON.stringify(moved({ 'refs/heads/main': OTHER })));

  await using feed = await ChangeFeed.open(fixture.storages, {
    maxBytes: 1 << 20,
    maxAgeMs: 3_600_000,
    onProblem: (error) => assert.fail(String(error)),
  });

  const events = (await Array.fromAsync(feed.journal('default').read(3))).flat();
  assert.deepEqual(
    events.map(({ kind, relativePath }) => `${kind} ${relativePath}`),
    ['resync a.git'],
  );
});
