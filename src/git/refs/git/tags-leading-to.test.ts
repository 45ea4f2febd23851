import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { nestedTags, tagOf } from '#testkit/repositories/nested-tags';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { tagsLeadingTo } from './points-at.ts';

const NESTED = 50;
const WANTED = 20;

const fixture = await StorageFixture.create();
after(() => fixture[Symbol.asyncDispose]());
const repository = fixture.init('tags.git', { commits: 1 });
const { path } = repository;
const nested = nestedTags(path, gitOutput(path, ['rev-parse', 'main']), NESTED);
const { signal } = new AbortController();

// Symptom: ListRefs of thousands of tags, each of the one before, took minutes.
for (const [order, tags] of Object.entries({ ascending: nested, descending: nested.toReversed() })) {
  test(`each of many nested tags is read once, in ${order} order`, async (context) => {
    const { objects } = repository;
    const { mock } = context.mock.method(objects, 'readTag');
    const counted = Object.create(repository, { objects: { value: objects } });
    const leadsToOne = tagsLeadingTo({ repository: counted, signal }, new Set([nested[WANTED] ?? '']));

    const found: string[] = [];
    for (const tag of tags) if (await leadsToOne(tag)) found.push(tag);

    assert.deepEqual(new Set(found), new Set(nested.slice(WANTED + 1)));
    const reads = mock.callCount();
    assert.ok(reads > WANTED && reads <= NESTED + 1, `${reads} reads`);
  });
}

test('a tag of a missing object leads to it, and to nothing else', async () => {
  const missing = '1'.repeat(40);
  const tag = tagOf(path, missing, 'commit');

  assert.equal(await tagsLeadingTo({ repository, signal }, new Set([missing]))(tag), true);
  assert.equal(await tagsLeadingTo({ repository, signal }, new Set(nested))(tag), false);
});
