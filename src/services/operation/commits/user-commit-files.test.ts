import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { REPOSITORY } from '#testkit/clients/operation-fixture';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import {
  UserCommitFilesActionHeader_ActionType as ActionType,
  type UserCommitFilesActionHeaderSchema,
  type UserCommitFilesRequestSchema,
} from '#wire/gen/operations_pb';

type Request = MessageInitShape<typeof UserCommitFilesRequestSchema>;
type ActionHeader = MessageInitShape<typeof UserCommitFilesActionHeaderSchema>;

interface Start {
  readonly startSha?: string;
  readonly startBranchName?: Buffer;
  readonly startRepository?: { readonly storageName: string; readonly relativePath: string };
}

const MEBIBYTE = 1024 * 1024;

function header(start: Start = {}): Request {
  const value = {
    repository: { storageName: 'default', relativePath: 'r.git', glRepository: 'project-1' },
    user: { glId: 'user-1', glUsername: 'jane', name: Buffer.from('Jane'), email: Buffer.from('jane@x') },
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from('change'),
    timestamp: { seconds: 1_700_000_000n },
    ...start,
  };
  return { userCommitFilesRequestPayload: { case: 'header', value } };
}

function action(kind: keyof typeof ActionType, path: string, more: ActionHeader = {}): Request {
  const value = { action: ActionType[kind], filePath: Buffer.from(path), ...more };
  const payload = { userCommitFilesActionPayload: { case: 'header', value } } as const;
  return { userCommitFilesRequestPayload: { case: 'action', value: payload } };
}

function content(value: Uint8Array | string): Request {
  const payload = { userCommitFilesActionPayload: { case: 'content', value: Buffer.from(value) } } as const;
  return { userCommitFilesRequestPayload: { case: 'action', value: payload } };
}

function create(path: string, text: string): Request[] {
  return [action('CREATE', path), content(text)];
}

/** Creates an empty repository `r.git`. */
function initRepository(gitaly: TestGitaly, objectFormat = 'sha1'): string {
  const path = join(gitaly.storagePath(), 'r.git');
  const format = `--object-format=${objectFormat}`;
  gitOutput('/', ['init', '-q', '--bare', '--template=', '--initial-branch=main', format, path]);
  return path;
}

/** Returns the files that a failed change may have left. */
function remains(gitaly: TestGitaly, path: string): { objects: string; temp: string[] } {
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  const objects = gitOutput(path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)']);
  return { objects, temp: existsSync(temp) ? readdirSync(temp) : [] };
}

