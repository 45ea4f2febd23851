import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { matchAsPath, prefixesOf, selectByName } from './ref-patterns.ts';
import { compileWildmatch } from './wildmatch.ts';

const directory = makeScratchDirectory('wildmatch');
initRepository(directory, { commits: 1 });
after(() => rmSync(directory, { recursive: true }));

const NAMES = [
  ...['a', 'b', 'A', 'B', 'ab', 'aB', 'a-b', 'a]b', 'z.z', '1', 'é', '!x', '#', "'", '"', '{a}', '-'].map(
    (name) => `refs/heads/${name}`,
  ),
  ...['x/a', 'x/b', 'x/y/a', 'x/y/z/a', 'x/A/b', 'xx/a'].map((name) => `refs/heads/${name}`),
  ...['refs/tags/a', 'refs/tags/x/a', 'refs/a', 'refs/x/heads/a'],
].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const main = gitOutput(directory, ['rev-parse', 'main']);
writeFileSync(
  join(directory, 'packed-refs'),
  `# pack-refs with: peeled fully-peeled sorted \n${NAMES.map((name) => `${main} ${name}\n`).join('')}`,
);
gitOutput(directory, ['update-ref', '-d', 'refs/heads/main']);

function askGit(patterns: readonly string[], ignoreCase: boolean): string[] {
  const args = [
    'for-each-ref',
    '--format=%(refname)',
    ...(ignoreCase ? ['--ignore-case'] : []),
    '--end-of-options',
    ...patterns,
  ];
  return outputSync('git', args, { cwd: directory }).toString().split('\n').filter(Boolean).sort();
}

const piece = fc.constantFrom(
  ...[
    'refs/',
    'heads/',
    'tags/',
    '/',
    'a',
    'b',
    'A',
    'x',
    'x/',
    'y',
    '*',
    '**',
    '/**/',
    '**/',
    '?',
    '\\',
    '\\*',
    '[',
    ']',
    '[ab]',
    '[!a]',
  ],
  ...[
    '[^b]',
    '[a-z]',
    '[A-Z]',
    '[]a]',
    '[a\\]]',
    '[[:alpha:]]',
    '[[:upper:]]',
    '[[:foo:]]',
    '[[:',
    '[a-',
    '[!]',
    '-',
    'é',
    '[\\a-b]',
    '{a}',
  ],
);
const pattern = fc
  .tuple(fc.constantFrom('refs/heads/', 'refs/', 'refs/heads', ''), fc.array(piece, { maxLength: 5 }))
  .map(([start, pieces]) => start + pieces.join(''))
  .filter((text) => text !== '');

test('patterns match the references that git matches', () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 2 }), fc.boolean(), (patterns, ignoreCase) => {
      // git before 2.41 compares two unrelated addresses for a pattern that begins with two stars.
      fc.pre(!patterns.some((each) => each.startsWith('**')));
      const matches = matchAsPath(
        patterns.map((each) => Buffer.from(each)),
        { ignoreCase },
      );
      const found = NAMES.filter((name) => matches(Buffer.from(name)));

      assert.deepEqual(found.sort(), askGit(patterns, ignoreCase));
    }),
    { numRuns: 400 },
  );
});

test('what matches a pattern begins with one of its prefixes, and all of a whole prefix matches', () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 3 }), (patterns) => {
      const bytes = patterns.map((each) => Buffer.from(each));
      const matches = matchAsPath(bytes);
      const prefixes = prefixesOf(bytes);

      for (const name of NAMES.map((each) => Buffer.from(each))) {
        const prefix = prefixes.find((each) => name.subarray(0, each.prefix.length).equals(each.prefix));
        if (matches(name)) assert.ok(prefix, name.toString());
        if (prefix?.isWhole === true) assert.ok(matches(name), name.toString());
      }
    }),
  );
});

test('a star crosses slashes unless names are paths', () => {
  const name = Buffer.from('group/a');

  assert.equal(compileWildmatch(Buffer.from('g*a'))(name), true);
  assert.equal(compileWildmatch(Buffer.from('g*a'), { pathname: true })(name), false);
});

