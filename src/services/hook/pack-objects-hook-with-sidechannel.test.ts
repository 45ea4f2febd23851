import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hooksPayload } from '#testkit/hooks-payload';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'p', glProjectPath: 'g/p' };
/** Longer than the server needs to see that the socket has gone. */
const SETTLE_MS = 100;

async function createRepository(gitaly: TestGitaly): Promise<string> {
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  // More than the buffer of a socket, so that the server still writes when the hook has ended.
  const blob = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], {
    input: randomBytes(3_000_000),
  });
  return blob;
}

async function callWith(gitaly: TestGitaly, onSocket: (socket: Socket) => void): Promise<string> {
  const path = join(gitaly.directory, 'hook/sidechannel');
  mkdirSync(dirname(path));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const payload = hooksPayload({ requestedHooks: 0, repository, user: undefined });
  try {
    return await gitaly.connection.hook
      .packObjectsHookWithSidechannel(
        {
          repository,
          args: ['pack-objects', '--revs', '--stdout', '--thin'],
          environmentVariables: [payload],
        },
        { metadata: { 'gitaly-sidechannel-socket': path }, timeoutMs: 10_000 },
      )
      .then(
        () => 'OK',
        (error: Error) => error.message,
      );
  } finally {
    server.close();
  }
}

// Before, the server had no listener for errors of the socket, and EPIPE ended the process.
for (const [when, onSocket] of [
  ['at once', (socket: Socket) => socket.destroy()],
  ['at once, with an end', (socket: Socket) => socket.end().destroySoon()],
  ['in the middle of its input', (socket: Socket) => socket.write('deadbeef', () => socket.destroy())],
  [
    'while it gets the pack',
    (socket: Socket, oid: string) => {
      socket.end(`${oid}\n`);
      socket.once('data', () => socket.destroy());
    },
  ],
  [
    'before it gets the pack',
    (socket: Socket, oid: string) => {
      socket.write(`${oid}\n`, () => socket.destroy());
    },
  ],
] as const) {
  test(`a hook that leaves ${when} does not end the server`, async () => {
    await using gitaly = await startGitaly();
    const oid = await createRepository(gitaly);

    const ended = await callWith(gitaly, (socket) => onSocket(socket, oid));

    // Go's words, by which clients and logs of Gitaly are searched.
    if (when === 'while it gets the pack')
      assert.match(ended, /^pack objects hook: write unix @->\/.*\/sidechannel: write: broken pipe$/);

    // An error without a listener would be thrown in this process.
    await setTimeout(SETTLE_MS);
    const { format } = await gitaly.connection.repository.objectFormat({ repository });
    assert.equal(format, 1);
  });
}
