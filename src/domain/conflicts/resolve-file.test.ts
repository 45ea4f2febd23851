import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Resolution } from './resolution-reader.ts';
import { resolveFile } from './resolve-file.ts';

const OURS = '1'.repeat(40);
const THEIRS = '2'.repeat(40);
const CONTENT =
  `a\n<<<<<<< ${OURS}\nours\n=======\ntheirs\n>>>>>>> ${THEIRS}\nb\n<<<<<<< ${OURS}\n` +
  `=======\nmore\n>>>>>>> ${THEIRS}\n`;
const ID = createHash('sha1').update('f').digest('hex');

async function resolve(
  content: string,
  sections: Record<string, string>,
  more: Partial<Resolution> = {},
): Promise<string> {
  const file = {
    path: Buffer.from('f'),
    content: Buffer.from(content),
    ours: OURS,
    theirs: THEIRS,
    endsWithLineFeed: true,
  };
  const resolution = {
    oldPath: 'f',
    newPath: 'f',
    content: '',
    sections: new Map(Object.entries(sections)),
    ...more,
  };
  return (await resolveFile(file, resolution, new AbortController().signal)).toString();
}

test('each conflict ends with the side that was chosen for it', async () => {
  const [first, second] = [`${ID}_2_2`, `${ID}_4_4`];

  assert.equal(await resolve(CONTENT, { [first]: 'head', [second]: 'head' }), 'a\nours\nb\n');
  assert.equal(await resolve(CONTENT, { [first]: 'origin', [second]: 'head' }), 'a\ntheirs\nb\n');
  assert.equal(await resolve(CONTENT, { [first]: 'origin', [second]: 'origin' }), 'a\ntheirs\nb\nmore\n');
});

test('a conflict without a choice is named', async () => {
  const message = `Missing resolution for section ID: ${ID}_4_4`;
  await assert.rejects(resolve(CONTENT, { [`${ID}_2_2`]: 'head' }), { name: 'ResolutionError', message });
  await assert.rejects(resolve(CONTENT, { [`${ID}_2_2`]: 'head', [`${ID}_4_4`]: 'both' }), { message });
});

test('line breaks are those of the first line', async () => {
  const content = CONTENT.replaceAll('\n', '\r\n');

  assert.equal(
    await resolve(content, { [`${ID}_2_2`]: 'head', [`${ID}_4_4`]: 'head' }),
    'a\r\nours\r\nb\r\n',
  );
});

test('markers of renamed files bear the paths', async () => {
  const content = `<<<<<<< ${OURS}:old\nx\n=======\ny\n>>>>>>> ${THEIRS}:f\n`;

  assert.equal(await resolve(content, { [`${ID}_1_1`]: 'head' }, { oldPath: 'old' }), 'x\n');
});

for (const [what, content, code, problem] of [
  [
    'a second start',
    `<<<<<<< ${OURS}\n<<<<<<< ${OURS}\n`,
    'INVALID_ARGUMENT',
    'unexpected conflict delimiter',
  ],
  [
    'an end without a middle',
    `<<<<<<< ${OURS}\n>>>>>>> ${THEIRS}\n`,
    'INVALID_ARGUMENT',
    'unexpected conflict delimiter',
  ],
  ['a middle by itself', '=======\n', 'INVALID_ARGUMENT', 'unexpected conflict delimiter'],
  ['no end', `<<<<<<< ${OURS}\nx\n`, 'INTERNAL', 'missing last delimiter'],
  ['nothing', '', 'INTERNAL', 'merging is not supported for file'],
  ['too much', 'x'.repeat(200 * 1024 + 1), 'INTERNAL', 'merging is not supported for file'],
] as const) {
  test(`a file with ${what} is not resolved`, async () => {
    const message = `resolve: parse conflict for "f": ${problem}`;
    await assert.rejects(resolve(content, { x: 'head' }), { code, message });
  });
}

test('without choices the content that was sent is the file', async () => {
  assert.equal(await resolve(CONTENT, {}, { content: 'as it is' }), 'as it is');
});
