import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { ListedRef } from '../storage/listed-ref.ts';
import {
  type RefCommit,
  type RefTag,
  readRefCommits,
  readRefTag,
  readRefTags,
  readUnknownRefObjects,
} from './read-ref-objects.ts';

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
    (_, index) => `${main} refs/tags/t${String(index).padStart(4, '0')}`,
  );
  writePackedRefs(path, lines);
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

for (const count of [3, 90, 400])
  test(`of ${count} references, only those that the caller does not know are read`, async () => {
    const own = join(path, `known-${count}.git`);
    initRepository(own, { commits: 1 });
    const stream = Array.from({ length: count }, (_, index) =>
      [
        `commit refs/heads/c${index}`,
        'committer C <c@x> 1 +0000',
        'data <<E',
        `commit ${index}`,
        'E',
        '',
      ].join('\n'),
    );
    gitOutput(own, ['fast-import', '--quiet'], stream.join(''));
    const listed = git.open(own).refs.list({ patterns: ['refs/heads/c*'] });
    const all = (await Array.fromAsync(git.open(own).refs.list({ patterns: ['refs/heads/c*'] }))).flat();
    const lines = gitOutput(own, ['for-each-ref', '--format=%(refname)%09%(subject)']).split('\n');
    const subjects = new Map(lines.map((line) => [line.split('\t')[0], line.split('\t')[1]]));
    const known = new Set(all.filter((_, index) => index % 3 === 1).map(({ oid }) => oid));
    const isKnown = (oid: string): boolean => known.has(oid);

    const read = (
      await Array.fromAsync(readUnknownRefObjects(git.open(own).objects, listed, { isKnown }))
    ).flat();

    assert.deepEqual(
      read.map(({ item }) => item.name.toString()),
      all.map(({ name }) => name.toString()),
    );
    for (const { item, data } of read) {
      if (known.has(item.oid) && count < 200) assert.equal(data, undefined, item.name.toString());
      else assert.ok(data?.toString().endsWith(`\n\n${subjects.get(item.name.toString())}\n`));
    }
  });

test('few or many, with or without the map of names: the same objects are read', async () => {
  const other = `${path}-mapped.git`;
  after(() => rmSync(other, { recursive: true }));
  initRepository(other);
  const run = (args: readonly string[], input = ''): string => gitOutput(other, args, input);
  const map = run(
    ['hash-object', '-w', '--stdin'],
    'Mapped Author <mapped@x> <ann@example.com>\nMapped Tagger <tagger@x> <cal@example.com>\n',
  );
  const tree = run(['mktree'], `100644 blob ${map}\t.mailmap\n`);
  const small = run(['commit-tree', '-m', 'small', tree]);
  run(['update-ref', 'refs/heads/main', small]);
  // Larger than what the shared process keeps in memory.
  const large = run(['commit-tree', tree], 'y'.repeat(300_000));
  run(['update-ref', 'refs/tags/commit', small]);
  run(['update-ref', 'refs/tags/large-commit', large]);
  const tag = (name: string, target: string, message = name): void =>
    void run(['tag', '-a', '-F', '-', name, target], message);
  tag('a-tag', small);
  tag('large-tag', large, 'x'.repeat(300_000));
  tag('tag-of-tag', 'a-tag');
  tag('tag-of-tree', tree);
  tag('tag-of-blob', map);
  const { refs: mapped, objects: reader } = git.open(other);
  const list = (): AsyncIterable<ListedRef[]> => mapped.list({ patterns: ['refs/tags/'] });
  const expected = (author: string, tagger: string): string[] => [
    `a-tag ${tagger} 6 ${author} 6`,
    `commit - - ${author} 6`,
    `large-commit - - ${author} 300000`,
    `large-tag ${tagger} 300001 ${author} 300000`,
    `tag-of-blob ${tagger} 12 - -`,
    `tag-of-tag ${tagger} 11 ${author} 6`,
    `tag-of-tree ${tagger} 12 - -`,
  ];

  for (const isMany of [false, true]) {
    if (isMany)
      run(
        ['update-ref', '--stdin'],
        Array.from({ length: 101 }, (_, index) => `create refs/tags/z${index} ${small}\n`).join(''),
      );
    for (const isPacked of [false, true]) {
      if (isPacked) run(['pack-refs', '--all']);
      for (const [mailmap, author, tagger] of [
        [undefined, 'Mapped Author', 'Mapped Tagger'],
        [false, 'Ann Author', 'Cal Committer'],
      ] as const) {
        const options = mailmap === undefined ? {} : { mailmap };
        const tags = (await Array.fromAsync(readRefTags(reader, list(), options))).flat();
        const commits = (await Array.fromAsync(readRefCommits(reader, list(), options))).flat();
        const what = `${isMany} ${isPacked} ${mailmap}`;

        assert.equal(tags.length, isMany ? 108 : 7);
        assert.deepEqual(tags.slice(0, 7).map(showTag), expected(author, tagger), what);
        assert.deepEqual(
          commits.slice(0, 7).map(({ ref, commit }) => `${ref.name.subarray(10)} ${showCommit(commit)}`),
          expected(author, tagger).map((line) => line.replace(/^(\S+) .* (\S+ \S+|-) (\S+)$/, '$1 $2 $3')),
          what,
        );
        assert.ok(tags.every(({ isMissing }) => !isMissing));
      }
    }
  }
});

function showTag({ ref, tag, commit }: RefTag): string {
  const tagged = `${tag?.tagger?.name ?? '-'} ${tag?.message.length ?? '-'}`;
  return `${ref.name.subarray(10)} ${tagged} ${showCommit(commit)}`;
}

function showCommit(commit: RefCommit['commit']): string {
  return `${commit?.author?.name ?? '-'} ${commit?.body.length ?? '-'}`;
}

test('an abort ends the reading of many objects', async () => {
  const controller = new AbortController();
  const reading = readRefTags(objects, refs.list({ patterns: ['refs/tags/'] }), {
    signal: controller.signal,
  });
  await reading.next();

  controller.abort();

  await assert.rejects(Array.fromAsync(reading), /context canceled/);
});
