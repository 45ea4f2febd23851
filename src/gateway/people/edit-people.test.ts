import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { editPeople, readPeople } from './edit-people.ts';

const directory = makeScratchDirectory('edit-people');
after(() => rmSync(directory, { recursive: true }));

// A user saw: people.toml, a link into a directory that is backed up, was replaced by a file.
test('a file that is a symbolic link is written at its target, and stays a link', async () => {
  mkdirSync(join(directory, 'kept'));
  const [link, target] = [join(directory, 'people.toml'), join(directory, 'kept/people.toml')];
  symlinkSync('kept/people.toml', link);
  const add = async (name: string): Promise<boolean> =>
    (await editPeople(link, ({ person }) => void person.push({ name, read: true }))).isNew;

  assert.equal(await add('ann'), true);
  assert.equal(await add('ben'), false);

  assert.ok(lstatSync(link).isSymbolicLink());
  assert.match(readFileSync(target, 'utf8'), /"ann".*"ben"/s);
  assert.deepEqual(
    (await readPeople(link)).person.map(({ name }) => name),
    ['ann', 'ben'],
  );
});
