import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { parseAttributes, parseAttributesInTurns } from './parse-attributes.ts';
import { TreeAttributes } from './tree-attributes.ts';

const NAMES = ['one', 'two', 'mac', 'binary', 'diff'];
const PATHS = [
  'a.c',
  'b.h',
  'src/a.c',
  'src/lib/b.h',
  'src/lib/x y.c',
  'docs/a.c',
  'docs/deep/er/a.c',
  'l-ü.c',
  '!odd',
  '#odd',
  '"q".c',
];

/** Returns git's attributes of each path, from a working tree with these files. */
function saidByGit(
  files: Readonly<Record<string, string>>,
  check: (repository: string, said: string[]) => Promise<void>,
): Promise<void> {
  const directory = makeScratchDirectory('attributes');
  gitOutput('/', ['init', '-q', '--template=', directory]);
  for (const [name, text] of Object.entries(files)) {
    const file = name === 'info' ? join(directory, '.git/info/attributes') : join(directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, 'latin1');
  }
  const words = gitOutput(
    directory,
    ['check-attr', '-z', '--stdin', ...NAMES],
    PATHS.map((path) => `${path}\0`).join(''),
  ).split('\0');
  const said = PATHS.map((_, index) =>
    NAMES.map((_, at) => words[(index * NAMES.length + at) * 3 + 2] ?? '')
      .map((word, at) => `${NAMES[at]}: ${word}`)
      .join(', '),
  );
  return check(directory, said).finally(() => rmSync(directory, { recursive: true, force: true }));
}

async function saidByUs(
  git: GitFixture,
  worktree: string,
  files: Readonly<Record<string, string>>,
): Promise<string[]> {
  const path = join(worktree, '.git');
  const repository = git.open(path);
  const attributeFiles = Object.entries(files)
    .filter(([name]) => name !== 'info')
    .map(([name, text]) => ({
      directory: Buffer.from(name === '.gitattributes' ? '' : dirname(name)),
      oid: gitOutput(worktree, ['hash-object', '-w', '--stdin'], Buffer.from(text, 'latin1')),
    }));
  const attributes = await TreeAttributes.read(repository, repository.objects, attributeFiles);
  const all = await attributes.of(PATHS.map((file) => Buffer.from(file)));
  return all.map((of) => {
    return NAMES.map((name) => {
      const state = of.get(name) ?? 'unspecified';
      return `${name}: ${typeof state === 'string' ? state : Buffer.from(state.value, 'latin1').toString()}`;
    }).join(', ');
  });
}

async function compare(git: GitFixture, files: Readonly<Record<string, string>>): Promise<void> {
  await saidByGit(files, async (worktree, said) =>
    assert.deepEqual(await saidByUs(git, worktree, files), said, JSON.stringify(files)),
  );
}

const CASES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'the last line counts': { '.gitattributes': '*.c one\n*.c -one\nsrc/** two=x\n' },
  'the nearer file counts': {
    '.gitattributes': '*.c one=top',
    'src/.gitattributes': '*.c one=src',
    'src/lib/.gitattributes': 'b.h one=lib',
  },
  'info/attributes count most': { '.gitattributes': '*.c one', info: '*.c !one\na.c two=info' },
  'macros bring along what they stand for': {
    '.gitattributes': '[attr]mac one two=macro -diff\n*.c mac\n*.h -mac\nb.h binary',
    'src/.gitattributes': '[attr]mac two=no\n*.c !two',
  },
  'slashes tie a pattern to its directory': {
    '.gitattributes': '/a.c one\nlib/*.h two\nsrc/*.c one=src\n**/a.c mac=1\ndocs/ two\n',
  },
  'odd lines are left out': {
    '.gitattributes':
      '!odd one\n*.c one -two= bad/name\n# a comment\n\n   a.c   one=1\ttwo\n*.h =x\n\\#odd one\n' +
      '"\\"q\\".c" two\n',
  },
  'quotes with an escape that C does not have are a part of the pattern': {
    '.gitattributes': '"[ab\\]].c" one\n"a\\.c" two\n"\\*.c" mac=1\n"a.c\\000x" diff\n"?q?.c one\n',
  },
  'a byte order mark is passed over': { '.gitattributes': '\u00ef\u00bb\u00bfa.c one\r\nb.h two=v\r\n' },
  'a line that is too long does not count': {
    '.gitattributes': `a.c one ${'x'.repeat(2100)}\nb.h two ${'y'.repeat(2030)}\n`,
  },
};

for (const [name, files] of Object.entries(CASES)) {
  test(`attributes are what git says: ${name}`, async () => {
    await using git = await GitFixture.start();
    await compare(git, files);
  });
}