test('every byte is in the sets in which it is for git', () => {
  const classes = ['alnum', 'alpha', 'blank', 'cntrl', 'digit', 'graph', 'lower', 'print', 'punct'];
  const sets = [
    ...[...classes, 'space', 'upper', 'xdigit'].map((name) => `[[:${name}:]]`),
    ...['[a-c]', '[!a-c]', '[^[:alpha:]]', '[a-]', '[]-a]', '[\\]]', '[--0]', '[+-\\-]', '[[:alpha:]-z]'],
    ...['[a-ce-g]', '[[:]', '[[:x]', '[a[:]b]', '[a-c-e]', '[z-a]', '[\\a-c]', '?'],
  ];
  // git matches paths with attributes by the same rules.
  mkdirSync(join(directory, 'info'), { recursive: true });
  writeFileSync(join(directory, 'info/attributes'), sets.map((set, index) => `x${set} s${index}\n`).join(''));
  const bytes = Array.from({ length: 255 }, (_, index) => index + 1).filter((byte) => byte !== 0x2f);
  const names = bytes.map((byte) => Buffer.of(0x78, byte));
  const input = Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)]));
  const answer = outputSync('git', ['check-attr', '-z', '--stdin', '--all'], { cwd: directory, input });
  const found = answer.toString('latin1').split('\0');
  const expected = new Set<string>();
  for (let at = 0; at + 2 < found.length; at += 3)
    if (found[at + 2] === 'set') expected.add(`${found[at]} ${found[at + 1]}`);

  for (const [index, set] of sets.entries()) {
    const matches = compileWildmatch(Buffer.from(`x${set}`), { pathname: true });
    for (const name of names) {
      const key = `${name.toString('latin1')} s${index}`;
      assert.equal(matches(name), expected.has(key), `${set}: byte ${name[1]}`);
    }
  }
});

test('a pattern that makes other matchers try everything takes no time', () => {
  const matches = compileWildmatch(Buffer.from(`${'*a'.repeat(200)}b`), { pathname: true });
  const start = performance.now();

  assert.equal(matches(Buffer.alloc(5_000, 'a')), false);

  assert.ok(performance.now() - start < 2_000);
});

test('a pattern that repeats its directories takes no time, and matches what it matches in git', () => {
  const name = Buffer.from('refs/heads/x/y/z/a');
  const many = '**/'.repeat(40_000);
  const matches = (text: string): boolean => compileWildmatch(Buffer.from(text), { pathname: true })(name);
  const start = performance.now();

  assert.equal(matches(`refs/${many}a`), true);
  assert.equal(matches(`refs/${many}b`), false);
  assert.equal(matches(`refs/${'**/*/'.repeat(20_000)}`), false);

  assert.ok(performance.now() - start < 2_000);
  for (const pattern of [
    ...['refs/**/**/a', 'refs/heads/**/**/**/y/**/**/a', 'refs/**/**/x/**/**'],
    ...['refs/heads/**\\/a', 'refs/heads/**\\a', 'refs/heads/x**/a', 'refs/heads/**x/a', 'refs/heads/*/a'],
  ]) {
    const test = matchAsPath([Buffer.from(pattern)]);
    assert.deepEqual(
      NAMES.filter((each) => test(Buffer.from(each))).sort(),
      askGit([pattern], false),
      pattern,
    );
  }
});

test('selecting by a hundred thousand patterns gives way to other work, and can be aborted', async () => {
  const patterns = Array.from({ length: 100_000 }, (_, index) => Buffer.from(`refs/heads/*${index}x`));
  const items = Array.from({ length: 200 }, (_, index) => ({ name: Buffer.from(`refs/heads/b${index}`) }));
  const abort = new AbortController();
  const select = selectByName(patterns, { signal: abort.signal });
  let turns = 0;
  const timer = setInterval(() => {
    if (++turns === 3) abort.abort(new Error('the client has left'));
  }, 1);

  await assert.rejects(select(items), /the client has left/);

  clearInterval(timer);
});

test('names are selected, or excluded, as by a test of all patterns', async () => {
  const patterns = ['refs/heads/m*', 'refs/tags'].map((each) => Buffer.from(each));
  const items = NAMES.map((name) => ({ name: Buffer.from(name) }));
  const matches = matchAsPath(patterns);

  const matching = await selectByName(patterns)(items);
  const others = await selectByName(patterns, { isExcluding: true })(items);

  assert.deepEqual(
    matching,
    items.filter(({ name }) => matches(name)),
  );
  assert.deepEqual(
    others,
    items.filter(({ name }) => !matches(name)),
  );
});
