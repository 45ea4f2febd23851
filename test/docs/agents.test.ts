import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { gitOutput } from '#testkit/repositories/init-repository';
import { API_REPOSITORY, startApi } from '#testkit/servers/start-api';
import { Page, Reader } from './reader.ts';

test('docs/agents.md leads from a token to a merge, and to a tool', async () => {
  const ports = { ':8080': `:${await freePort()}` };
  await using agent = new Reader(() => ports);

  const output = await agent.follow(new Page('docs/agents.md'));

  const repository = join(agent.directory, 'git/repositories/team/app.git');
  assert.equal(gitOutput(repository, ['show', 'main:a.txt']), 'one\ntwo');
  assert.equal(gitOutput(repository, ['log', '-1', '--format=%cn', 'topic']), 'agent');
  assert.match(output, /"result":"fast-forward"/, 'the check of the merge');
  assert.match(output, /"result":\{"content":\[\{"type":"text","text":"one\\ntwo\\n"\}\]\}/, 'the tool');
});

test('/llms.txt alone leads an agent from nothing to a merge', async () => {
  await using api = await startApi();
  const server = new URL(api.url).origin;
  const answer = await fetch(`${server}/llms.txt`);
  assert.equal(answer.headers.get('content-type'), 'text/markdown; charset=utf-8');
  const page = await answer.text();
  const [, commands = ''] = /^```sh\n(.*?)^```$/ms.exec(page) ?? [];
  const steps = commands.split('\n').filter((line) => line.startsWith('curl '));
  assert.ok(steps.length <= 10, 'ten requests at most');
  await api.send('DELETE', API_REPOSITORY);
  await using agent = new Reader(() => ({ $SERVER: server }));

  await agent.type(commands);

  assert.equal(await api.repository.git(['show', 'main:a.txt']), 'one\ntwo');
});
