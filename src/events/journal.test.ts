import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { onViolation, type Violation } from '#base/invariant';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { NewEvent } from './event.ts';
import { TooOldError } from './event-files.ts';
import { formatEventLine, parseEventLine } from './event-line.ts';
import { Journal, type JournalOptions } from './journal.ts';

const event = (number: number): NewEvent => ({
  kind: 'reference',
  relativePath: 'a.git',
  reference: `refs/heads/${number}`,
  newValue: 'a'.repeat(40),
});

function optionsIn(context: TestContext, changes: Partial<JournalOptions> = {}): JournalOptions {
  const directory = makeScratchDirectory('journal');
  context.after(() => rmSync(directory, { recursive: true }));
  const onProblem = (error: unknown): never => assert.fail(String(error));
  return { directory, maxBytes: 1 << 20, maxAgeMs: 3_600_000, onProblem, ...changes };
}

async function sequences(journal: Journal, after: number): Promise<number[]> {
  return (await Array.fromAsync(journal.read(after))).flat().map(({ sequence }) => sequence);
}

test('events are numbered, and read from a cursor on, also by the next process', async (context) => {
  const options = optionsIn(context);
  {
    await using journal = await Journal.open(options);
    for (let number = 1; number <= 10; number++) assert.equal(await journal.add([event(number)]), true);

    assert.deepEqual(await sequences(journal, 7), [8, 9, 10]);
    assert.deepEqual(await sequences(journal, 10), []);
  }
  await using journal = await Journal.open(options);
  assert.equal(journal.last, 10);
  await journal.add([event(11)]);

  assert.deepEqual(await sequences(journal, 8), [9, 10, 11]);
  const [first] = (await Array.fromAsync(journal.read(0))).flat();
  assert.deepEqual({ ...first, timeMs: 0 }, { ...event(1), sequence: 1, timeMs: 0 });
});

for (const [what, rest] of [
  ['the beginning of a line', '00000000 {"sequence":3'],
  ['a line without its end', formatEventLine({ ...event(3), sequence: 3, timeMs: 0 }).trimEnd()],
] as const) {
  test(`${what} at the end is cut off`, async (context) => {
    const options = optionsIn(context);
    {
      await using journal = await Journal.open(options);
      await journal.add([event(1), event(2)]);
    }
    const [name = ''] = readdirSync(options.directory);
    appendFileSync(join(options.directory, name), rest);

    await using journal = await Journal.open(options);
    await journal.add([event(3)]);

    assert.deepEqual(await sequences(journal, 0), [1, 2, 3]);
  });
}

const DAMAGED_LINE = `00000000 ${JSON.stringify({ sequence: 3, ...event(3) })}\n`;

// Symptom: a consumer that had not read the event yet was not told of it.
for (const [what, rest] of [
  ['a complete line with a wrong checksum', DAMAGED_LINE],
  ['a complete line with a wrong checksum, and the beginning of one,', `${DAMAGED_LINE}00000000 {`],
  ['a few zeros, as after a power failure,', '\0'.repeat(40)],
  ['a megabyte of zeros', '\0'.repeat(2 << 20)],
] as const) {
  test(`${what} at the end may be lost events, which is reported under a new number`, async (context) => {
    const options = optionsIn(context);
    {
      await using journal = await Journal.open(options);
      await journal.add([event(1), event(2)]);
    }
    const [name = ''] = readdirSync(options.directory);
    appendFileSync(join(options.directory, name), rest);

    for (const count of [1, 0]) {
      const problems: unknown[] = [];
      await using journal = await Journal.open({ ...options, onProblem: (error) => problems.push(error) });
      assert.equal(problems.length, count);

      const events = (await Array.fromAsync(journal.read(0))).flat();
      assert.deepEqual(
        events.map(({ kind, relativePath }) => [kind, relativePath]),
        [
          ['reference', 'a.git'],
          ['reference', 'a.git'],
          ['resync', ''],
        ],
      );
      assert.ok(Number(events[2]?.sequence) > 3);
    }
  });
}

// Symptom: the events behind the damage were gone without a word, and others got their numbers.
test('events behind a damaged line are lost, which is reported under a new number', async (context) => {
  const options = optionsIn(context);
  {
    await using journal = await Journal.open(options);
    for (let number = 1; number <= 10; number++) await journal.add([event(number)]);
  }
  const [name = ''] = readdirSync(options.directory);
  const path = join(options.directory, name);
  writeFileSync(path, readFileSync(path, 'utf8').replace('refs/heads/4"', 'refs/heads/x"'));

  for (const [opening, count] of [
    ['first', 1],
    ['second', 0],
  ] as const) {
    const problems: unknown[] = [];
    await using journal = await Journal.open({ ...options, onProblem: (error) => problems.push(error) });
    assert.deepEqual(problems.map(String), Array(count).fill(`DamagedFileError: damaged: ${path}`));

    const events = (await Array.fromAsync(journal.read(0))).flat();
    assert.deepEqual(
      events.map(({ kind, relativePath, sequence }) => [sequence, kind, relativePath]),
      [
        [1, 'reference', 'a.git'],
        [2, 'reference', 'a.git'],
        [3, 'reference', 'a.git'],
        [11, 'resync', ''],
      ],
      opening,
    );
    assert.deepEqual(await sequences(journal, 10), [11]);
  }
});

