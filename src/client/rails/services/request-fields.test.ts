import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetTreeEntriesRequest_SortBy } from '#wire/gen/commit_pb';
import {
  FindLocalBranchesRequest_SortBy as BranchOrder,
  ListRefsRequest_SortBy_Key as RefKey,
  FindAllTagsRequest_SortBy_Key as TagKey,
} from '#wire/gen/ref_pb';
import { SortDirection } from '#wire/gen/shared_pb';
import { countFields, findCommitsFields, listCommitsFields, treeEntriesFields } from './commit-options.ts';
import { branchesFields, listRefsFields, tagsFields } from './ref-options.ts';

const { ASCENDING, DESCENDING } = SortDirection;
const DATE = new Date('2020-09-13T12:26:40.999Z');
const SECONDS = { seconds: 1_600_000_000n };

test('branches are ordered by name, or by the date of their commits', () => {
  assert.deepEqual(branchesFields({}), { sortBy: BranchOrder.NAME });
  assert.deepEqual(branchesFields({ sortBy: 'name_asc' }), { sortBy: BranchOrder.NAME });
  assert.deepEqual(branchesFields({ sortBy: 'updated_asc' }), { sortBy: BranchOrder.UPDATED_ASC });
  assert.deepEqual(branchesFields({ sortBy: 'updated_desc' }), { sortBy: BranchOrder.UPDATED_DESC });
});

test('the order of tags and references has a key and a direction', () => {
  const tags = (['name_asc', 'updated_desc', 'version_asc', 'version_desc'] as const).map(
    (sortBy) => tagsFields({ sortBy }).sortBy,
  );
  assert.deepEqual(tags, [
    { key: TagKey.REFNAME, direction: ASCENDING },
    { key: TagKey.CREATORDATE, direction: DESCENDING },
    { key: TagKey.VERSION_REFNAME, direction: ASCENDING },
    { key: TagKey.VERSION_REFNAME, direction: DESCENDING },
  ]);
  const refs = (['name_desc', 'updated_asc'] as const).map((sortBy) => listRefsFields({ sortBy }).sortBy);
  assert.deepEqual(refs, [
    { key: RefKey.REFNAME, direction: DESCENDING },
    { key: RefKey.CREATORDATE, direction: ASCENDING },
  ]);
  assert.deepEqual(tagsFields({}), {});
  assert.deepEqual(listRefsFields({}), { pointingAtOids: [], peelTags: false });
});

test('a page has a limit and a token, of which either may be missing', () => {
  const page = (limit?: number, pageToken?: string) =>
    tagsFields({ ...(limit !== undefined && { limit }), ...(pageToken !== undefined && { pageToken }) });

  assert.deepEqual(page(5), { paginationParams: { limit: 5, pageToken: '' } });
  assert.deepEqual(page(0), { paginationParams: { limit: 0, pageToken: '' } });
  assert.deepEqual(page(undefined, 'refs/tags/v1'), {
    paginationParams: { limit: -1, pageToken: 'refs/tags/v1' },
  });
  assert.deepEqual(page(5, 'refs/tags/v1'), { paginationParams: { limit: 5, pageToken: 'refs/tags/v1' } });
});

test('references may be chosen by their objects', () => {
  assert.deepEqual(listRefsFields({ pointingAtOids: ['12', '34'], peelTags: true }), {
    pointingAtOids: [Buffer.from('12'), Buffer.from('34')],
    peelTags: true,
  });
});

test('a log is of the default branch and of all paths unless options say otherwise', () => {
  assert.deepEqual(findCommitsFields({ limit: 3 }), {
    ...{ limit: 3, revision: Buffer.alloc(0), author: Buffer.alloc(0), paths: [] },
    ...{ includeReferencedBy: [], disableWalk: true },
  });
  const options = { revision: 'main', author: 'ann', paths: ['a*', Buffer.of(0xff)], literalPathspec: true };
  const period = { after: DATE, before: new Date(1000) };
  assert.deepEqual(
    findCommitsFields({ limit: 3, offset: 2, includeReferencedBy: ['refs/tags/'], ...options, ...period }),
    {
      ...{ limit: 3, offset: 2, revision: Buffer.from('main'), author: Buffer.from('ann') },
      ...{ paths: [Buffer.from('a*'), Buffer.of(0xff)], globalOptions: { literalPathspecs: true } },
      ...{ after: SECONDS, before: { seconds: 1n }, disableWalk: true },
      includeReferencedBy: [Buffer.from('refs/tags/')],
    },
  );
});

test('a list of commits is paged only with a limit or a token', () => {
  const plain = { paths: [], author: Buffer.alloc(0), commitMessagePatterns: [] };
  assert.deepEqual(listCommitsFields({}), plain);
  assert.deepEqual(listCommitsFields({ limit: 0 }).paginationParams, { limit: 0, pageToken: '' });
  assert.deepEqual(listCommitsFields({ pageToken: '12' }).paginationParams, { limit: -1, pageToken: '12' });
  const chosen = { paths: ['a'], author: 'ann', commitMessagePatterns: ['fix'] };
  assert.deepEqual(listCommitsFields({ ...chosen, after: DATE, reverse: true }), {
    ...{ paths: [Buffer.from('a')], author: Buffer.from('ann'), commitMessagePatterns: [Buffer.from('fix')] },
    ...{ after: SECONDS, reverse: true },
  });
});

test('commits are counted of a path and a period', () => {
  assert.deepEqual(countFields({}), { path: Buffer.alloc(0) });
  assert.deepEqual(countFields({ path: 'a', before: DATE, all: true, maxCount: 5 }), {
    ...{ path: Buffer.from('a'), before: SECONDS, all: true, maxCount: 5 },
  });
});

test('only a whole recursive tree is listed without an order and a limit', () => {
  const sorted = { sort: GetTreeEntriesRequest_SortBy.TREES_FIRST };
  const main = { revision: Buffer.from('main'), path: Buffer.from('.') };
  const paged = (limit: number, pageToken = '') => ({ ...sorted, paginationParams: { limit, pageToken } });
  const fields = (options: Parameters<typeof treeEntriesFields>[2]) => treeEntriesFields('main', '', options);

  assert.deepEqual(fields({ recursive: true }), { ...main, recursive: true, skipFlatPaths: false });
  assert.deepEqual(fields({}), { ...main, recursive: false, skipFlatPaths: false, ...paged(100_000) });
  assert.deepEqual(fields({ recursive: true, limit: 7 }), {
    ...{ ...main, recursive: true, skipFlatPaths: false },
    ...paged(7),
  });
  assert.deepEqual(fields({ recursive: true, pageToken: 'x', skipFlatPaths: true }), {
    ...{ ...main, recursive: true, skipFlatPaths: true },
    ...paged(100_000, 'x'),
  });
  assert.deepEqual(treeEntriesFields('main', 'src', {}).path, Buffer.from('src'));
});
