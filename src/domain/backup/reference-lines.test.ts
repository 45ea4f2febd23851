import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { readReferenceLines, referenceLines } from './reference-lines.ts';

const OID = '1'.repeat(40);

async function* inPieces(text: string, bytes: number): AsyncGenerator<Buffer> {
  const whole = Buffer.from(text, 'latin1');
  for (let at = 0; at < whole.length; at += bytes) yield whole.subarray(at, at + bytes);
}

const read = async (text: string, bytes = 7): Promise<string[]> =>
  (await readReferenceLines(inPieces(text, bytes))).map(
    ({ oid, name }) => `${oid}:${name.toString('latin1')}`,
  );

test('the list has HEAD and all references, as git show-ref prints them', async () => {
  await using fixture = await StorageFixture.create();
  const { signal } = new AbortController();
  const repository = fixture.init('x.git', { commits: 2 });
  fixture.runGit(repository.path, ['tag', '-a', '-m', 'one', 'v1', 'main']);
  fixture.runGit(repository.path, ['update-ref', 'refs/keep-around/1', 'main~1']);
  const listed = async (): Promise<string> =>
    Buffer.concat(await Array.fromAsync(referenceLines(repository, signal))).toString();

  const expected = fixture.runGit(repository.path, ['show-ref', '--head']);
  assert.equal(await listed(), `${expected}\n`);
  assert.deepEqual(
    await read(expected.concat('\n')),
    expected.split('\n').map((line) => line.replace(' ', ':')),
  );

  fixture.runGit(repository.path, ['symbolic-ref', 'HEAD', 'refs/heads/unborn']);
  assert.equal(await listed(), `${fixture.runGit(repository.path, ['show-ref'])}\n`);
});

test('names keep their bytes, and spaces', async () => {
  assert.deepEqual(await read(`${OID} refs/heads/\xe4 b\n`), [`${OID}:refs/heads/\xe4 b`]);
  assert.deepEqual(await read(''), []);
});

test('lines that are no references are refused', async () => {
  const message = 'the backup has a line that is no reference';
  for (const line of ['', OID, `${OID} `, ` ${OID} x`, `${OID.slice(1)} x`, `${'g'.repeat(40)} x`, 'HEAD'])
    await assert.rejects(read(`${line}\n`), { message }, line);
});

test('a list that is cut off is refused', async () => {
  const message = 'the list of references in the backup is cut off';
  for (const text of [`${OID} refs/heads/main`, `${OID} a\n${OID} refs/he`])
    for (const bytes of [1, 1000]) await assert.rejects(read(text, bytes), { message });
});
