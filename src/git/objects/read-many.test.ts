import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { steady, until } from '#testkit/until';
import type { GitRepository } from '../repository.ts';
import type { ObjectReader } from './object-reader.ts';
import type { ObjectNames } from './read-many.ts';
import { allObjects, type WalkedObject, walkObjects } from './walk-objects.ts';

const directory = makeScratchDirectory('read-many');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});
let count = 0;

interface Fixture {
  readonly repository: GitRepository;
  readonly objects: ObjectReader;
  run(args: string[], input?: string | Uint8Array): string;
  blob(data: string | Uint8Array): string;
  commit(files: Record<string, string | Uint8Array>): string;
}

function fixture(objectFormat: 'sha1' | 'sha256' = 'sha1'): Fixture {
  const path = join(directory, `${count++}.git`);
  initRepository(path, { objectFormat });
  const repository = git.open(path);
  const run = (args: string[], input?: string | Uint8Array): string => gitOutput(path, args, input);
  const blob = (data: string | Uint8Array): string => run(['hash-object', '-w', '--stdin'], data);
  const commit = (files: Record<string, string | Uint8Array>): string =>
    commitFiles(path, files, { isRoot: true });
  return { repository, objects: repository.objects, run, blob, commit };
}

async function flat<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

const named = (...oids: string[]): ObjectNames<{ oid: string }> => {
  return () => [oids.map((oid) => ({ oid }))];
};

/** Waits until no process is left. */
async function untilNoneLent(): Promise<void> {
  await until(() => git.caches.catFiles.counts.running === 0);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a walk of a ${objectFormat} repository yields the objects of rev-list in its order`, async () => {
    const { repository, objects, run, commit } = fixture(objectFormat);
    const files: Record<string, string | Uint8Array> = {
      '\ttab': 'tab',
      ' lead': 'lead',
      'end\r': 'cr',
      empty: '',
      big: randomBytes(700_000),
    };
    for (let index = 0; index < 3000; index++) files[`file ${index}`] = `content ${index}`;
    commit(files);

    const walk: ObjectNames<WalkedObject> = (signal) =>
      walkObjects(repository, { revisions: ['main'], type: 'blob', signal });
    const read = await flat(objects.readMany(walk));

    const printed = run([
      'rev-list',
      '--objects',
      '--in-commit-order',
      '--filter=object:type=blob',
      '--filter-provided-objects',
      'main',
    ]);
    assert.deepEqual(
      read.map(({ item }) => `${item.oid} ${item.path}`),
      printed.split('\n'),
    );
    for (const { item, object } of read)
      assert.deepEqual(object?.data, Buffer.from(files[item.path.toString()] ?? 'none'));
    await untilNoneLent();
  });
}

test('all objects are those that git lists, with or without a type', async () => {
  const { repository, run, commit, blob } = fixture();
  commit({ a: 'a', b: 'b' });
  blob('dangling');
  run(['repack', '-adq']);
  commit({ a: 'a', c: 'c' });
  const lines = run(['cat-file', '--batch-all-objects', '--batch-check']).split('\n').sort();
  const print = ({ oid, type, size }: { oid: string; type: string; size: number }): string =>
    `${oid} ${type} ${size}`;

  assert.deepEqual((await flat(allObjects(repository))).map(print).sort(), lines);
  assert.deepEqual(
    (await flat(allObjects(repository, { type: 'blob' }))).map(print).sort(),
    lines.filter((line) => line.includes(' blob ')),
  );
});

test('pseudo-revisions and revisions may be mixed in any order', async () => {
  const { repository, run, commit } = fixture();
  commit({ a: 'a' });
  run(['update-ref', 'refs/tags/old', 'main']);
  commit({ a: 'a', b: 'b' });

  const lists = [
    ['main', '--not', '--tags'],
    ['--all', '--not', 'old'],
    ['--branches=m*', '^old'],
    ['old..main'],
    ['--not'],
    ['main', '--not', '--all'],
  ];
  for (const revisions of lists) {
    const walked = await flat(walkObjects(repository, { revisions }));
    assert.deepEqual(
      walked.map(({ oid, path }) => `${oid} ${path}`.trimEnd()),
      run(['rev-list', '--objects', ...revisions])
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.trimEnd()),
      revisions.join(' '),
    );
  }
});

test('objects that are not there are told apart, and the same one may be asked for twice', async () => {
  const { objects, blob } = fixture();
  const oid = blob('x');
  const none = '1'.repeat(40);

  const infos = await flat(objects.infoMany(named(oid, none, oid)));
  const read = await flat(objects.readMany(named(none, oid, oid, none)));

  assert.deepEqual(
    infos.map(({ info }) => info?.size),
    [1, undefined, 1],
  );
  assert.deepEqual(
    read.map(({ object }) => object?.data.toString()),
    [undefined, 'x', 'x', undefined],
  );
});

test('a revision that git does not know is an error in git’s words, after what came before', async () => {
  const { repository, objects, commit } = fixture();
  commit({ a: 'a' });
  const walk: ObjectNames<WalkedObject> = (signal) =>
    walkObjects(repository, { revisions: ['main:a', 'nope'], signal });
  const message = `rev-list pipeline command: exit status 128, stderr: "fatal: bad revision 'nope'\\n"`;

  await assert.rejects(flat(objects.readMany(walk)), { message });
  await assert.rejects(flat(walkObjects(repository, { revisions: ['--not', 'nope'] })), { message });
  await untilNoneLent();
});

// git names objects of a pack by its index, and those that cannot be read are left out.
test('damaged objects are errors of a list of all, loose and in a pack', async () => {
  for (const isPacked of [false, true]) {
    const { repository, run, blob } = fixture();
    const [good, bad] = [blob('good'), blob(randomBytes(10_000))];
    let file = join(repository.objectDirectory, bad.slice(0, 2), bad.slice(2));
    let at = 0;
    if (isPacked) {
      const name = run(['pack-objects', '-q', 'objects/pack/pack'], `${good}\n${bad}\n`).trim();
      run(['prune-packed', '-q']);
      file = join(repository.objectDirectory, `pack/pack-${name}.pack`);
      const entry = run(['verify-pack', '-v', file])
        .split('\n')
        .find((line) => line.startsWith(bad));
      at = Number(entry?.split(/ +/)[4]);
    }
    const bytes = readFileSync(file);
    bytes[at] = 0;
    rmSync(file);
    writeFileSync(file, bytes);

    await assert.rejects(flat(allObjects(repository)), {
      message: 'parsing object info: object not found',
    });
  }
});

test('an object directory that is missing is an error of cat-file', async () => {
  const { repository } = fixture();
  const quarantined = repository.withObjectDirectories({ objectDirectory: `${repository.path}/none` });

  await assert.rejects(flat(allObjects(quarantined)), {
    message:
      'cat-file failed: exit status 128, stderr: {"fatal: not a git repository: ' +
      `'${repository.path}'\\n" '\\x00' '\\x00'}`,
  });
});

