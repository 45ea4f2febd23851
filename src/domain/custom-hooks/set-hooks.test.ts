import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasRules } from '#domain/hooks/push-rules/repository-rules';
import { writeSetting } from '#domain/settings/kept-settings';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { setHooks } from './set-hooks.ts';

const TIMES = 100;
const { signal } = new AbortController();

async function* nothing(): AsyncGenerator<Buffer> {}

test('a push never finds a repository without its rules while its hooks are set', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');
  await writeSetting(repository, 'rules.json', Buffer.from('{"readOnly": [{}]}'), { vote: undefined });
  let isSet = false;
  let missed = 0;
  const look = async (): Promise<void> => {
    while (!isSet) {
      if (!hasRules(repository)) missed++;
      await new Promise(setImmediate);
    }
  };

  const looking = look();
  for (let i = 0; i < TIMES; i++)
    await setHooks(repository, nothing(), { keepsSettings: true, vote: undefined, signal });
  isSet = true;
  await looking;

  assert.equal(missed, 0);
  assert.ok(existsSync(join(repository.path, 'custom_hooks')));
});
