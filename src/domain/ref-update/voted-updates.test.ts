import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isZeroOid } from '#git/names/object-id';
import { seededRandom } from '#testkit/repositories/random-history';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { testSeed } from '#testkit/test-seed';
import { inRefTransaction } from './update-reference.ts';
import type { RefUpdates } from './voted-updates.ts';

const TRANSACTIONS = 40;

interface Update {
  readonly name: string;
  readonly newOid: string;
  readonly oldOid?: string;
}

/** Makes references with symbolic ones, two of them in a row, packed ones and dangling ones. */
function makeTemplate(fixture: StorageFixture, objectFormat: 'sha1' | 'sha256'): string {
  const repository = fixture.init('template.git', { commits: 2, objectFormat });
  const git = (...args: string[]): string => fixture.runGit(repository.path, args);
  for (let index = 0; index < 6; index++) git('update-ref', `refs/heads/b${index}`, 'main');
  git('pack-refs', '--all');
  for (let index = 4; index < 8; index++) git('update-ref', `refs/heads/b${index}`, 'main~1');
  git('symbolic-ref', 'refs/heads/link', 'refs/heads/b0');
  git('symbolic-ref', 'refs/heads/chain', 'refs/heads/link2');
  git('symbolic-ref', 'refs/heads/link2', 'refs/heads/b1');
  git('symbolic-ref', 'refs/heads/dangling', 'refs/heads/none');
  return repository.path;
}

function copyOf(template: string, fixture: StorageFixture, relativePath: string) {
  cpSync(template, join(fixture.storage.path, relativePath), { recursive: true });
  const repository = fixture.storages.open({ storageName: 'default', relativePath });
  return { repository, git: (...args: string[]): string => fixture.runGit(repository.path, args) };
}

const SYMBOLIC = new Set([
  'HEAD',
  ...['link', 'chain', 'link2', 'dangling'].map((name) => `refs/heads/${name}`),
]);

/**
 * Applies the updates with git and its hook, and returns what the hook reads, without lines for
 * reflogs, which newer versions of git leave out.
 */
function linesOfGit(fixture: StorageFixture, path: string, updates: readonly Update[]): string[] {
  const hooks = `${path}/recording`;
  mkdirSync(hooks);
  const script = `#!/bin/sh\ncat >"${hooks}/$1.$(ls "${hooks}" | wc -l)"\n`;
  writeFileSync(`${hooks}/reference-transaction`, script, { mode: 0o755 });
  const input = updates.map(({ name, newOid, oldOid = '' }) => {
    if (!isZeroOid(newOid)) return `update ${name}\0${newOid}\0${oldOid}\0`;
    return `option no-deref\0delete ${name}\0${oldOid}\0`;
  });
  fixture.runGit(path, ['-c', `core.hooksPath=${hooks}`, 'update-ref', '--stdin', '-z'], input.join(''));
  return readdirSync(hooks)
    .filter((name) => /^(?:prepared|committed)\./.test(name))
    .sort((left, right) => Number(left.split('.')[1]) - Number(right.split('.')[1]))
    .map((name) => {
      const lines = readFileSync(`${hooks}/${name}`, 'latin1').split(/(?<=\n)/);
      const voted = lines.filter((line) => !SYMBOLIC.has(line.trim().split(' ')[2] ?? ''));
      return `${name.split('.')[0]} ${voted.join('')}`;
    })
    .filter((each) => /[1-9a-f]/.test(each.replace(/^\w+ /, '').replace(/refs\/\S+/g, '')));
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`the nodes vote on the lines that git passes to its hook: ${objectFormat}`, async () => {
    await using fixture = await StorageFixture.create();
    const random = seededRandom(testSeed('VOTES_SEED'));
    const below = (limit: number): number => Math.floor(random() * limit);
    const template = makeTemplate(fixture, objectFormat);
    const [newest = '', older = ''] = fixture.runGit(template, ['rev-list', 'main']).split('\n');
    const zero = '0'.repeat(newest.length);
    for (let round = 0; round < TRANSACTIONS; round++) {
      const theirs = copyOf(template, fixture, `git-${round}.git`);
      const ours = copyOf(template, fixture, `ours-${round}.git`);
      const updates = Array.from({ length: 8 }, (_, index): Update | undefined => {
        if (random() < 0.4) return undefined;
        const current = index < 4 ? newest : older;
        const value = [newest, older, zero][below(3)] ?? zero;
        const oldOid = random() < 0.5 ? current : undefined;
        if (index > 1 || value === zero)
          return { name: `refs/heads/b${index}`, newOid: value, ...(oldOid && { oldOid }) };
        const name = random() < 0.7 ? ['refs/heads/link', 'refs/heads/chain'][index] : `refs/heads/b${index}`;
        return { name: name ?? '', newOid: value, ...(oldOid && { oldOid }) };
      }).filter((update) => update !== undefined);
      if (random() < 0.3) updates.push({ name: 'HEAD', newOid: older });
      if (random() < 0.3) updates.push({ name: 'refs/heads/dangling', newOid: older, oldOid: zero });
      if (updates.length === 0) continue;

      const expected = linesOfGit(fixture, theirs.repository.path, updates);
      const votes: string[] = [];
      const vote = async (phase: string, hash: Uint8Array): Promise<void> => {
        votes.push(`${phase} ${Buffer.from(hash).toString('hex')}`);
      };
      await inRefTransaction(
        ours.repository,
        { hooks: { vote }, noDereference: false },
        async (queue: RefUpdates) => {
          for (const { name, ...change } of updates) await queue.update(name, change);
        },
      );

      assert.deepEqual(
        votes,
        expected.map((each) =>
          each.replace(
            / (.*)$/s,
            (_, lines: string) => ` ${createHash('sha1').update(lines, 'latin1').digest('hex')}`,
          ),
        ),
        JSON.stringify(updates),
      );
      assert.equal(ours.git('for-each-ref'), theirs.git('for-each-ref'));
    }
  });

