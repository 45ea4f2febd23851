import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gitalyTsProgram } from '#cli/programs/gitaly-ts-program';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { isRunning } from './family.ts';
import { startUpFamily } from './up-family.ts';

/** Limits of the gateway for one client. */
const MAX_REQUESTS = 256;
/** As documented. */
const REVOKED_WITHIN_MS = 1000;
const API_RATE = 20;
const PUSHERS = 4;
const PUSHES = 3;

const server = await startUpFamily({ args: ['--events', '--api-rate', `${API_RATE}`] });
after(() => server[Symbol.asyncDispose]());

/** Opens streams of events, and returns their responses. */
async function openStreams(count: number, signal: AbortSignal): Promise<Response[]> {
  return await Promise.all(Array.from({ length: count }, () => fetch(`${server.http}/-/events`, { signal })));
}

/** Returns the numbers of the processes that stream events. */
async function streamingWorkers(): Promise<Set<number>> {
  const { calls } = await server.status();
  return new Set(calls.filter(({ method }) => method.endsWith('/Watch')).map(({ worker }) => worker ?? 0));
}

async function workerIds(): Promise<number[]> {
  const { workers = [] } = await server.status();
  return workers.filter(({ worker }) => worker !== 0).map(({ pid }) => pid);
}

/** Makes a clone with a commit. */
async function cloneWithCommit(name: string): Promise<string> {
  const clone = join(server.directory, name);
  await runGit(['clone', '-q', `${server.http}/hello.git`, clone]);
  commit(clone, name);
  return clone;
}

function commit(clone: string, message: string): string {
  gitOutput(clone, ['commit', '-q', '--allow-empty', '-m', message]);
  return gitOutput(clone, ['rev-parse', 'HEAD']);
}

/** Returns the references of a repository on the server, as git reads them. */
function references(name: string): Map<string, string> {
  const path = join(server.directory, 'data/repositories', name);
  const output = gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
  return new Map(output.split('\n').map((line) => line.split(' ') as [string, string]));
}

test('a push through one process reaches streams of events through all, and a live page', async () => {
  const ending = new AbortController();
  const streams: Response[] = [];
  await until(async () => {
    streams.push(...(await openStreams(2, ending.signal)));
    const workers = await streamingWorkers();
    return workers.has(1) && workers.has(2);
  }, 'both workers stream');
  const live = await fetch(`${server.http}/-/console/`, {
    headers: { Accept: 'text/event-stream' },
    signal: ending.signal,
  });
  assert.match(await textUntil(live, 'data:'), /^data:/m);

  const clone = await cloneWithCommit('event');
  await runGit(['push', '-q', `${server.http}/event.git`, 'HEAD:refs/heads/trunk'], { cwd: clone });

  const seen = await Promise.all(streams.map((stream) => textUntil(stream, 'refs/heads/trunk')));
  assert.ok(seen.every((events) => events.includes('"repository":"event.git"')));
  // The default branch of a new repository is the pushed one, whichever process created it.
  const head = gitOutput(join(server.directory, 'data/repositories/event.git'), ['symbolic-ref', 'HEAD']);
  assert.equal(head, 'refs/heads/trunk');
  ending.abort();
});

/** Reads a response until it contains a text. */
async function textUntil(response: Response, wanted: string): Promise<string> {
  let text = '';
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString();
    if (text.includes(wanted)) break;
  }
  return text;
}

test('the limit of requests holds over all processes, also when one is killed', async () => {
  const [victim = 0] = await workerIds();
  const ending = new AbortController();
  const streams = await openStreams(MAX_REQUESTS, ending.signal);
  assert.deepEqual(new Set(streams.map(({ status }) => status)), new Set([200]));
  const refused = await openStreams(3, ending.signal);
  assert.deepEqual(
    refused.map(({ status }) => status),
    [429, 429, 429],
  );
  await Promise.all(refused.map((response) => response.text()));

  process.kill(victim, 'SIGKILL');

  await until(async () => {
    // A connection that is used again may be one of the dead.
    const response = await fetch(`${server.http}/hello.git/info/refs?service=git-upload-pack`).catch(
      () => {},
    );
    await response?.text();
    return response?.status === 200;
  }, 'the slots of the dead are free');
  ending.abort();
  await until(async () => (await workerIds()).length === 2, 'a new worker is ready');
});

test('the rate of the API holds over all processes', async () => {
  const requests = Array.from({ length: 2 * API_RATE }, async () => {
    const address = `${server.http}/-/api/v1/repositories/hello`;
    // Each request has a connection of its own, which either worker gets.
    const response = await fetch(address, { headers: { Connection: 'close' } });
    await response.text();
    return response.status;
  });

  const statuses = await Promise.all(requests);
  assert.equal(statuses.filter((status) => status === 200).length, API_RATE);
  assert.equal(statuses.filter((status) => status === 429).length, API_RATE);
});

// Symptom: the log had an error for each creation that came too late.
test('first pushes to a new name at once succeed, and log no error', async () => {
  const clones = await Promise.all(['one', 'two', 'three'].map(cloneWithCommit));

  await Promise.all(
    clones.map((clone, index) =>
      runGit(['push', '-q', `${server.http}/at-once.git`, `HEAD:refs/heads/b${index}`], { cwd: clone }),
    ),
  );

  const expected = clones.map((clone, index) => [
    `refs/heads/b${index}`,
    gitOutput(clone, ['rev-parse', 'HEAD']),
  ]);
  assert.deepEqual([...references('at-once.git')], expected);
  assert.doesNotMatch(server.log(), /level=(?:error|warning).*at-once\.git/);
});

