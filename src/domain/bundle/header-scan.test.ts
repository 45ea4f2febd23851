import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderScan } from './header-scan.ts';

const LINE = `${'ab'.repeat(20)} refs/heads/main\n`;

function scan(text: string, size = Math.max(1, text.length)): HeaderScan {
  const header = new HeaderScan();
  for (let at = 0; at < text.length; at += size) header.add(Buffer.from(text.slice(at, at + size), 'latin1'));
  return header;
}

test('a header is complete with its empty line, however it arrives', () => {
  for (const size of [1, 2, 15, 16, 17, 100]) {
    for (const version of [2, 3]) {
      const complete = scan(`# v${version} git bundle\n${LINE}${LINE}\nPACK\n\njunk`, size);
      assert.deepEqual([complete.isBundle, complete.isComplete], [true, true]);
    }
    const cut = scan(`# v2 git bundle\n${LINE}`, size);
    assert.deepEqual([cut.isBundle, cut.isComplete], [true, false]);
  }
});

test('other bytes are no bundle', () => {
  const others = [
    '',
    '\n',
    '# v2 git bundle',
    '# v2 git bundles\n\n',
    '# v4 git bundle\n\n',
    'gitdir: /x\n\n',
  ];
  for (const text of [...others, `${'x'.repeat(5_000_000)}`])
    assert.equal(scan(text, 1000).isBundle, false, text.slice(0, 20));
});

test('a header without an end is refused', () => {
  const refusal = { code: 'RESOURCE_EXHAUSTED', message: 'the header of the bundle is too large' };
  assert.throws(() => scan(`# v2 git bundle\n-${'a'.repeat(2_000_000)}`, 65_536), refusal);
  const header = scan('# v2 git bundle\n');
  const lines = Buffer.from(LINE.repeat(10_000));
  assert.throws(() => {
    for (let count = 0; count < 1000; count++) header.add(lines);
  }, refusal);
});
