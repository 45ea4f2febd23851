import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Vote } from '#storage/lifecycle/voter';
import { blockFor, countTurns } from '#testkit/measure/loop-turns';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { deleteReferences } from './delete-references.ts';

const NAMES = ['refs/heads/a', 'refs/heads/gone', 'refs/heads/link'].map((name) => Buffer.from(name));

/** A repository with the branches `a`, `b` and `link`, which is a symbolic reference to `b`. */
async function setUp() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  for (const branch of ['a', 'b']) fixture.runGit(repository.path, ['branch', branch, 'main']);
  fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/link', 'refs/heads/b']);
  return {
    repository,
    branches: () =>
      fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname:short)']).split('\n'),
    signal: new AbortController().signal,
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

test('references are deleted themselves, and missing ones are no error', async () => {
  await using bed = await setUp();

  await deleteReferences(bed.repository, NAMES, { vote: undefined, signal: bed.signal });

  assert.deepEqual(bed.branches(), ['b', 'main']);
});

for (const [what, lineOf, line] of [
  ['the names', undefined, (name: Buffer) => `${name}\n`],
  [
    'texts of the caller',
    (name: Uint8Array) => Buffer.from(`delete ${name}`),
    (name: Buffer) => `delete ${name}`,
  ],
] as const) {
  test(`the nodes vote on ${what}, before the locks, while git holds them, and at the end`, async () => {
    await using bed = await setUp();
    const votes: string[] = [];
    const vote: Vote = async (phase, hash) => {
      const isLocked = existsSync(join(bed.repository.path, 'refs/heads/a.lock'));
      const hex = Buffer.from(hash).toString('hex');
      votes.push(`${phase} ${isLocked ? 'locked' : bed.branches().length} ${hex}`);
    };
    const options = { vote, signal: bed.signal, ...(lineOf && { lineOf }) };

    await deleteReferences(bed.repository, NAMES, options);

    const hash = createHash('sha1').update(NAMES.map(line).join('')).digest('hex');
    assert.deepEqual(votes, [`preparing 4 ${hash}`, `prepared locked ${hash}`, `committed 2 ${hash}`]);
  });
}

test('the texts of many names are made in slices of the event loop', async () => {
  await using bed = await setUp();
  using turns = countTurns();
  const made: number[] = [];
  const lineOf = (): Buffer => {
    if (made.push(turns.count) % 256 === 0) blockFor(6);
    return Buffer.alloc(0);
  };
  const vote = (): Promise<void> => Promise.reject(new Error('enough'));
  const names = Array.from({ length: 3 * 256 }, (_, index) => Buffer.from(`refs/heads/${index}`));

  await assert.rejects(
    deleteReferences(bed.repository, names, { vote, lineOf, signal: bed.signal }),
    /enough/,
  );

  assert.ok((made.at(-1) ?? 0) >= 2, `${made.at(-1)} turns`);
});

for (const [phase, message, left] of [
  ['preparing', 'preparing vote: lost', 4],
  ['prepared', 'prepared vote: lost', 4],
  ['committed', 'committing vote: lost', 2],
] as const) {
  test(`a lost ${phase} vote is an error`, async () => {
    await using bed = await setUp();
    const vote: Vote = async (current) => {
      if (current === phase) throw new Error('lost');
    };

    const deletion = deleteReferences(bed.repository, NAMES, { vote, signal: bed.signal });

    await assert.rejects(deletion, { message });
    assert.equal(bed.branches().length, left);
    assert.equal(existsSync(join(bed.repository.path, 'refs/heads/a.lock')), false);
  });
}

test('the nodes do not vote for a deletion that fails after the locks', async () => {
  await using bed = await setUp();
  const branch = join(bed.repository.path, 'refs/heads/a');
  const phases: string[] = [];
  const vote: Vote = async (phase) => {
    phases.push(phase);
    if (phase !== 'prepared') return;
    rmSync(branch);
    mkdirSync(join(branch, 'in-the-way'), { recursive: true });
  };

  const deletion = deleteReferences(bed.repository, NAMES, { vote, signal: bed.signal });

  await assert.rejects(deletion, /^GitalyError: unable to commit: /);
  assert.deepEqual(phases, ['preparing', 'prepared']);
});

test('when one reference cannot be deleted, none is', async () => {
  await using bed = await setUp();
  writeFileSync(join(bed.repository.path, 'refs/heads/link.lock'), '');

  const deletion = deleteReferences(bed.repository, NAMES, { vote: undefined, signal: bed.signal });

  await assert.rejects(deletion, { message: 'unable to prepare: reference is already locked' });
  assert.equal(bed.branches().length, 4);
});