for (const objectFormat of ['sha1', 'sha256']) {
  test(`a first and a second commit are those of git in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const path = initRepository(gitaly, objectFormat);
    const { userCommitFiles } = gitaly.connection.operation;

    const first = await userCommitFiles([header(), ...create('a/b', 'one\n'), ...create('c', 'two\n')]);
    const second = await userCommitFiles([
      header(),
      action('MOVE', 'x/y/c', { previousPath: Buffer.from('c'), inferContent: true }),
      action('DELETE', 'a/b'),
      action('CREATE_DIR', 'd'),
      action('CHMOD', 'x/y/c', { executeFilemode: true }),
    ]);

    assert.deepEqual([first.branchUpdate?.repoCreated, first.branchUpdate?.branchCreated], [true, true]);
    assert.deepEqual([second.branchUpdate?.repoCreated, second.branchUpdate?.branchCreated], [false, false]);
    assert.equal(gitOutput(path, ['rev-parse', 'main']), second.branchUpdate?.commitId);
    assert.equal(gitOutput(path, ['rev-parse', 'main~1']), first.branchUpdate?.commitId);
    const listed = gitOutput(path, ['ls-tree', '-r', '--format=%(objectmode) %(path)', 'main']);
    assert.equal(listed, '100644 d/.gitkeep\n100755 x/y/c');
    assert.equal(gitOutput(path, ['cat-file', '-p', 'main:x/y/c']), 'two');
    assert.match(gitOutput(path, ['cat-file', '-p', 'main']), /^author Jane <jane@x> 1700000000 \+0000$/m);
    assert.equal(gitOutput(path, ['fsck', '--strict', '--no-dangling']), '');
  });
}

test('a file that was moved gives way to a later action of the request, as with Gitaly', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const { userCommitFiles } = gitaly.connection.operation;
  await userCommitFiles([header(), ...create('a', 'a\n'), ...create('b', 'b\n')]);
  const moveTo = (name: string, from: string) =>
    action('MOVE', name, { previousPath: Buffer.from(from), inferContent: true });

  // A moved file cannot be moved again.
  await assert.rejects(userCommitFiles([header(), moveTo('x', 'a'), moveTo('y', 'x')]), {
    code: 'NOT_FOUND',
  });
  await userCommitFiles([header(), moveTo('x', 'a'), moveTo('x', 'b')]);
  await userCommitFiles([header(), moveTo('y', 'x'), ...create('y', 'new\n')]);

  assert.equal(gitOutput(path, ['ls-tree', '--name-only', 'main']), 'y');
  assert.equal(gitOutput(path, ['cat-file', '-p', 'main:y']), 'new');
  await assert.rejects(userCommitFiles([header(), ...create('y', 'again\n')]), { code: 'ALREADY_EXISTS' });
});

// Symptom: a path of 500,000 directories took minutes, and git could not read the commit.
test('a path has as many directories as git can read', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const { userCommitFiles } = gitaly.connection.operation;

  await userCommitFiles([header(), ...create(`${'a/'.repeat(2048)}x`, 'deep')]);
  assert.equal(gitOutput(path, ['cat-file', '-p', `main:${'a/'.repeat(2048)}x`]), 'deep');
  for (const name of [`${'a/'.repeat(2049)}x`, 'a/'.repeat(500_000), `${'./'.repeat(500_000)}x`]) {
    const start = performance.now();
    await assert.rejects(userCommitFiles([header(), ...create(name, '')]), {
      code: 'INVALID_ARGUMENT',
      message: /^invalid path: /,
    });
    assert.ok(performance.now() - start < 30_000);
  }
});

test('another repository to start in is asked only when something of it is needed', async () => {
  await using gitaly = await startGitaly();
  initRepository(gitaly);
  const { userCommitFiles } = gitaly.connection.operation;
  const first = await userCommitFiles([header(), ...create('a', 'a\n')]);
  const startRepository = { storageName: 'elsewhere', relativePath: 'x.git' };
  const startSha = first.branchUpdate?.commitId ?? '';

  const second = await userCommitFiles([header({ startRepository, startSha }), ...create('b', 'b\n')]);

  assert.equal(second.branchUpdate?.branchCreated, false);
  await assert.rejects(userCommitFiles([header({ startRepository }), ...create('c', 'c\n')]), {
    code: 'INTERNAL',
    message: 'resolve parent commit: remote repository: remote repository: empty gitaly-servers metadata',
  });
});

// git never receives such a name; the messages are Gitaly's.
const NUL_IN_NAMES: readonly { requests: Request[]; message: string }[] = [
  {
    requests: [header(), action('CREATE_DIR', 'a\0b')],
    message:
      'performing action operations.createDirectory: executing hash-object: detected null byte in ' +
      'command argument "a\\x00b/.gitkeep"',
  },
  {
    requests: [header(), action('MOVE', 'a\0b', { previousPath: Buffer.from('a'), inferContent: true })],
    message: 'writing tree writing tree: exit status 128',
  },
  {
    requests: [header({ startBranchName: Buffer.from('x\0') })],
    message:
      'resolve parent commit: resolving refish "refs/heads/x\\x00^{commit}" in *localrepo.Repo: ' +
      'detected null byte in command argument "refs/heads/x\\x00^{commit}"',
  },
];
for (const { requests, message } of NUL_IN_NAMES) {
  test(`a NUL byte in a name: ${message.slice(0, 40)}`, async () => {
    await using gitaly = await startGitaly();
    initRepository(gitaly);
    const { userCommitFiles } = gitaly.connection.operation;
    await userCommitFiles([header(), ...create('a', 'a\n')]);

    await assert.rejects(userCommitFiles(requests), { code: 'INTERNAL', message });
  });
}

test('thousands of actions are one commit', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const files = Array.from({ length: 3000 }, (_, number) => `d${number % 100}/f${number}`);

  await gitaly.connection.operation.userCommitFiles([
    header(),
    ...files.flatMap((file) => create(file, file)),
  ]);

  assert.deepEqual(
    gitOutput(path, ['ls-tree', '-r', '--name-only', 'main']).split('\n').toSorted(),
    files.toSorted(),
  );
  assert.equal(gitOutput(path, ['cat-file', '-p', 'main:d42/f2042']), 'd42/f2042');
  assert.equal(gitOutput(path, ['fsck', '--strict', '--no-dangling']), '');
  assert.ok(readdirSync(join(path, 'objects')).length < 150);
});

test('large contents arrive whole, in plain and in Base64', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const bytes = randomBytes(5 * MEBIBYTE);
  const base64 = Buffer.from(bytes.toString('base64').replace(/.{76}/g, '$&\n'));
  const pieces = (whole: Buffer): Request[] =>
    Array.from({ length: Math.ceil(whole.length / 100_000) }, (_, at) =>
      content(whole.subarray(at * 100_000, (at + 1) * 100_000)),
    );

  await gitaly.connection.operation.userCommitFiles([
    header(),
    action('CREATE', 'plain'),
    ...pieces(bytes),
    action('CREATE', 'base64', { base64Content: true }),
    ...pieces(base64),
  ]);

  const oid = gitOutput(path, ['hash-object', '--stdin'], bytes);
  assert.equal(gitOutput(path, ['rev-parse', 'main:plain', 'main:base64']), `${oid}\n${oid}`);
});

test('line ends are made as the attributes of the repository say', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  mkdirSync(join(path, 'info'), { recursive: true });
  writeFileSync(join(path, 'info/attributes'), '*.txt text\n');

  await gitaly.connection.operation.userCommitFiles([
    header(),
    ...create('a.txt', 'x\r\n'),
    ...create('a.bin', 'x\r\n'),
  ]);

  assert.equal(gitOutput(path, ['cat-file', '-s', 'main:a.txt']), '2');
  assert.equal(gitOutput(path, ['cat-file', '-s', 'main:a.bin']), '3');
});

for (const [what, last, message] of [
  ['an action that does not fit', [action('DELETE', 'nothing')], "A file with this name doesn't exist"],
  ['a name that git refuses', create('.GIT/x', ''), 'writing tree writing tree: exit status 128'],
  ['an unknown start', [], 'fetch missing commit: lookup parent commit: reference not found'],
  ['a branch that has moved', [], 'reference update: reference does not point to expected object'],
] as const) {
  test(`nothing is left of a commit that fails for ${what}, small or large`, async () => {
    await using gitaly = await startGitaly();
    const path = initRepository(gitaly);
    const { userCommitFiles } = gitaly.connection.operation;
    const { branchUpdate: first } = await userCommitFiles([header(), ...create('a', '1')]);
    await userCommitFiles([header(), ...create('b', '2')]);
    const before = remains(gitaly, path);
    const start = {
      startSha: what.includes('start')
        ? '1'.repeat(40)
        : what.includes('moved')
          ? (first?.commitId ?? '')
          : '',
    };

    for (const text of ['small', 'x'.repeat(3 * MEBIBYTE)]) {
      await assert.rejects(userCommitFiles([header(start), ...create('new', text), ...last]), { message });
    }

    assert.deepEqual(remains(gitaly, path).temp, []);
    // Once git has started to move the branch, the objects are in the repository, unreachable.
    if (!what.includes('moved')) assert.deepEqual(remains(gitaly, path), before);
    assert.equal(gitOutput(path, ['rev-list', '--count', 'main']), '2');
    assert.equal(gitOutput(path, ['fsck', '--strict', '--no-dangling']), '');
  });
}

test('a client that leaves in the middle leaves nothing', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const leaving = new AbortController();
  async function* requests(): AsyncGenerator<Request> {
    yield header();
    yield action('CREATE', 'large');
    for (let piece = 0; piece < 30; piece++) yield content(Buffer.alloc(100_000, piece));
    leaving.abort();
    yield content('more');
  }

  await assert.rejects(gitaly.connection.operation.userCommitFiles(requests(), { signal: leaving.signal }), {
    code: 'CANCELLED',
  });

  // The client receives its answer before the server has cleaned up.
  await until(() => remains(gitaly, path).temp.length === 0);
  assert.deepEqual(remains(gitaly, path), { objects: '', temp: [] });
});

test('a script that refuses sees the new objects, which are gone then', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const path = initRepository(gitaly);
  const hook = join(gitaly.directory, 'custom_hooks/pre-receive.d/refuse');
  mkdirSync(join(hook, '..'), { recursive: true });
  writeFileSync(hook, '#!/bin/sh\nread old new ref; git show --format=%s --name-only "$new" >&2; exit 1\n');
  chmodSync(hook, 0o755);

  await assert.rejects(gitaly.connection.operation.userCommitFiles([header(), ...create('secret', 'x')]), {
    code: 'PERMISSION_DENIED',
    message: 'denied by custom hooks: update reference: running pre-receive hooks: change\n\nsecret\n',
  });

  assert.deepEqual(remains(gitaly, path), { objects: '', temp: [] });
});

// Before, Rails' push checks treated moved files as new ones.
test('a script sees no objects as new that the repository or its pool has', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const path = initRepository(gitaly);
  const pool = join(gitaly.storagePath(), 'pool.git');
  gitOutput('/', ['init', '-q', '--bare', pool]);
  writeFileSync(join(path, 'objects/info/alternates'), '../../pool.git/objects\n');
  gitOutput(pool, ['hash-object', '-w', '--stdin'], 'in the pool\n');
  const { userCommitFiles } = gitaly.connection.operation;
  await userCommitFiles([header(), ...create('d/packed', 'one\n')]);
  gitOutput(path, ['repack', '-adq']);
  const hook = join(gitaly.directory, 'custom_hooks/pre-receive.d/list');
  mkdirSync(join(hook, '..'), { recursive: true });
  const list = 'cd "$GIT_OBJECT_DIRECTORY" && find . -type f | tr -d ./ | git cat-file --batch-check';
  writeFileSync(hook, `#!/bin/sh\n${list} > "${gitaly.directory}/listed"\n`);
  chmodSync(hook, 0o755);

  const { branchUpdate } = await userCommitFiles([
    header(),
    action('MOVE', 'e/packed', { previousPath: Buffer.from('d/packed'), inferContent: true }),
    ...create('pooled', 'in the pool\n'),
  ]);

  const listed = readFileSync(join(gitaly.directory, 'listed'), 'utf8').trim().split('\n');
  const named = listed.map((line) => line.split(' ').slice(0, 2).join(' '));
  const commit = branchUpdate?.commitId ?? '';
  const root = gitOutput(path, ['rev-parse', `${commit}^{tree}`]);
  assert.deepEqual(named.toSorted(), [`${commit} commit`, `${root} tree`].toSorted());
});

