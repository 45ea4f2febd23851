import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { hooksPayload } from '#testkit/values/hooks-payload';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'p', glProjectPath: 'g/p' };
const [OLD, NEW] = ['1'.repeat(40), '2'.repeat(40)];

function payload(transactionId: number): string {
  const user = { username: 'jane', userId: 'user-1', protocol: 'ssh', remoteIp: '' } as const;
  return hooksPayload({ requestedHooks: 31, repository, user, transactionId });
}

interface Message {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitStatus?: { readonly value: number } | undefined;
}

async function collect(messages: AsyncIterable<Message>) {
  const result = { stdout: '', stderr: '', exitStatus: -1 };
  for await (const { stdout, stderr, exitStatus } of messages) {
    result.stdout += Buffer.from(stdout).toString();
    result.stderr += Buffer.from(stderr).toString();
    result.exitStatus = exitStatus?.value ?? result.exitStatus;
  }
  return result;
}

async function start(): Promise<TestGitaly> {
  const gitaly = await startGitaly({ customHooks: true });
  await runGit(['init', '--quiet', '--bare', join(gitaly.storagePath(), 'r.git')]);
  return gitaly;
}

function script(gitaly: TestGitaly, text: string): void {
  const directory = join(gitaly.directory, 'custom_hooks/update.d');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'x'), `#!/bin/sh\n${text}\n`);
  chmodSync(join(directory, 'x'), 0o755);
}

test('UpdateHook runs the script with the arguments that git gives an update hook', async () => {
  await using gitaly = await start();
  const seen = join(gitaly.directory, 'seen');
  script(gitaly, `echo "$@ $GL_ID $GL_PROTOCOL $GL_REPOSITORY" > ${seen}; echo out; echo err >&2; exit 3`);
  const request = {
    repository,
    environmentVariables: [payload(0)],
    ref: Buffer.from('refs/heads/main'),
    oldValue: OLD,
    newValue: NEW,
  };

  const refused = await collect(gitaly.connection.hook.updateHook(request));
  script(gitaly, 'exit 0');
  const accepted = await collect(gitaly.connection.hook.updateHook(request));

  assert.deepEqual(refused, { stdout: 'out\n', stderr: 'err\n', exitStatus: 3 });
  assert.deepEqual(accepted, { stdout: '', stderr: '', exitStatus: 0 });
  assert.equal(readFileSync(seen, 'utf8'), `refs/heads/main ${OLD} ${NEW} user-1 ssh p\n`);
});

test('UpdateHook refuses a request without its environment', async () => {
  await using gitaly = await start();

  await assert.rejects(
    collect(gitaly.connection.hook.updateHook({ repository, ref: Buffer.from('refs/heads/main') })),
    { code: 'INTERNAL' },
  );
});

test('ProcReceiveHook negotiates as git does, and has nobody to hand the commands to', async () => {
  await using gitaly = await start();
  const command = packet(`${OLD} ${NEW} refs/heads/main`);
  const version = packet('version=1\0push-options atomic');
  const stdin = [version, command, packet('an option')].map((part) => part + FLUSH).join('');
  const call = (transactionId: number) =>
    collect(
      gitaly.connection.hook.procReceiveHook([
        { repository, environmentVariables: [payload(transactionId)] },
        { stdin: Buffer.from(stdin) },
      ]),
    );

  const { stdout, stderr, exitStatus } = await call(7);

  assert.deepEqual(packets(Buffer.from(stdout)).map(String), ['version=1\0push-options atomic']);
  assert.ok(stdout.endsWith(FLUSH));
  assert.equal(exitStatus, 1);
  assert.equal(stderr, 'transmitting handler: no waiters for id: 7');
  await assert.rejects(call(0), { code: 'INTERNAL' });
});