test('git that dies of an object fails the reader', async () => {
  const { repository, objects, run, blob } = fixture();
  const [good, bad] = [blob('good'), blob(randomBytes(10_000))];
  const file = join(repository.objectDirectory, bad.slice(0, 2), bad.slice(2));
  run(['update-ref', 'refs/tags/x', good]);
  const whole = readFileSync(file);
  rmSync(file);
  writeFileSync(file, whole.subarray(0, 100));

  await assert.rejects(flat(objects.readMany(named(good, bad, good))), { message: 'read info line: EOF' });
  await untilNoneLent();
});

test('an object that is too big to be held is an error', async () => {
  const { objects, blob } = fixture();
  const oid = blob(randomBytes(100));

  await assert.rejects(flat(objects.readMany(named(oid), { maxBytes: 99 })), { code: 'RESOURCE_EXHAUSTED' });
  await untilNoneLent();
});

test('a reader that leaves ends both processes, in the middle of a big object too', async () => {
  const { repository, objects, commit } = fixture();
  commit({ a: randomBytes(5_000_000), b: 'b' });
  const ended: boolean[] = [];
  async function* walk(signal: AbortSignal): AsyncGenerator<WalkedObject[]> {
    try {
      yield* walkObjects(repository, { revisions: ['main'], type: 'blob', signal });
    } finally {
      ended.push(true);
    }
  }

  for await (const [piece] of objects.readPieces(walk)) {
    assert.equal(piece?.isFirst, true);
    break;
  }

  assert.deepEqual(ended, [true]);
  assert.equal(git.caches.catFiles.counts.running, 0);
});

test('an abort ends a reader whose source has nothing more to say', async () => {
  const { objects, blob } = fixture();
  const oid = blob('x');
  const aborting = new AbortController();
  async function* source(signal: AbortSignal): AsyncGenerator<{ oid: string }[]> {
    yield [{ oid }];
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  const reading = objects.readMany(source, { signal: aborting.signal });
  const first = await reading.next();
  aborting.abort();

  assert.equal(first.value?.[0]?.object?.data.toString(), 'x');
  await assert.rejects(reading.next(), { code: 'CANCELLED' });
  await untilNoneLent();
});

test('a slow reader stops git and its source', async () => {
  const { objects, blob } = fixture();
  const oid = blob(randomBytes(100_000));
  let asked = 0;
  function* source(): Generator<{ oid: string }[]> {
    for (; asked < 100_000; asked++) yield [{ oid }];
  }

  const reading = objects.readMany(source);
  await reading.next();

  const before = await steady(() => asked);
  assert.ok(before < 5000, `${before} objects were asked for`);
  await reading.return(undefined);
  await untilNoneLent();
});

test('a thousand commits and their trees are read by one process', async () => {
  const { repository, objects } = fixture();
  for (let number = 1; number <= 3; number++) addCommit(repository.path, number);
  const { started } = git.caches.catFiles.counts;

  const read = await flat(
    objects.readMany((signal) => walkObjects(repository, { revisions: ['main'], signal })),
  );

  assert.equal(git.caches.catFiles.counts.started, started + 1);
  assert.deepEqual(
    read.map(({ object }) => object?.type),
    ['commit', 'tree', 'commit', 'commit'],
  );
  assert.ok(statSync(repository.path).isDirectory());
});
