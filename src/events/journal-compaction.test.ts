import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import type { NewEvent, RepositoryEvent } from './event.ts';
import { TooOldError } from './event-files.ts';
import { Journal, type JournalOptions } from './journal.ts';

const MAX_BYTES = 65_536;
const REFERENCES = 7;
/** Segments of 512 bytes: three events. */
const TINY_BYTES = 8192;
const KILLS = repetitions('JOURNAL_KILLS', { short: 4, long: 60 });
const seed = testSeed('JOURNAL_SEED');

const move = (number: number): NewEvent => ({
  kind: 'reference',
  relativePath: 'a.git',
  reference: `refs/heads/${number % REFERENCES}`,
  newValue: `${number}`,
});

function optionsIn(context: TestContext, changes: Partial<JournalOptions> = {}): JournalOptions {
  const directory = makeScratchDirectory('journal');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const onProblem = (error: unknown): never => assert.fail(String(error));
  return {
    directory: join(directory, 'journal'),
    maxBytes: MAX_BYTES,
    maxAgeMs: 3_600_000,
    onProblem,
    ...changes,
  };
}

async function fill(journal: Journal, first: number, count: number): Promise<void> {
  for (let number = first; number < first + count; number++) await journal.add([move(number)]);
}

/** A damaged file is never read. */
const MAX_READS = 5;

/** Returns what a consumer gets that begins now, and again if more is compacted while it reads. */
async function readAll(journal: Journal): Promise<RepositoryEvent[]> {
  for (let attempt = 1; ; attempt++)
    try {
      if (journal.oldest === 0) return (await Array.fromAsync(journal.read(0))).flat();
      const { batches, last } = journal.compacted();
      return [...(await Array.fromAsync(batches)), ...(await Array.fromAsync(journal.read(last)))].flat();
    } catch (error) {
      if (!(error instanceof TooOldError) || attempt === MAX_READS) throw error;
    }
}

/** Asserts that a consumer that begins now learns the values after a number of moves. */
async function assertLatest(journal: Journal, count: number): Promise<void> {
  const events = await readAll(journal);
  const values = new Map<string, string>();
  for (const { reference, newValue = '' } of events)
    if (reference !== undefined) values.set(reference, newValue);
  const expected = Array.from({ length: REFERENCES }, (_, back) => move(count - back));
  assert.deepEqual(
    [...values].sort(),
    expected.map(({ reference, newValue }) => [reference, newValue]).sort(),
  );
  const numbers = events.map(({ sequence }) => sequence);
  assert.deepEqual(
    numbers,
    numbers.toSorted((one, other) => one - other),
  );
  assert.equal(numbers.at(-1), journal.last);
}

const compactedFiles = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.endsWith('.compacted'));

/** Opens a journal, and waits for the end of what it compacts. */
async function settled(options: JournalOptions): Promise<Journal> {
  const journal = await Journal.open(options);
  await until(() => !readdirSync(options.directory).some((name) => name.endsWith('.tmp')));
  return journal;
}

test('of old events the latest of each reference are left, behind one that says so', async (context) => {
  await using journal = await Journal.open(optionsIn(context));

  await fill(journal, 1, 2000);
  let read: RepositoryEvent[] = [];
  await until(
    async () => {
      read = await readAll(journal);
      return read.length < 700;
    },
    () => `${read.length} events`,
  );

  assert.ok(journal.oldest > 1000);
  const [marker] = read;
  assert.deepEqual({ ...marker, timeMs: 0 }, { sequence: 0, kind: 'compacted', relativePath: '', timeMs: 0 });
  await assertLatest(journal, 2000);
});

test('events of more than the age are compacted', async (context) => {
  const options = optionsIn(context, { maxAgeMs: 1 });
  await using journal = await Journal.open(options);

  await fill(journal, 1, 100);

  await until(() => journal.oldest > 20);
  await assertLatest(journal, 100);
});

test('compacted events that are too many give way to one that says so', async (context) => {
  await using journal = await Journal.open(optionsIn(context));
  const all = 3000;
  for (let number = 1; number <= all; number++)
    await journal.add([{ ...move(number), reference: `refs/heads/${number}` }]);

  await until(() => journal.oldest > 2000);

  const [marker, resync, ...rest] = await readAll(journal);
  assert.deepEqual([marker?.kind, resync?.kind, resync?.relativePath], ['compacted', 'resync', '']);
  assert.equal(rest[0]?.sequence, journal.oldest + 1);
  assert.equal(rest.at(-1)?.sequence, all);
});

test('a journal whose first segments were removed says that they are missing', async (context) => {
  const options = optionsIn(context);
  {
    await using journal = await Journal.open(options);
    await fill(journal, 1, 400);
  }
  const [first = ''] = readdirSync(options.directory).sort();
  rmSync(join(options.directory, first));

  await using journal = await Journal.open(options);

  assert.deepEqual(
    (await readAll(journal)).slice(0, 2).map(({ kind, relativePath }) => [kind, relativePath]),
    [
      ['compacted', ''],
      ['resync', ''],
    ],
  );
});

