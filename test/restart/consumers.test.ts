import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { receivePack } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';
import { SECRET, startReceiver } from '../events/webhook-receiver.ts';
import { startRestarting } from './restarting.ts';

const FLUSH = '0000';

function repositoryAt(relativePath: string) {
  return { storageName: 'default', relativePath, glRepository: 'project-1' };
}

// Symptom: both processes sent the same events.
test('webhooks and an archive are handed over when the old process ends', async (context) => {
  const bucket = makeScratchDirectory('restart-archive');
  context.after(() => rmSync(bucket, { recursive: true, force: true }));
  const receiver = await startReceiver(context);
  receiver.status = 503;
  await using gitaly = await startRestarting({
    archive: pathToFileURL(join(bucket, 'archive')).href,
    config: `[events]
enabled = true
[[webhook]]
name = "test"
url = "${receiver.url}"
secret = "${SECRET}"
allow_private_addresses = true
`,
  });
  const { first } = gitaly;
  const connection = await first.connect();
  await connection.repository.createRepository({ repository: repositoryAt('a.git') });
  const old = gitaly.pid();
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const advertised = once(stdout, 'data');
  const push = receivePack(
    connection,
    { stdin, stdout, stderr: new PassThrough().resume() },
    { repository: repositoryAt('a.git'), glId: 'user-1' },
  );
  await advertised; // the old process stays until the push has ended

  await gitaly.restart();
  const next = await first.connect();
  await next.repository.createRepository({ repository: repositoryAt('b.git') });
  receiver.status = 200;
  const isSent = (path: string) => () =>
    receiver.events.filter(({ repository }) => repository === path).length >= 2;
  await until(isSent('a.git'), 'the events of the old process');
  assert.ok(isAlive(old));
  stdin.end(FLUSH);
  await push;
  await until(() => !isAlive(old), 'the old process does not end');
  await until(isSent('b.git'), 'the events of the new process');
  await next.repository.removeRepository({ repository: repositoryAt('b.git') });
  await until(() => receiver.events.at(-1)?.type === 'removed', 'a later event');

  const sent = receiver.events.map(({ id }) => id);
  assert.deepEqual(sent, [...new Set(sent)]);
  assert.doesNotMatch(first.log(), /archived any more|archive could not be written|compared/);
});