test('of many who commit to a branch at once, each is in its history or is told that it lost', async () => {
  await using gitaly = await startGitaly();
  const path = initRepository(gitaly);
  const { userCommitFiles } = gitaly.connection.operation;
  await userCommitFiles([header(), ...create('start', '')]);

  const results = await Promise.allSettled(
    Array.from({ length: 16 }, (_, number) => userCommitFiles([header(), ...create(`file-${number}`, 'x')])),
  );

  const won = results.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(won > 0);
  assert.equal(gitOutput(path, ['rev-list', '--count', 'main']), String(1 + won));
  for (const result of results) {
    if (result.status === 'rejected')
      assert.match(String(result.reason.message), /^reference update: reference /);
  }
  assert.equal(gitOutput(path, ['fsck', '--strict', '--no-dangling']), '');
});

test('the log line of a refused commit tells where it was to go', async () => {
  await using gitaly = await startGitaly();
  initRepository(gitaly);
  const startRepository = { storageName: 'default', relativePath: 'r.git' };

  const requests = [header({ startRepository }), action('DELETE', 'missing')];
  await assert.rejects(gitaly.connection.operation.userCommitFiles(requests), { code: 'NOT_FOUND' });

  assert.partialDeepStrictEqual(
    gitaly.log.find((line) => line['grpc.method'] === 'UserCommitFiles'),
    {
      repository_storage: 'default',
      repository_relative_path: 'r.git',
      branch_name: Buffer.from('main').toString('base64'),
      start_branch_name: '',
      start_sha: '',
      force: false,
      start_repository_storage: 'default',
      start_repository_relative_path: 'r.git',
    },
  );
});

for (const rpc of ['userCherryPick', 'userRevert'] as const) {
  test(`${rpc} does not show git a start that begins with a dash`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git', { commits: 2 });
    const commit = { id: gitOutput(path, ['rev-parse', 'main']) };
    const request = { repository: REPOSITORY, user: USER, commit, message: Buffer.from('m') };

    // The messages are Gitaly's: a missing name differs from a name that Gitaly never looks up.
    await assert.rejects(gitaly.connection.operation[rpc]({ ...request, branchName: Buffer.from('-main') }), {
      code: 'INVALID_ARGUMENT',
      message:
        'resolve start ref: positional arg "-main^{commit}" cannot start with dash \'-\': invalid argument',
    });
    await assert.rejects(gitaly.connection.operation[rpc]({ ...request, branchName: Buffer.from('nope') }), {
      code: 'INVALID_ARGUMENT',
      message: 'resolve start ref: reference not found',
    });
  });
}
