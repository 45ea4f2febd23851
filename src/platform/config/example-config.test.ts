import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleConfig } from './example-config.ts';
import { readConfig } from './read-config.ts';
import { schema } from './schema/schema.ts';

test('the example sets what a server behind GitLab needs', async () => {
  const { values, unknown } = await readConfig(exampleConfig(schema, ''));

  assert.deepEqual(unknown, []);
  assert.equal(values.socketPath, '/home/git/gitlab/tmp/sockets/private/gitaly.socket');
  assert.deepEqual(values.storage, [{ name: 'default', path: '/home/git/repositories', archive: [] }]);
  assert.equal(values.hooks.customHooksDir, '/home/git/custom_hooks');
  assert.equal(
    values.gitlab.url,
    'http+unix://%2Fhome%2Fgit%2Fgitlab%2Ftmp%2Fsockets%2Fgitlab-workhorse.socket',
  );
  assert.equal(values.gitlab.secretFile, '/home/git/gitlab-shell/.gitlab_shell_secret');
});

test('every setting of the example can be enabled by removing its #', async () => {
  const all = exampleConfig(schema, '')
    .replace(/^#(?=[a-z[])/gm, '')
    .replace(/^(config_command|token_file) .*$/gm, '');

  const { values, unknown } = await readConfig(all);

  assert.deepEqual(unknown, []);
  assert.equal(values.auth.token?.reveal(), 'the secret token');
  assert.deepEqual(values.git.config, [{ key: 'fetch.fsckObjects', value: 'true' }]);
  assert.equal(values.prometheus.grpcLatencyBuckets.length, 11);
});