// Symptom: no consumer got past it, and each one began again and again.
test('what a damaged segment has lost is one event, and nothing else is lost', async (context) => {
  const options = optionsIn(context);
  await using journal = await Journal.open(options);
  await fill(journal, 1, 100);
  const [first = '', second = ''] = readdirSync(options.directory).sort();
  const path = join(options.directory, first);
  const bytes = readFileSync(path);
  bytes.write('#', bytes.length >> 1);
  writeFileSync(path, bytes);
  await journal[Symbol.asyncDispose]();

  const problems: unknown[] = [];
  await using again = await Journal.open({ ...options, onProblem: (error) => problems.push(error) });

  const events = (await Array.fromAsync(again.read(0))).flat();
  const place = events.findIndex(({ kind }) => kind === 'resync');
  const lastLost = Number.parseInt(second, 10) - 1;
  assert.ok(place > 1 && place < lastLost - 1, `${place}`);
  const numbers = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    [...numbers.slice(0, place), ...numbers.slice(lastLost - 1)],
  );
  assert.equal(events[place]?.relativePath, '');
  assert.deepEqual(problems.map(String), [`DamagedFileError: damaged: ${path}`]);
  assert.deepEqual((await Array.fromAsync(again.read(lastLost))).flat()[0]?.sequence, lastLost + 1);
});

/** Journals as a killed process can leave them between two steps. @returns their directories by name. */
function killedAtEachStep(before: string, after: string): Map<string, string> {
  const made = new Map<string, string>();
  const make = (name: string, change: (directory: string) => void): void => {
    const directory = join(before, '..', name);
    cpSync(before, directory, { recursive: true });
    change(directory);
    made.set(name, directory);
  };
  const [compacted = ''] = compactedFiles(after);
  const incomplete = (directory: string): string => join(directory, 'compacted.tmp');
  const [was, is] = [readdirSync(before).sort(), new Set(readdirSync(after))];
  const old = was.filter((name) => !is.has(name));
  make('nothing written', (directory) => writeFileSync(incomplete(directory), ''));
  make('half written', (directory) => {
    cpSync(join(after, compacted), incomplete(directory));
    truncateSync(incomplete(directory), readFileSync(incomplete(directory)).length >> 1);
  });
  make('written', (directory) => cpSync(join(after, compacted), incomplete(directory)));
  for (let removed = 0; removed <= old.length; removed++)
    make(`renamed, ${removed} of ${old.length} files removed`, (directory) => {
      cpSync(join(after, compacted), join(directory, compacted));
      // The compacted events before are removed first.
      const order = old.toSorted((one, other) => rank(one) - rank(other) || one.localeCompare(other));
      for (const name of order.slice(0, removed)) rmSync(join(directory, name));
    });
  return made;
}

const rank = (name: string): number => (name.endsWith('.compacted') ? 0 : 1);

test('a process that is killed at any step of compacting loses nothing', async (context) => {
  const options = optionsIn(context);
  const { directory: before } = options;
  const count = 1200;
  {
    await using journal = await Journal.open({ ...options, maxBytes: MAX_BYTES });
    await fill(journal, 1, count);
    await until(() => compactedFiles(before).length === 1 && journal.oldest > 0);
  }
  const after = join(before, '..', 'after');
  mkdirSync(after);
  cpSync(before, after, { recursive: true });
  {
    // A smaller limit, so that the next start compacts again.
    await using journal = await Journal.open({ ...options, directory: after, maxAgeMs: 0 });
    const { oldest } = journal;
    await until(() => journal.oldest > oldest && compactedFiles(after).length === 1);
  }
  for (const [name, directory] of killedAtEachStep(before, after)) {
    await using journal = await settled({ ...options, directory });

    await assertLatest(journal, count);
    await until(() => compactedFiles(directory).length === 1, name);
    await fill(journal, count + 1, 10);
    await assertLatest(journal, count + 10);
  }
});

/** Starts a process that moves references until it is killed, and prints each move that is recorded. */
function startWriter(directory: string, first: number): ChildProcess {
  const options = JSON.stringify({ directory, maxBytes: TINY_BYTES, maxAgeMs: 3_600_000 });
  const script = `
    import { Journal } from '#events/journal';
    const journal = await Journal.open(${options});
    for (let number = ${first}; ; number++) {
      const reference = 'refs/heads/' + (number % ${REFERENCES});
      await journal.add([{ kind: 'reference', relativePath: 'a.git', reference, newValue: String(number) }]);
      process.stdout.write(number + '\\n');
    }`;
  return spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('a process that is killed at any time while it compacts loses no event', async (context) => {
  context.diagnostic(`JOURNAL_SEED=${seed}`);
  const random = seededRandom(seed);
  const options = optionsIn(context, { maxBytes: TINY_BYTES });
  const { directory } = options;
  for (let kill = 0, first = 1; kill < KILLS; kill++) {
    const writer = startWriter(directory, first);
    let printed = '';
    writer.stdout?.on('data', (bytes) => {
      printed += String(bytes);
    });
    const wanted = 100 + random() * 200;
    await until(() => printed.split('\n').length > wanted);
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const acknowledged = Number(printed.split('\n').at(-2));

    await using journal = await settled(options);
    const { last } = journal;
    assert.ok(last >= acknowledged, `${last} after ${acknowledged}`);
    // A process that is killed soon may have compacted nothing yet.
    await until(() => journal.oldest > 0, 'the oldest events are compacted');
    await assertLatest(journal, last);
    first = last + 1;
  }
});

test('a process compacts nothing while another one reads its files, too', async (context) => {
  let isAlone = false;
  const options = { maxBytes: TINY_BYTES, mayCompact: async () => isAlone };
  await using journal = await Journal.open(optionsIn(context, options));
  await fill(journal, 0, 100);
  assert.equal(journal.oldest, 0);

  isAlone = true;
  await fill(journal, 100, 10);

  await until(() => journal.oldest > 0, 'the oldest segments are compacted');
});
