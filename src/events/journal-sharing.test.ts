import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventsRoot } from '#storage/storage-layout';
import { moduleOptions } from '#testkit/programs/program-command';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { ChangeFeed } from './change-feed.ts';
import type { NewEvent } from './event.ts';
import { Journal } from './journal.ts';
import { segmentPath } from './segments.ts';

const LIMITS = { maxBytes: 1 << 20, maxAgeMs: 60_000 };
/** First number of the events of a process that shares the journal of another with one event. */
const OWN_EVENTS = 1_000_002;
const onProblem = (error: unknown): never => assert.fail(String(error));

function change(relativePath: string, number: number): NewEvent {
  return { kind: 'reference', relativePath, reference: `refs/heads/${number}`, newValue: 'a'.repeat(40) };
}

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('shared-journal');
  mkdirSync(directory, { recursive: true });
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens the journals of a process and of its successor. */
async function given(context: TestContext) {
  const directory = scratch(context);
  const before = await Journal.open({ ...LIMITS, directory, onProblem });
  await before.add([change('a.git', 1)]);
  const after = await Journal.open({ ...LIMITS, directory, onProblem, isShared: true });
  context.after(() => after[Symbol.asyncDispose]());
  return { before, after, directory };
}

async function eventsOf(journal: Journal, cursor = 0): Promise<string[]> {
  const events = (await Array.fromAsync(journal.read(cursor))).flat();
  return events.map(({ kind, reference, relativePath, sequence }) =>
    [sequence, kind === 'reference' ? reference?.slice('refs/heads/'.length) : kind, relativePath].join(' '),
  );
}

test('a journal without events of its own continues with those of the process before', async (context) => {
  const { after, before, directory } = await given(context);
  const { news } = after;
  await before.add([change('a.git', 2)]);
  await before[Symbol.asyncDispose]();

  await after.takeOver();
  await news;
  await after.add([change('a.git', 3)]);

  assert.deepEqual(await eventsOf(after), ['1 1 a.git', '2 2 a.git', '3 3 a.git']);
  assert.equal(readdirSync(directory).length, 1);
});

test('two processes use different numbers; events that readers may miss are replaced', async (context) => {
  const { after, before, directory } = await given(context);
  await after.add([change('b.git', 2)]);
  const cursor = after.last;
  await before.add([change('a.git', 3), change('a.git', 4), change('c.git', 5)]);
  await after.add([change('b.git', 6)]);
  await before[Symbol.asyncDispose]();
  appendFileSync(join(directory, readdirSync(directory).sort()[0] ?? ''), '12345678 {"seq'); // it was killed

  await after.takeOver();

  const own = cursor;
  const later = [`${own + 1} 6 b.git`, `${own + 2} resync a.git`, `${own + 3} resync c.git`];
  assert.deepEqual(await eventsOf(after, cursor), later);
  const all = ['1 1 a.git', '2 3 a.git', '3 4 a.git', '4 5 c.git', `${own} 2 b.git`, ...later];
  assert.deepEqual(await eventsOf(after), all);
  await after[Symbol.asyncDispose]();
  await using next = await Journal.open({ ...LIMITS, directory, onProblem });
  assert.deepEqual(await eventsOf(next), all);
});

test('repositories that the process before has created or removed need a general resync', async (context) => {
  const { after, before } = await given(context);
  await after.add([change('b.git', 2)]);
  const cursor = after.last;
  await before.add([{ kind: 'removed', relativePath: 'a.git' }]);
  await before[Symbol.asyncDispose]();

  await after.takeOver();

  assert.deepEqual(await eventsOf(after, cursor), [`${cursor + 1} resync `]);
});

test('an event that could not be written before the takeover is written after it', async (context) => {
  const directory = scratch(context);
  const before = await Journal.open({ ...LIMITS, directory, onProblem });
  await before.add([change('a.git', 1)]);
  const problems: unknown[] = [];
  const keep = (error: unknown): void => void problems.push(error);
  await using after = await Journal.open({ ...LIMITS, directory, isShared: true, onProblem: keep });
  const obstacle = segmentPath(directory, OWN_EVENTS);
  mkdirSync(obstacle);
  assert.equal(await after.add([change('b.git', 2)]), false);
  await before.add([change('a.git', 3)]);
  await before[Symbol.asyncDispose]();
  rmSync(obstacle, { recursive: true });

  await after.takeOver();
  assert.equal(await after.add([change('b.git', 4)]), true);

  assert.equal(problems.length, 1);
  assert.deepEqual(await eventsOf(after), [
    ...['1 1 a.git', '2 3 a.git', `${OWN_EVENTS} 2 b.git`],
    ...[`${OWN_EVENTS + 1} resync a.git`, `${OWN_EVENTS + 2} 4 b.git`],
  ]);
});

// Symptom: after an error of the disk, consumers did not get what replaces events that were lost.
for (const names of [['0.compacted', '1.compacted'], ['9.log']])
  test(`a takeover that failed at ${names[0]} reports lost events when repeated`, async (context) => {
    const { after, before, directory } = await given(context);
    await before.add([change('a.git', 2)]);
    await before[Symbol.asyncDispose]();
    appendFileSync(join(directory, readdirSync(directory).sort()[0] ?? ''), '12345678 {"seq\n');
    const obstacles = names.map((name) => join(directory, `${'0'.repeat(15)}${name}`));
    for (const obstacle of obstacles) mkdirSync(obstacle);
    await assert.rejects(after.takeOver());
    for (const obstacle of obstacles) rmSync(obstacle, { recursive: true });

    await after.takeOver();

    const events = await eventsOf(after);
    assert.deepEqual(events.slice(0, 2), ['1 1 a.git', '2 2 a.git']);
    assert.match(events[2] ?? '', / resync $/);
  });

