import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { nestedTags, tagOf } from '#testkit/repositories/nested-tags';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { ObjectReader } from './object-reader.ts';
import { TagChains } from './tag-chains.ts';

const NESTED = 50;

const fixture = await StorageFixture.create();
after(() => fixture[Symbol.asyncDispose]());
const repository = fixture.init('tags.git', { commits: 1 });
const { path } = repository;
const { signal } = new AbortController();
const commit = gitOutput(path, ['rev-parse', 'main']);
const nested = nestedTags(path, commit, NESTED);

/** Returns an object reader, and the objects that were read. */
function counted(): { reads: string[]; objects: Pick<ObjectReader, 'info' | 'readInProcess'> } {
  const { objects } = repository;
  const reads: string[] = [];
  return {
    reads,
    objects: {
      info: (oid, options) => objects.info(oid, options),
      readInProcess: (oid, options) => {
        reads.push(oid);
        return objects.readInProcess(oid, options);
      },
    },
  };
}

// Symptom: a clone of thousands of tags, each of the one before, took minutes of the server.
for (const [order, tags] of Object.entries({ ascending: nested, descending: nested.toReversed() })) {
  test(`each of many nested tags is read once or twice, in ${order} order`, async () => {
    const { objects, reads } = counted();
    const chains = new TagChains(objects, signal);
    const found = new Set<string>();

    for (const tag of tags) {
      const { end, tags: ones } = await chains.follow(tag);
      assert.equal(end, commit);
      for (const one of ones) found.add(one);
    }

    assert.deepEqual(found, new Set(nested), 'all of them are found');
    assert.ok(reads.length <= NESTED + 1, `${reads.length} reads`);
  });
}

test('a known end is not read, and another object is its own end', async () => {
  const { objects, reads } = counted();
  const chains = new TagChains(objects, signal);

  assert.deepEqual(await chains.follow(nested[1] ?? '', nested[0]), { tags: [nested[1]], end: nested[0] });
  assert.deepEqual(await chains.follow(commit), { tags: [], end: commit });
  assert.deepEqual(reads, [nested[1]]);
});

test('git has to follow a tag of a missing object', async () => {
  const chains = new TagChains(repository.objects, signal);
  const tag = tagOf(path, '1'.repeat(40), 'commit');

  await assert.rejects(chains.follow(tag), { name: 'FallBackToGit' });
});