test('attributes are what git says of files made at random', async () => {
  await using git = await GitFixture.start();
  const pattern = fc.constantFrom(
    '*',
    '*.c',
    '*.h',
    'a.c',
    '/a.c',
    'src/*',
    'src/**',
    '**/a.c',
    'lib/',
    'docs/**/a.c',
    '[ab].c',
    '"x y.c"',
    '"src/lib/x y.c"',
    'l-*',
    '"\\*.c"',
    '"a\\.c"',
  );
  const word = fc.constantFrom(
    'one',
    '-one',
    '!one',
    'one=1',
    'two',
    'two=a=b',
    '-two',
    'mac',
    '-mac',
    '!mac',
    'binary',
    '-diff',
    'bad!name',
  );
  const line = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(pattern, fc.array(word, { maxLength: 3 }))
        .map(([of, words]) => [of, ...words].join(' ')),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(word, { maxLength: 2 })
        .map((words) => ['[attr]mac', ...words.filter((each) => !each.includes('mac'))].join(' ')),
    },
  );
  const file = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'));
  await fc.assert(
    fc.asyncProperty(file, file, file, file, (top, src, docs, info) =>
      compare(git, {
        '.gitattributes': top,
        'src/.gitattributes': src,
        'docs/deep/.gitattributes': docs,
        info,
      }),
    ),
    { numRuns: 40 },
  );
});

test('any bytes are read without an error', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      async (bytes, path) => {
        const lines = parseAttributes(Buffer.from(bytes), { allowMacros: true });
        await new TreeAttributes(lines, new Map([['', lines]])).of([Buffer.from(path)]);
      },
    ),
    { numRuns: 1000 },
  );
});

/** Many lines of many stars each; none matches before its last byte. */
const HOSTILE = Buffer.from(`${'*a'.repeat(200)}b x=1\n`.repeat(500));

test('patterns that take too long end with an error, and the event loop goes on meanwhile', async () => {
  const attributes = new TreeAttributes([], new Map([['', parseAttributes(HOSTILE, { allowMacros: true })]]));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);

  const all = attributes.of(
    Array.from({ length: 1000 }, () => Buffer.alloc(250, 'a')),
    { maxSteps: 1e8 },
  );

  await assert.rejects(all, { code: 'RESOURCE_EXHAUSTED' });
  clearInterval(timer);
  assert.ok(turns > 10, `${turns} turns of the event loop`);
});

test('a caller who leaves ends the matching', async () => {
  const attributes = new TreeAttributes([], new Map([['', parseAttributes(HOSTILE, { allowMacros: true })]]));
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('left')), 20); // the matching takes seconds

  const all = attributes.of(
    Array.from({ length: 1000 }, () => Buffer.alloc(250, 'a')),
    controller,
  );

  await assert.rejects(all, /^Error: left$/);
});

test('many attributes in many lines count as work, too', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `a${index}`).join(' ');
  const lines = parseAttributes(Buffer.from(`* ${names}\n`.repeat(1000)), { allowMacros: true });
  const attributes = new TreeAttributes([], new Map([['', lines]]));

  const all = attributes.of(
    Array.from({ length: 1000 }, () => Buffer.from('a')),
    { maxSteps: 10_000_000 },
  );

  await assert.rejects(all, { code: 'RESOURCE_EXHAUSTED' });
});

test('a NUL ends a line of info/attributes, as for git', async () => {
  await using git = await GitFixture.start();
  const files = { info: 'a.c one\0 two\nb.h one two\n*\0 diff\n' };
  await saidByGit(files, async (worktree, said) => {
    assert.deepEqual(await saidByUs(git, worktree, files), said);
  });
});

test('a NUL ends a file of a tree, as for git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const oid = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'a one\nb o\0ne\na two\n');
  const tree = gitOutput(repository.path, ['mktree'], `100644 blob ${oid}\t.gitattributes\n`);
  gitOutput(repository.path, ['read-tree', tree]);

  const attributes = await TreeAttributes.read(repository, repository.objects, [
    { directory: Buffer.alloc(0), oid },
  ]);
  const found = await attributes.of([Buffer.from('a'), Buffer.from('b')]);

  const ofGit = gitOutput(repository.path, ['check-attr', '--cached', '--all', 'a', 'b']);
  assert.equal(ofGit, 'a: one: set\nb: o: set');
  assert.deepEqual(
    found.map((each) => [...each.keys()]),
    [['one'], ['o']],
  );
});

// Symptom: other calls waited for 60 ms.
test('a large file is parsed in slices of the event loop', async () => {
  const file = Buffer.from('*.c one -two three=four\n'.repeat(200_000));
  let turns = 0;
  const count = (): void => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);

  const lines = await parseAttributesInTurns(file, { allowMacros: true });

  clearImmediate(timer);
  assert.equal(lines.length, 200_000);
  assert.ok(turns > 2, `${turns} turns`);
});
