import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBundle } from './open-bundle.ts';

const OID = 'ab'.repeat(20);
const PACK = 'PACK and more\n\n and more';

async function* cut(text: string, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size), 'latin1');
}

async function opened(text: string, size = text.length) {
  const { head, isBundle, header, rest } = await openBundle(cut(text, size));
  const after = Buffer.concat(await Array.fromAsync(rest)).toString('latin1');
  assert.equal(head.toString('latin1') + after, text);
  const objectFormat = header?.isSelfContained === true ? header.objectFormat : undefined;
  return { isBundle, objectFormat, after };
}

test('the header ends where it does, however it arrives', async () => {
  const text = `# v2 git bundle\n${OID} refs/heads/main\n${OID} HEAD\n\n${PACK}`;
  for (const size of [1, 2, 3, 7, 16, 60, 1000])
    assert.deepEqual(await opened(text, size), { isBundle: true, objectFormat: 'sha1', after: PACK });
});

test('only a bundle that needs nothing else has a format', async () => {
  const withLines = (version: number, lines: string) => opened(`# v${version} git bundle\n${lines}\n${PACK}`);
  assert.equal((await withLines(3, `@object-format=sha256\n${OID} HEAD\n`)).objectFormat, 'sha256');
  assert.equal((await withLines(3, `@object-format=sha1\n${OID} HEAD\n`)).objectFormat, 'sha1');
  for (const lines of [`-${OID} needed\n`, '@filter=blob:none\n', '@object-format=md5\n'])
    assert.equal((await withLines(3, `${lines}${OID} HEAD\n`)).objectFormat, undefined);
});

test('other bytes are no bundle, and a header without an end has no format', async () => {
  for (const text of ['', 'junk', 'gitdir: /x\n\n', '# v1 git bundle\n\n'])
    assert.equal((await opened(text, 5)).isBundle, false, text);
  const open = await opened(`# v2 git bundle\n${OID} HEAD\n`);
  assert.deepEqual([open.isBundle, open.objectFormat], [true, undefined]);
});