test('a clone and a push over SSH', { skip: NO_OPENSSH }, async () => {
  const { hostname: host, port } = new URL(server.ssh);
  const env = gitOverSsh(
    await sshArguments({
      directory: server.directory,
      gateway: { host, port: Number(port) },
      hostKeyPath: join(server.directory, 'data/ssh_host_ed25519_key'),
    }),
  );
  const clones = ['ssh-1', 'ssh-2', 'ssh-3', 'ssh-4'].map((name) => join(server.directory, name));

  await Promise.all(
    clones.map((clone) => runGit(['clone', '-q', `${server.ssh}/hello.git`, clone], { env })),
  );
  const oids = clones.map((clone) => commit(clone, clone));
  await Promise.all(
    clones.map((clone, index) =>
      runGit(['push', '-q', 'origin', `HEAD:refs/heads/ssh-${index}`], { cwd: clone, env }),
    ),
  );

  const found = references('hello.git');
  assert.deepEqual(
    clones.map((_, index) => found.get(`refs/heads/ssh-${index}`)),
    oids,
  );
});

test('a killed worker fails its own pushes only, and repeated they succeed', async () => {
  const clones = await Promise.all(
    Array.from({ length: PUSHERS }, (_, index) => cloneWithCommit(`p${index}`)),
  );
  const pushed = new Map<string, string>();
  let failures = 0;
  const pushAll = async (clone: string, index: number): Promise<void> => {
    for (let number = 0; number < PUSHES; number++) {
      const branch = `refs/heads/p${index}-${number}`;
      const oid = commit(clone, branch);
      const push = () =>
        run('git', ['push', '-q', 'origin', `HEAD:${branch}`], { cwd: clone, env: GIT_ENVIRONMENT });
      if ((await push()).code !== 0) {
        failures++;
        const again = await push();
        assert.equal(again.code, 0, again.stderr);
      }
      pushed.set(branch, oid);
      if (index === 0 && number === 1) process.kill((await workerIds())[0] ?? 0, 'SIGKILL');
    }
  };

  await Promise.all(clones.map(pushAll));

  assert.ok(failures <= PUSHERS, `${failures} pushes failed`);
  const found = references('hello.git');
  for (const [branch, oid] of pushed) assert.equal(found.get(branch), oid, branch);
  gitOutput(join(server.directory, 'data/repositories/hello.git'), ['fsck', '--strict', '--no-dangling']);
});

test('it stops with its workers', async () => {
  await until(async () => (await workerIds()).length === 2, 'both workers are ready');
  const workers = await workerIds();

  assert.equal(await server.stop('SIGINT'), 0);

  assert.deepEqual(workers.filter(isRunning), []);
  // The two that the tests have killed.
  assert.equal(server.log().match(/a worker process has failed/g)?.length, 2, server.log());
});

test('a revoked token is refused by every process within a second', async () => {
  const directory = makeScratchDirectory('up-tokens');
  const place = ['--in', join(directory, 'data')];
  const tokens = async (...args: readonly string[]): Promise<string> => {
    const command = [...programCommand('gitaly-ts'), 'token', ...args, ...place];
    const { code, stderr, stdout } = await run(process.execPath, command);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const create = async (name: string, access: string): Promise<string> => {
    const scope = ['--repository', '**', '--access', access, '--expires', '1h'];
    const token = (await tokens('create', name, ...scope)).trim();
    return `Basic ${Buffer.from(`${name}:${token}`).toString('base64')}`;
  };
  const Authorization = await create('ci', 'read');
  const [{ id }] = JSON.parse(await tokens('list', '--json'));
  const authorization = await create('root', 'admin');
  await using guarded = await startUpFamily({ args: ['--tokens'], authorization, directory });
  // Each request has a connection of its own, which either worker gets.
  const statuses = async (): Promise<Set<number>> => {
    const requests = Array.from({ length: 24 }, async () => {
      const address = `${guarded.http}/hello.git/info/refs?service=git-upload-pack`;
      const response = await fetch(address, { headers: { Authorization, Connection: 'close' } });
      await response.text();
      return response.status;
    });
    return new Set(await Promise.all(requests));
  };
  assert.deepEqual(await statuses(), new Set([200]));

  await tokens('revoke', id);
  await delay(REVOKED_WITHIN_MS);

  assert.deepEqual(await statuses(), new Set([401]));
});

const WRONG_COUNT = /expected auto, or a number from 1 to 256\./;

test('a wrong number of processes is refused', async () => {
  for (const value of ['0', '-1', '257', '1.5', 'many']) {
    const program = gitalyTsProgram();
    let refusal = '';
    const writeErr = (text: string): void => {
      refusal += text;
    };
    for (const command of [program, ...program.commands])
      command.exitOverride().configureOutput({ writeErr });
    await assert.rejects(program.parseAsync(['up', `--workers=${value}`], { from: 'user' }));
    assert.match(refusal, WRONG_COUNT, value);
  }

  const { code, stderr } = await run(process.execPath, [
    ...programCommand('gitaly-ts'),
    'up',
    '--workers=257',
  ]);
  assert.equal(code, 2);
  assert.match(stderr, WRONG_COUNT);
});

test('a cluster has no workers', async () => {
  const args = ['up', '--workers', '2', '--cluster', '2'];

  const { code, stderr } = await run(process.execPath, [...programCommand('gitaly-ts'), ...args]);

  assert.equal(code, 2);
  assert.match(stderr, /--workers has no effect with --cluster/);
});
