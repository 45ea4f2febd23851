import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkWords } from './check-words.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a tree with these files. */
function check(files: Readonly<Record<string, string>>) {
  using tree = temporaryTree(files);
  const { lines, status } = outcomeOf(checkWords(tree));
  return { status, output: lines.join('\n') };
}

test('each word of the list is refused, in names and in prose', () => {
  const lines = [
    ['door', '// the HTTP door listens'],
    ['Door', 'export class Door {}'],
    ['tDoor', 'export function startDoor(): void {}'],
    ['nDoors', 'const openDoors = 1;'],
    ['rooms', 'function findCommit(rooms: CommitDependencies) {}'],
    ['tRooms', 'type X = CommitRooms;'],
    ['whatIsWrongWithOid', 'whatIsWrongWithOid(oid);'],
    ['atHand', 'const atHand = 1;'],
    ['NOBODYS_HASH', 'const NOBODYS_HASH = 1;'],
    ['LAST_WORDS_MS', 'const LAST_WORDS_MS = 1;'],
    ['to the byte', '// as git answers it, to the byte'],
    ['has a say in', '// the lock has a say in diffs'],
    ['is told of', '// the server is told of it'],
    ['knows nothing of', '// the caller knows nothing of it'],
    ['at hand', '// the tree is at hand'],
    ['judged', '// the file is judged'],
    ['goodbye', '// the client says goodbye'],
  ];

  const { status, output } = check({ 'src/x.ts': lines.map(([, line]) => line).join('\n') });

  assert.equal(status, 1, output);
  const found = output.matchAll(/^src\/x\.ts:(\d+): “(.*?)”/gm).map(([, line, word]) => [Number(line), word]);
  assert.deepEqual(
    [...found],
    lines.map(([word], index) => [index + 1, word]),
  );
});

test('words of prose are refused in comments and documents, not in names, strings and code blocks', () => {
  const { status, output } = check({
    'src/x.ts': "// the file beside it\nconst beside = 'beside';\n/** The handler has begun. */\n",
    'README.md': 'It takes so many bytes.\n\n```\nbeside\n```\n\nIn a turn of the event loop.\n',
  });

  assert.equal(status, 1, output);
  assert.deepEqual(
    [...output.matchAll(/^(\S+:\d+): “(.*?)”/gm)].map(([, at, word]) => `${at} ${word}`),
    ['README.md:1 so many', 'README.md:7 turn of the event loop', 'src/x.ts:1 beside', 'src/x.ts:3 begun'],
  );
});

test('words that only contain a refused one pass, and so do exempt files', () => {
  const { status, output } = check({
    'src/x.ts': 'const indoor = 1; // headroom, mushrooms, outdoors, a bathroom\n',
    'src/wire/gen/x.ts': '// door\n',
    'src/fixtures/x.ts': '// door\n',
  });

  assert.equal(status, 0, output);
});

test('a doc comment that begins with What or Whether is refused, on one line and on the next', () => {
  const { status, output } = check({
    'src/x.ts':
      '/** What it is. */\n/**\n * Whether it is\n */\n// Whether\n/** Whatever */\n  /**\n   * What\n',
  });

  assert.equal(status, 1, output);
  const lines = output.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => /^src\/x\.ts:\d+/.exec(line)?.[0]),
    ['src/x.ts:1', 'src/x.ts:3', 'src/x.ts:8'],
  );
});

test('long lines are refused: code above 110 columns, comments and documents above 100', () => {
  const code = (columns: number): string => `const x = '${'y'.repeat(columns - 13)}';\n`;
  const comment = (columns: number): string => `// ${'x'.repeat(columns - 3)}\n`;

  const { output } = check({
    'scripts/code.ts': code(110) + code(111),
    'scripts/comment.ts': comment(100) + comment(101),
    'README.md': `${'x'.repeat(100)}\n${'x'.repeat(101)}\n| ${'x'.repeat(101)} |\n\`\`\`\n${'x'.repeat(110)}\n\`\`\`\nhttps://${'x'.repeat(101)}\n`,
  });

  assert.deepEqual(output.trim().split('\n'), [
    'README.md:2: longer than 100 columns',
    'scripts/code.ts:2: longer than 110 columns',
    'scripts/comment.ts:2: longer than 100 columns',
  ]);
});

test('seeing no file at all is a failure', () => {
  const { status, output } = check({});

  assert.equal(status, 1, output);
  assert.match(output, /saw no file/);
});