test('the oldest segments give way, and cursors in them are too old', async (context) => {
  const options = optionsIn(context, { maxBytes: 65_536 });
  await using journal = await Journal.open(options);

  for (let number = 1; number <= 2000; number++) await journal.add([event(number)]);

  await until(() => readdirSync(options.directory).filter((name) => name.endsWith('.log')).length <= 17);
  assert.ok(journal.oldest > 0);
  const kept = await sequences(journal, journal.oldest);
  assert.equal(kept[0], journal.oldest + 1);
  assert.equal(kept.at(-1), 2000);
  await using again = await Journal.open(options);
  await assert.rejects(Array.fromAsync(again.read(0)), TooOldError);
});

test('events that could not be written are written later, in their order', async (context) => {
  const problems: unknown[] = [];
  const onProblem = (error: unknown): void => void problems.push(error);
  const options = optionsIn(context, { maxBytes: 65_536, onProblem });
  await using journal = await Journal.open(options);
  await journal.add(Array.from({ length: 30 }, (_, index) => event(index + 1))); // a full segment
  const moved = `${options.directory}.moved`;
  renameSync(options.directory, moved);

  assert.equal(await journal.add([event(31)]), false);
  assert.equal(journal.last, 30);
  renameSync(moved, options.directory);
  assert.equal(await journal.add([event(32)]), true);

  assert.match(String(problems[0]), /ENOENT/);
  assert.deepEqual((await sequences(journal, 0)).length, 32);
  await journal[Symbol.asyncDispose]();
  await using again = await Journal.open(options);
  assert.equal(again.last, 32);
});

test('news come once events are in the file', async (context) => {
  await using journal = await Journal.open(optionsIn(context));
  const news = journal.news.then(() => journal.last);

  await journal.add([event(1)]);

  assert.equal(await news, 1);
});

test('a reader that is far behind reads the files', async (context) => {
  await using journal = await Journal.open(optionsIn(context, { maxBytes: 1 << 26 }));
  for (let start = 0; start < 30_000; start += 1000)
    await journal.add(Array.from({ length: 1000 }, (_, index) => event(start + index)));

  const read = await sequences(journal, 5);

  assert.deepEqual([read.length, read[0], read.at(-1)], [29_995, 6, 30_000]);
});

test('a slow reader misses no event of the segments that are compacted meanwhile', async (context) => {
  const options = optionsIn(context, { maxBytes: 65_536 });
  {
    await using journal = await Journal.open(options);
    for (let number = 1; number <= 300; number++) await journal.add([event(number)]);
  }
  await using journal = await Journal.open(options); // it has the events in files only
  assert.equal(journal.oldest, 0);
  const reader = journal.read(0);
  await reader.next();

  for (let number = 1; number <= 1000; number++) await journal.add([event(number)]);
  await until(() => journal.oldest > 300);

  await assert.rejects(Array.fromAsync(reader), TooOldError);
});

/** Replaces the number of an event in a file by that of another, with a valid checksum. */
function renumber(path: string, from: number, to: number): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  const changed = lines.map((line) => {
    const found = parseEventLine(Buffer.from(line));
    return found?.sequence === from ? formatEventLine({ ...found, sequence: to }).trimEnd() : line;
  });
  writeFileSync(path, changed.join('\n'));
}

test('events whose numbers do not grow end a reading with INTERNAL', async (context) => {
  const options = optionsIn(context);
  {
    await using journal = await Journal.open(options);
    await journal.add([1, 2, 3, 4].map(event));
  }
  await using journal = await Journal.open(options);
  const [name = ''] = readdirSync(options.directory);
  renumber(join(options.directory, name), 3, 1);
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));

  await assert.rejects(sequences(journal, 0), { code: 'INTERNAL' });

  assert.deepEqual(broken, [{ invariant: 'journal-order', what: 'events of a journal are out of order' }]);
  assert.equal(await journal.add([event(5)]), true);
  assert.deepEqual(await sequences(journal, 4), [5]);
});

test('a journal is opened without last events that are out of order, and reports that', async (context) => {
  const options = optionsIn(context);
  {
    await using journal = await Journal.open(options);
    await journal.add([1, 2, 3, 4].map(event));
  }
  const [name = ''] = readdirSync(options.directory);
  renumber(join(options.directory, name), 3, 1);
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));

  const problems: unknown[] = [];
  await using journal = await Journal.open({ ...options, onProblem: (error) => problems.push(error) });
  await journal.add([event(3)]);

  assert.equal(problems.length, 1);
  assert.deepEqual(await sequences(journal, 0), [1, 2, 5, 6]);
  assert.equal(broken.length, 1);
});
