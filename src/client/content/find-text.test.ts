import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startWithRepository } from '#testkit/servers/start-with-repository';
import { findText } from './find-text.ts';

const repository = { storageName: 'default', relativePath: 'x.git' };

/** Serves a repository with some files. Disposing ends the server. */
async function serve(files: Readonly<Record<string, string>>) {
  const fixture = await startWithRepository();
  commitFiles(fixture.directory, files);
  const revision = gitOutput(fixture.directory, ['rev-parse', 'main']);
  const place = { connection: fixture.gitaly.connection, repository };
  const find = (text: string, options = {}) => findText(place, { revision, text }, options);
  return { find, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

test('a match has its path, its lines and the two lines around, whatever the case', async () => {
  await using served = await serve({
    'd/ö x.txt': 'a\nb\nc\nThe Needle\nd\ne\nf\n',
    other: 'nothing\n',
    top: 'needle',
  });

  const { isCut, matches } = await served.find('needle');

  assert.equal(isCut, false);
  assert.deepEqual(
    matches.map(({ path, ...rest }) => ({ path: path.toString(), ...rest })),
    [
      { path: 'd/ö x.txt', firstLine: 2, lines: ['b', 'c', 'The Needle', 'd', 'e'] },
      { path: 'top', firstLine: 1, lines: ['needle'] },
    ],
  );
});

test('a text is no expression', async () => {
  const line = 'a.b*(c)[d] \\w ^$ {2}|+?';
  await using served = await serve({ hit: `${line}\n`, miss: 'axb(c)d w 2\n' });

  const { matches } = await served.find(line);

  assert.deepEqual(
    matches.map(({ path, lines }) => [path.toString(), ...lines]),
    [['hit', line]],
  );
  for (const text of ['.*', 'a.b.', 'c|d']) assert.deepEqual((await served.find(text)).matches, []);
});

test('50 matches are all, of 51 the rest is cut off', async () => {
  const filesOf = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${100 + index}`, 'needle\n']));
  for (const count of [50, 51]) {
    await using served = await serve(filesOf(count));

    const { isCut, matches } = await served.find('needle');

    assert.deepEqual([isCut, matches.length], [count > 50, 50]);
    assert.equal(matches.at(-1)?.path.toString(), 'f149');
  }
});

test('long lines and long matches are cut off', async () => {
  await using served = await serve({
    exact: `needle${'x'.repeat(494)}\n`,
    long: `needle${'x'.repeat(495)}\n`,
    many: 'needle\n'.repeat(60),
  });

  const { isCut, matches } = await served.find('needle');

  const [exact, long, many] = matches.map(({ lines }) => lines);
  assert.deepEqual(exact, [`needle${'x'.repeat(494)}`]);
  assert.deepEqual(long, [`needle${'x'.repeat(494)}…`]);
  assert.equal(many?.length, 50);
  assert.equal(isCut, false);
});

test('after a megabyte of matches the search ends', async () => {
  const files = Array.from({ length: 40 }, (_, index) => [
    `f${100 + index}`,
    `needle${'x'.repeat(60_000)}\n`,
  ]);
  await using served = await serve(Object.fromEntries(files));

  const { isCut, matches } = await served.find('needle');

  assert.equal(isCut, true);
  assert.ok(matches.length > 10 && matches.length < 20, `${matches.length}`);
});

test('a caller can end a search', async () => {
  await using served = await serve({ top: 'needle\n' });

  await assert.rejects(served.find('needle', { signal: AbortSignal.abort() }), { code: 'CANCELLED' });
});
