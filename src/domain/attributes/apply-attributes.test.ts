import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { applyAttributes } from './apply-attributes.ts';

const { signal } = new AbortController();
const ATTRIBUTES = '*.txt text\n';

test('attributes are removed by a vote of the nodes, and stay if it is lost', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const withFile = commitFiles(repository.path, { '.gitattributes': ATTRIBUTES });
  const without = commitFiles(repository.path, { other: '' });
  const file = join(repository.path, 'info/attributes');
  const apply = async (commit: string, lost = ''): Promise<void> => {
    const vote = async (phase: string): Promise<void> => {
      if (phase === lost) throw new Error('the vote is lost');
    };
    await applyAttributes(repository, commit, { vote, signal });
  };
  await apply(withFile);

  const refusal = { code: 'FAILED_PRECONDITION', message: 'prepared vote: the vote is lost' };
  await assert.rejects(apply(without, 'prepared'), refusal);
  assert.equal(readFileSync(file, 'utf8'), ATTRIBUTES);

  const late = { code: 'FAILED_PRECONDITION', message: 'committed vote: the vote is lost' };
  await assert.rejects(apply(without, 'committed'), late);
  assert.equal(existsSync(file), false);
});
