import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';
import { tarOf } from './random-changes.ts';
import { stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('arv');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const LARGE_BYTES = 400_000;

/** Returns the files of a bucket whose names match. */
function filesIn(bucket: string, pattern: RegExp): string[] {
  const names = readdirSync(bucket, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => pattern.test(name)).map((name) => join(bucket, name));
}

function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

async function startWithContents(name: string): Promise<ArchivedServer> {
  const place = join(directory, name);
  mkdirSync(place);
  const archived = await startArchived({ directory: place });
  const { archive, connection } = archived;
  await connection.repository.createRepository({ repository });
  const noise = randomBytes(LARGE_BYTES);
  for (const [path, content] of [['large', noise] as const, ['small', Buffer.from('small')] as const]) {
    const fields = {
      repository,
      user: USER,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from(path),
    };
    await commitFiles(connection, fields, [{ type: 'create', path, content }]);
    await archive.settle('default');
  }
  await connection.repository.setCustomHooks([
    { repository, data: tarOf('custom_hooks/update', '#!/bin/sh\nexit 0\n') },
  ]);
  await archive.settle('default');
  return archived;
}

const DAMAGES: Readonly<Record<string, (bucket: string) => void>> = {
  'a pack with a changed byte': (bucket) => damage(filesIn(bucket, /\/p\/.*\.pack$/)[0] ?? ''),
  'a missing pack': (bucket) => rmSync(filesIn(bucket, /\/p\/.*\.pack$/)[0] ?? ''),
  'changed hooks': (bucket) => damage(filesIn(bucket, /\/p\/.*\.hooks$/)[0] ?? ''),
  'a changed generation': (bucket) => damage(filesIn(bucket, /\/g\/0*3$/)[0] ?? ''),
};

for (const [number, [name, makeDamage]] of seededShare(Object.entries(DAMAGES), 0.25).entries())
  test(`${name} is found, and repaired from the disk`, async () => {
    await using archived = await startWithContents(String(number));
    const { archive, storage } = archived;
    const before = await Array.fromAsync(archive.verify('default', { isFull: true, signal }));
    assert.deepEqual(
      before.map(({ isChecked, path, problems }) => [path, isChecked, problems]),
      [['a.git', true, []]],
    );
    makeDamage(join(directory, String(number), 'bucket'));

    const [found] = await Array.fromAsync(archive.verify('default', { isFull: true, signal }));
    const [again] = await Array.fromAsync(archive.verify('default', { signal }));

    assert.deepEqual([found?.problems.length, found?.isRepaired], [1, true]);
    assert.deepEqual([again?.problems, again?.isRepaired], [[], false]);
    await archive.restore({ storage: 'default', path: 'a.git' }, { to: 'b.git', signal });
    assert.deepEqual(stateOf(join(storage, 'b.git')), stateOf(join(storage, 'a.git')));
  });
