import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { dial, type Interceptor } from '../index.ts';
import { Repository } from './index.ts';

const USER = { id: 'user-1', username: 'jane', name: 'Jane Doe', email: 'jane@example.com' };

test('changes carry the time of the client, so that all nodes of a cluster make the same', async () => {
  await using gitaly = await startGitaly();
  const sent: [string, unknown][] = [];
  const recording: Interceptor = (invocation, next) => {
    const requests = async function* () {
      for await (const request of invocation.requests) {
        sent.push([invocation.method.name, request]);
        yield request;
      }
    };
    return next({ ...invocation, requests: requests() });
  };
  await using connection = await dial(gitaly.address, { interceptors: [recording] });
  const repository = new Repository(connection, { path: 'a.git', user: USER });
  await repository.create();
  const message = 'a change';

  await repository.commit({ branch: 'main', message, files: { a: 'a\n' } });
  await repository.commit({ branch: 'topic', start: { branch: 'main' }, message, files: { b: 'b\n' } });
  await repository.merge({ source: 'topic', into: 'main', message });
  await repository.revert({ commit: 'topic', onto: 'main', message });
  await repository.cherryPick({ commit: 'topic', onto: 'main', message });
  await repository.createTag('v1', 'main', { message });

  const dates = new Map<string, unknown>();
  for (const [method, request] of sent) {
    const { timestamp, userCommitFilesRequestPayload: payload } = Object(request);
    const { seconds } = timestamp ?? payload?.value.timestamp ?? {};
    if (seconds !== undefined) dates.set(method, Math.abs(Number(seconds) - Date.now() / 1000) < 300);
  }
  assert.deepEqual(Object.fromEntries(dates), {
    UserCommitFiles: true,
    UserMergeBranch: true,
    UserRevert: true,
    UserCherryPick: true,
    UserCreateTag: true,
  });
});