test('a line that the process before is writing stays', async (context) => {
  const directory = scratch(context);
  await using before = await Journal.open({ ...LIMITS, directory, onProblem });
  await before.add([change('a.git', 1)]);
  const file = join(directory, readdirSync(directory)[0] ?? '');
  appendFileSync(file, '12345678 {"seq');
  const content = readFileSync(file);

  await using after = await Journal.open({ ...LIMITS, directory, onProblem, isShared: true });

  assert.deepEqual(await eventsOf(after), ['1 1 a.git']);
  assert.deepEqual(readFileSync(file), content);
});

test('if a process ends before it took over, the next one begins with a resync', async () => {
  await using fixture = await StorageFixture.create();
  const problems: string[] = [];
  const options = { ...LIMITS, onProblem: (error: unknown) => void problems.push(String(error)) };
  const pending = Promise.withResolvers<void>();
  {
    await using feed = await ChangeFeed.open(fixture.storages, options);
    await feed.journal('default').add([change('a.git', 1)]);
  }
  {
    await using feed = await ChangeFeed.open(fixture.storages, {
      ...options,
      predecessorEnded: pending.promise,
    });
    await feed.journal('default').add([change('a.git', 2)]);
  }

  await using next = await ChangeFeed.open(fixture.storages, options);

  const events = await eventsOf(next.journal('default'));
  assert.deepEqual(
    events.map((event) => event.split(' ')[1]),
    ['1', '2', 'resync'],
  );
  assert.match(problems[0] ?? '', /a restart was broken off/);
});

// Symptom: after an error of the disk, events of the process before were missing until a restart.
test('a takeover that failed is repeated, with the same events', async () => {
  await using fixture = await StorageFixture.create();
  const directory = join(eventsRoot(fixture.storage), 'journal');
  const before = await Journal.open({ ...LIMITS, directory, onProblem });
  await before.add([change('a.git', 1)]);
  const problems: string[] = [];
  const ended = Promise.withResolvers<void>();
  await using feed = await ChangeFeed.open(fixture.storages, {
    ...LIMITS,
    onProblem: (error) => problems.push(String(error)),
    predecessorEnded: ended.promise,
  });
  const after = feed.journal('default');
  await after.add([change('b.git', 2)]);
  const cursor = after.last;
  await before.add([change('a.git', 3)]);
  await before[Symbol.asyncDispose]();
  const obstacles = [0, 1].map((last) => join(directory, `${String(last).padStart(16, '0')}.compacted`));
  for (const obstacle of obstacles) mkdirSync(obstacle);
  ended.resolve();
  await until(() => problems.length > 0, 'a failure');
  await feed.takenOver('second'); // whose disk works

  for (const obstacle of obstacles) rmSync(obstacle, { recursive: true });

  await feed.takenOver('default');
  assert.match(problems[0] ?? '', /\.compacted/);
  assert.deepEqual(await eventsOf(after, cursor), [`${cursor + 1} resync a.git`]);
});

// Symptom: changes of the last process were missing after it was killed: the one before it had
// removed the files of those that were under way.
test('a process that takes over late leaves that to the next one', async () => {
  await using fixture = await StorageFixture.create();
  const directory = eventsRoot(fixture.storage);
  const problems: string[] = [];
  const ended = Promise.withResolvers<void>();
  await using _feed = await ChangeFeed.open(fixture.storages, {
    ...LIMITS,
    onProblem: (error) => problems.push(String(error)),
    predecessorEnded: ended.promise,
  });
  const script = `
    import { OpenMark } from '#events/open-mark';
    await new OpenMark(${JSON.stringify(directory)}).set({ isShared: true });
    process.stdout.write('set');
    setInterval(() => {}, 1000);`;
  const next = spawn(process.execPath, [...moduleOptions(), '--input-type=module', '-e', script]);
  const closed = once(next, 'close');
  try {
    await once(next.stdout, 'data');
    const intent = join(directory, 'intents', `${next.pid}-0000000001.json`);
    writeFileSync(intent, '{}');

    ended.resolve();
    await until(() => problems.length > 0, 'an attempt');

    assert.match(problems[0] ?? '', /another restart has begun/);
    assert.ok(existsSync(intent));
  } finally {
    next.kill('SIGKILL');
    await closed;
  }
});

// Symptom: after a restart that had failed, the next start reported that events may be missing.
test('a restart that failed leaves the feed as it was', async () => {
  await using fixture = await StorageFixture.create();
  const options = { ...LIMITS, onProblem };
  const pending = Promise.withResolvers<void>();
  {
    await using feed = await ChangeFeed.open(fixture.storages, options);
    await feed.journal('default').add([change('a.git', 1)]);
    await using _failed = await ChangeFeed.open(fixture.storages, {
      ...options,
      predecessorEnded: pending.promise,
    });
  }

  await using next = await ChangeFeed.open(fixture.storages, options);

  assert.deepEqual(await eventsOf(next.journal('default')), ['1 1 a.git']);
});
