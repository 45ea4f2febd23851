import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { parseTreeInTurns } from './parse/parse-tree.ts';
import { TreeCursor } from './parse/tree-cursor.ts';

// Symptom: a commit with a broken list of parents was an answer, and a tree id ended in `\r`.
for (const format of ['sha1', 'sha256'] as const)
  test(`a malformed ${format} commit or tag is no object of its type, as for git`, async () => {
    await using fixture = await StorageFixture.create();
    const { path, objects } = fixture.init('x.git', { commits: 1, objectFormat: format });
    const parent = gitOutput(path, ['rev-parse', 'main']);
    const tree = gitOutput(path, ['rev-parse', 'main^{tree}']);
    const people = 'author A <a@x> 1 +0000\ncommitter C <c@x> 1 +0000\n\nm\n';
    const long = `parent ${parent}\n`.repeat(2000);
    const malformed: [type: string, content: string][] = [
      ['commit', `tree ${tree}\n${people}`],
      ['commit', `tree ${tree}\nparent ${parent}\n${people}`],
      ['commit', `tree ${tree}\n${long}${people}`],
      ['commit', `tree ${tree}\n${long}parent 1\n${people}`],
      ['commit', `tree ${tree}\nparent ${parent.slice(1)}\n${people}`],
      ['commit', `tree ${tree}\nparent ${parent}\r\n${people}`],
      ['commit', `tree ${tree}\r\n${people}`],
      ['commit', `tree ${tree.slice(1)}\n${people}`],
      ['commit', `tree ${tree.toUpperCase()}\n${people}`],
      ['commit', `tree ${tree}\n`],
      ['commit', `tree ${tree}\n\nm\n`],
      ['commit', `tree ${tree}\nparent \n`],
      ['tag', `object ${parent}\ntype commit\ntag v\n\nm\n`],
      ['tag', `object ${tree}\ntype tree\ntag \n`],
      ['tag', `object ${parent}\ntype commit\ntag v`],
      ['tag', `object ${parent}\ntype commit\n\nm\n`],
      ['tag', `object ${parent}\ntype thing\ntag v\n\nm\n`],
      ['tag', `object ${parent}\ntag v\ntype commit\n\nm\n`],
      ['tag', `object ${parent}\r\ntype commit\ntag v\n\nm\n`],
    ];
    for (const [type, content] of malformed) {
      const oid = gitOutput(path, ['hash-object', '-t', type, '--literally', '-w', '--stdin'], content);
      for (const revision of [oid, ...['commit', 'tree', 'tag', ''].map((each) => `${oid}^{${each}}`)]) {
        const [id, found, size] = gitOutput(path, ['cat-file', '--batch-check'], `${revision}\n`).split(' ');
        const expected = found === 'missing' ? undefined : { oid: id, type: found, size: Number(size) };
        assert.deepEqual(await objects.info(revision), expected, `${content} ${revision}`);
      }
    }
  });

// Symptom: FindChangedPaths listed a path without a name, where git fails.
test('an entry without a name makes a tree malformed, as for git', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const entry = (name: string) => Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(oid, 'hex')]);
  for (const names of [[''], ['a', ''], ['', 'a']]) {
    const data = Buffer.concat(names.map(entry));
    const tree = gitOutput(path, ['hash-object', '-t', 'tree', '--literally', '-w', '--stdin'], data);
    assert.throws(() => gitOutput(path, ['ls-tree', tree]), /empty filename in tree entry/);

    await assert.rejects(parseTreeInTurns(data, 20), { message: 'malformed tree object' });
    const cursor = new TreeCursor(data, 20);
    assert.throws(() => names.forEach(() => void cursor.next()), { message: 'malformed tree object' });
  }
});

test('a large tree is not parsed further when its request is aborted', async () => {
  const entry = Buffer.concat([Buffer.from('100644 x\0'), Buffer.alloc(20, 1)]);
  const data = Buffer.concat(Array.from({ length: 200_000 }, () => entry));
  const reason = new Error('cancelled');

  await assert.rejects(parseTreeInTurns(data, 20, AbortSignal.abort(reason)), reason);
});