for (const [what, noDereference, isDeleted] of [
  ['a deletion', false, true],
  ['a change without dereference', true, false],
] as const)
  test(`the nodes vote on a symbolic reference itself for ${what}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 2 });
    fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/link', 'refs/heads/main']);
    const oldOid = fixture.runGit(repository.path, ['rev-parse', 'main']);
    const older = fixture.runGit(repository.path, ['rev-parse', 'main~1']);
    const newOid = isDeleted ? '0'.repeat(oldOid.length) : older;
    const votes: string[] = [];
    const vote = async (_: string, hash: Uint8Array): Promise<void> => {
      votes.push(Buffer.from(hash).toString('hex'));
    };

    await inRefTransaction(repository, { hooks: { vote }, noDereference }, (updates) =>
      updates.update('refs/heads/link', { newOid, oldOid }),
    );

    const hash = createHash('sha1').update(`${oldOid} ${newOid} refs/heads/link\n`).digest('hex');
    assert.deepEqual(votes, [hash, hash]);
    assert.equal(fixture.runGit(repository.path, ['rev-parse', 'main']), oldOid);
  });

// References are looked up in process: a message of thousands blocked the event loop to its end.
test('many updates leave iterations of the event loop to other calls', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  let iterations = 0;
  let isOver = false;
  const count = (): void => {
    iterations++;
    if (!isOver) setImmediate(count);
  };

  const change = inRefTransaction(
    repository,
    { hooks: { vote: async () => {} }, noDereference: false },
    async (updates) => {
      setImmediate(count);
      const startedAt = performance.now();
      for (let index = 0; performance.now() - startedAt < 100; index++)
        await updates.update(`refs/heads/many-${index}`, { newOid });
      isOver = true;
      throw new Error('enough');
    },
  );

  await assert.rejects(change, { message: 'enough' });
  assert.ok(iterations >= 4, `${iterations} iterations in 100 ms`);
});

test('a circle of symbolic references ends with the refusal of git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/a', 'refs/heads/b']);
  fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/b', 'refs/heads/a']);
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const vote = async (): Promise<void> => assert.fail('a vote');

  const change = inRefTransaction(repository, { hooks: { vote }, noDereference: false }, (updates) =>
    updates.update('refs/heads/a', { newOid }),
  );

  await assert.rejects(change, { message: 'exit status 128' });
});
