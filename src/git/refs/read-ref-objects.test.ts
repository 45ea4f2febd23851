import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { readRefCommits, readRefTag, readRefTags } from './read-ref-objects.ts';

const path = makeScratchDirectory('ref-objects');
initRepository(path, { commits: 2 });
const started: string[] = [];
const git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
after(async () => {
  await git.close();
  rmSync(path, { recursive: true });
});

const repository = git.open(path);
const objects = repository.objects;
const refs = repository.refs;
const main = gitOutput(path, ['rev-parse', 'main']);
gitOutput(path, ['tag', '-a', '-m', 'message', 'annotated', 'main']);

test('a few references are read by the shared process, and one tag as well', async () => {
  await objects.info('HEAD');
  started.length = 0;

  const commits = (await Array.fromAsync(readRefCommits(objects, refs.list({ patterns: ['refs/'] })))).flat();
  const ref = await refs.find(Buffer.from('refs/tags/annotated'));
  const tag = ref && (await readRefTag(objects, ref));

  assert.deepEqual(
    commits.map(({ commit }) => commit?.oid),
    [main, main],
  );
  assert.deepEqual(
    [tag?.tag?.message.toString(), tag?.commit?.oid, tag?.isMissing],
    ['message\n', main, false],
  );
  assert.deepEqual(started, []);
});

test('many references are read by one process, and a reader that leaves ends it', async () => {
  const lines = Array.from(
    { length: 5_000 },
    (_, index) => `${main} refs/tags/t${String(index).padStart(4, '0')}\n`,
  );
  writeFileSync(
    join(path, 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${lines.join('')}`,
  );
  started.length = 0;

  const tags = (await Array.fromAsync(readRefTags(objects, refs.list({ patterns: ['refs/tags/'] })))).flat();
  for await (const batch of readRefTags(objects, refs.list({ patterns: ['refs/tags/'] })))
    if (batch.length > 0) break;

  assert.equal(tags.length, 5_001);
  assert.ok(tags.every(({ commit }) => commit?.oid === main));
  assert.deepEqual(started, ['cat-file', 'cat-file']);
  await until(() => git.caches.catFiles.counts.running <= 1, 'only the shared process is left');
});

test('references on trees, blobs and nothing are told apart', async () => {
  writeFileSync(join(path, 'refs/heads/tree'), `${gitOutput(path, ['rev-parse', 'main^{tree}'])}\n`);
  writeFileSync(
    join(path, 'refs/heads/blob'),
    `${gitOutput(path, ['hash-object', '-w', '--stdin'], 'x'.repeat(1_000_000))}\n`,
  );
  writeFileSync(join(path, 'refs/heads/gone'), `${'1'.repeat(40)}\n`);
  const patterns = ['refs/heads/'];

  const tags = (await Array.fromAsync(readRefTags(objects, refs.list({ patterns })))).flat();
  const bulk = (await Array.fromAsync(readRefTags(objects, refs.list({ patterns: ['refs/'] })))).flat();

  const facts = tags.map(({ ref, commit, isMissing }) => `${ref.name} ${commit !== undefined} ${isMissing}`);
  assert.deepEqual(facts, [
    'refs/heads/blob false false',
    'refs/heads/gone false true',
    'refs/heads/main true false',
    'refs/heads/tree false false',
  ]);
  assert.deepEqual(
    bulk.slice(0, 4).map(({ ref, commit, isMissing }) => `${ref.name} ${commit !== undefined} ${isMissing}`),
    facts,
  );
});
