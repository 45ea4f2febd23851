import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { parseScope } from '#tokens/scope';
import type { GitalyLink } from '../gitaly-link.ts';
import type { Identity } from '../identity.ts';
import { storageMapping } from '../repository-mapping.ts';
import type { SshAccessRequest } from './authentication.ts';
import { CommandRunner, type CommandRunnerOptions } from './command-runner.ts';
import { parseGitCommand } from './git-command.ts';

/** Thrown by the first use of the connection: the command was accepted. */
const REACHED = new Error('the call is made');
const LINK = {
  get connection(): never {
    throw REACHED;
  },
} as unknown as GitalyLink;
const USER: Identity = { glId: 'user-1', username: 'ann' };

/** Runs a command up to the call, and returns why it is not made. */
async function refusalOf(
  text: string,
  identity: Identity,
  options: Partial<CommandRunnerOptions> = {},
): Promise<unknown> {
  const runner = new CommandRunner({
    ...{ link: LINK, mapping: storageMapping('default') },
    ...{ creator: undefined, authorize: undefined, onFailure: undefined },
    ...options,
  });
  const command = parseGitCommand(text);
  if ('refusal' in command) throw new Error(command.refusal);
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const remoteAddress = '192.0.2.1';
  const { signal } = new AbortController();
  return await runner.run({ command, identity, remoteAddress, gitProtocol: '', io, signal }).then(
    () => assert.fail('no command can end'),
    (error: unknown) => (error === REACHED ? 'called' : `${Object(error).code}: ${Object(error).message}`),
  );
}

const PUSH = "git-receive-pack 'team/a.git'";
const FETCH = "git-upload-pack 'team/a.git'";
const ARCHIVE = "git-upload-archive 'team/a.git'";
const withScope = (access: 'read' | 'write' | 'admin', repositories: string[]): Identity => ({
  ...USER,
  scope: parseScope({ access, repositories }),
});

test('a token does what its scope has, and a repository outside of it is missing', async () => {
  const missing = 'NOT_FOUND: not in the scope of the token';
  const readOnly = 'PERMISSION_DENIED: You may not write this repository.';
  for (const [identity, ...expected] of [
    [USER, 'called', 'called', 'called'],
    [withScope('admin', ['**']), 'called', 'called', 'called'],
    [withScope('write', ['team/*']), 'called', 'called', 'called'],
    [withScope('read', ['team/*']), readOnly, 'called', 'called'],
    [withScope('write', ['other/*']), missing, missing, missing],
  ] as const)
    assert.deepEqual(
      [await refusalOf(PUSH, identity), await refusalOf(FETCH, identity), await refusalOf(ARCHIVE, identity)],
      expected,
    );
});

test('the callback learns who does what to which repository, and decides', async () => {
  const asked: SshAccessRequest[] = [];
  const authorize = async (request: SshAccessRequest): Promise<boolean> => {
    asked.push(request);
    return request.operation === 'read';
  };

  assert.equal(
    await refusalOf(PUSH, USER, { authorize }),
    'PERMISSION_DENIED: You may not write this repository.',
  );
  assert.equal(await refusalOf(FETCH, USER, { authorize }), 'called');
  assert.equal(await refusalOf(ARCHIVE, USER, { authorize: () => false }), READ_REFUSED);

  const common = { identity: USER, path: 'team/a.git', remoteAddress: '192.0.2.1' };
  assert.deepEqual(asked, [
    { ...common, operation: 'write' },
    { ...common, operation: 'read' },
  ]);
});

const READ_REFUSED = 'PERMISSION_DENIED: You may not read this repository.';

test('a path that the mapping does not know is no repository', async () => {
  const mapping = { repositoryAt: () => undefined };

  assert.equal(await refusalOf(FETCH, USER, { mapping }), 'NOT_FOUND: not mapped');
  const authorize = () => false;
  assert.equal(await refusalOf(FETCH, USER, { mapping, authorize }), READ_REFUSED, 'nobody learns of it');
});
