import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { type AccessRequest, startHttpGateway, storageMapping } from '#gateway/index';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/http-gateway.md'), 'utf8');
const NOT_CACHED_BYTES = 3 << 20;
const noNginx = await run('nginx', ['-v']).then(
  () => false,
  () => 'there is no nginx',
);

/** Starts nginx with the lines of the page in front of a gateway. Returns its address. */
async function startNginx(stack: AsyncDisposableStack, directory: string, gateway: string): Promise<string> {
  const [, lines = ''] = /^```nginx\n(.*?)^```$/ms.exec(PAGE) ?? [];
  assert.ok(lines.includes('http://127.0.0.1:8080;'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; user root; pid ${directory}/pid; error_log stderr;
events {}
http {
  access_log off; ${temporary.join(' ')}
  server { listen 127.0.0.1:${port}; ${lines.replace('http://127.0.0.1:8080', gateway)} }
}
`,
  );
  const nginx = spawn('nginx', ['-c', join(directory, 'nginx.conf')], { stdio: 'inherit' });
  stack.defer(async () => {
    nginx.kill('SIGTERM');
    if (nginx.exitCode === null) await once(nginx, 'exit');
  });
  await until(async () => {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    return isOpen;
  }, 'nginx listens');
  return `http://127.0.0.1:${port}`;
}

test('git pushes and clones through nginx as docs/http-gateway.md sets it up', {
  skip: noNginx,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.adopt(makeScratchDirectory('nginx'), (path) => rmSync(path, { recursive: true }));
  await using gitaly = await startGitaly();
  const requests: AccessRequest[] = [];
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    createOnPush: {},
    trustedProxies: ['127.0.0.1'],
    authenticator: {
      authenticate: async (request) => {
        requests.push(request);
        return { glId: 'user-1', username: 'ann' };
      },
    },
  });
  const url = `${await startNginx(stack, directory, gateway.url)}/big.git`;
  const work = join(directory, 'work');
  await runGit(['init', '-q', '-b', 'main', work]);
  writeFileSync(join(work, 'file'), randomBytes(NOT_CACHED_BYTES));
  await runGit(['-C', work, 'add', '.']);
  await runGit(['-C', work, 'commit', '-q', '-m', 'one']);
  // nginx adds its client, which is on loopback and so a trusted proxy here, to what it claims.
  const options = { env: { ...GIT_ENVIRONMENT } };
  const claim = ['-c', 'http.extraHeader=X-Forwarded-For: 203.0.113.9'];

  const push = await run('git', ['-C', work, 'push', '-q', url, 'main'], options);
  const clone = await run('git', [...claim, 'clone', '-q', url, join(directory, 'copy')], options);

  assert.deepEqual([push.code, push.stderr], [0, '']);
  assert.deepEqual([clone.code, clone.stderr], [0, '']);
  assert.deepEqual(readFileSync(join(directory, 'copy/file')), readFileSync(join(work, 'file')));
  const addresses = new Set(requests.map(({ remoteAddress }) => remoteAddress));
  assert.deepEqual([...addresses], ['127.0.0.1', '203.0.113.9']);
});
