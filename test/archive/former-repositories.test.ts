import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openArchiveBucket } from '#archive/bucket/archive-bucket';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { loseDisk, restoreAll } from './check-archive.ts';

const directory = makeScratchDirectory('arr');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'p' };
const target = { storage: 'default', path: 'a.git' };

test('states of several repositories of a path are told apart, and listed once', async () => {
  await using archived = await startArchived({ directory });
  const { archive, connection, storage } = archived;
  const commits: string[] = [];
  for (const content of ['former', 'present']) {
    if (commits.length > 0) await connection.repository.removeRepository({ repository });
    await connection.repository.createRepository({ repository });
    await archive.settle('default');
    const commitMessage = Buffer.from(content);
    const fields = { repository, user: USER, branchName: Buffer.from('main'), commitMessage };
    await commitFiles(connection, fields, [{ type: 'create', path: 'file', content }]);
    await archive.settle('default');
    commits.push(gitOutput(join(storage, 'a.git'), ['rev-parse', 'main']));
  }
  for (const [from, to] of [
    ['a.git', 'b.git'],
    ['b.git', 'a.git'],
  ] as const) {
    const moved = { ...repository, relativePath: from };
    await connection.repository.renameRepository({ repository: moved, relativePath: to });
    await archive.settle('default');
  }

  const states = await Array.fromAsync(archive.log(target));
  const names = states.map(({ generation, id }) => `${generation}@${id}`);
  assert.equal(new Set(names).size, names.length);
  const ids = [...new Set(states.map(({ id }) => id))];
  assert.equal(ids.length, commits.length);
  const numbersOf = (id: string) => states.filter((each) => each.id === id && each.kind === 'write');
  const shared = numbersOf(ids[0] ?? '').filter(({ generation, references }) =>
    numbersOf(ids[1] ?? '').some((other) => other.generation === generation && references > 0),
  );
  const at = { generation: shared[0]?.generation ?? 0 };
  assert.ok(at.generation > 0, names.join(' '));
  for (const [index, idPrefix] of ids.reverse().entries()) {
    await archive.restore(target, { at, idPrefix: idPrefix.slice(0, 8), to: `${index}.git`, signal });
    assert.equal(gitOutput(join(storage, `${index}.git`), ['rev-parse', 'main']), commits[index]);
  }
});

test('after a rename that no state has yet, all are restored under their new names', async () => {
  const place = makeScratchDirectory('arn');
  after(() => rmSync(place, { recursive: true, force: true }));
  const url = pathToFileURL(join(place, 'bucket')).href;
  const commits = new Map<string, string>();
  let root = '';
  {
    await using archived = await startArchived({ directory: place });
    root = archived.storage;
    for (const relativePath of ['x.git', 'z.git']) {
      const made = { storageName: 'default', relativePath, glRepository: relativePath };
      await archived.connection.repository.createRepository({ repository: made });
      const commitMessage = Buffer.from(relativePath);
      const fields = { repository: made, user: USER, branchName: Buffer.from('main'), commitMessage };
      await commitFiles(archived.connection, fields, [{ type: 'create', path: 'file', content: 'x' }]);
      commits.set(relativePath, gitOutput(join(root, relativePath), ['rev-parse', 'main']));
    }
    await archived.archive.settle('default');
  }
  const { paths } = await openArchiveBucket(url, { signal });
  for (const [from, to] of [
    ['x.git', 'y.git'],
    ['z.git', 'x.git'],
  ] as const)
    await paths.move(from, to, (await paths.resolve(from)) ?? '');
  loseDisk(root, url);

  await using restored = await startArchived({ directory: place });
  await restoreAll(restored);

  for (const [now, before] of [
    ['y.git', 'x.git'],
    ['x.git', 'z.git'],
  ] as const)
    assert.equal(gitOutput(join(root, now), ['rev-parse', 'main']), commits.get(before), now);
});
