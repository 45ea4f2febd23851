import assert from 'node:assert/strict';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Connection } from '#client/index';
import {
  createFromStream,
  MAIN,
  REPOSITORY,
  repositoryPath,
  TIMESTAMP,
  USER_IN_TOKYO,
} from '#testkit/clients/operation-fixture';
import { GnuPg, NO_GPG, NO_SSH_KEYGEN, OpenSsh } from '#testkit/programs/signing-tools';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { GetCommitSignaturesResponse_Signer as Signer } from '#wire/gen/commit_pb';

const MESSAGE = Buffer.from('by the server');

const HISTORY = [
  'commit refs/heads/main\nauthor Ann <a@x> 1600000000 +0200\ncommitter Cal <c@x> 1600000000 +0200\n' +
    'data 5\nfirst',
  'M 100644 inline a\ndata 2\na\n',
  'commit refs/heads/topic\nauthor Ann <a@x> 1600000060 +0200\ncommitter Cal <c@x> 1600000060 +0200\n' +
    'data 5\ntopic',
  'from refs/heads/main\nM 100644 inline t\ndata 2\nt\n',
  'commit refs/heads/main\nauthor Ann <a@x> 1600000120 +0200\ncommitter Cal <c@x> 1600000120 +0200\n' +
    'data 4\nmain',
  'M 100644 inline b\ndata 2\nb\n',
].join('\n');

interface Ends {
  /** Ids of commits. */
  readonly main: string;
  readonly topic: string;
}

/** Each call that takes `sign`, and the id of the commit that it makes. */
const CALLS: Readonly<
  Record<string, (connection: Connection, ends: Ends, sign: boolean) => Promise<string | undefined>>
> = {
  UserCommitFiles: async ({ operation }, _ends, sign) => {
    const header = {
      repository: REPOSITORY,
      user: USER_IN_TOKYO,
      branchName: MAIN,
      commitMessage: MESSAGE,
      timestamp: TIMESTAMP,
      sign,
    };
    const action = { action: 0, filePath: Buffer.from('new'), fileMode: false };
    const { branchUpdate } = await operation.userCommitFiles([
      { userCommitFilesRequestPayload: { case: 'header', value: header } },
      {
        userCommitFilesRequestPayload: {
          case: 'action',
          value: { userCommitFilesActionPayload: { case: 'header', value: action } },
        },
      },
    ]);
    return branchUpdate?.commitId;
  },
  UserMergeBranch: (connection, ends, sign) => merge(connection, ends, { sign }),
  'UserMergeBranch with squash': (connection, ends, sign) => merge(connection, ends, { sign, squash: true }),
  UserMergeToRef: async ({ operation }, { topic }, sign) => {
    const targetRef = Buffer.from('refs/merge-requests/1/merge');
    const request = {
      sourceSha: topic,
      targetRef,
      firstParentRef: MAIN,
      message: MESSAGE,
      timestamp: TIMESTAMP,
      sign,
    };
    return (await operation.userMergeToRef({ repository: REPOSITORY, user: USER_IN_TOKYO, ...request }))
      .commitId;
  },
  UserSquash: async ({ operation }, { main, topic }, sign) => {
    const request = {
      startSha: main,
      endSha: topic,
      author: USER_IN_TOKYO,
      commitMessage: MESSAGE,
      timestamp: TIMESTAMP,
      sign,
    };
    return (await operation.userSquash({ repository: REPOSITORY, user: USER_IN_TOKYO, ...request }))
      .squashSha;
  },
  UserCherryPick: async ({ operation }, { topic }, sign) => {
    const request = { commit: { id: topic }, branchName: MAIN, message: MESSAGE, timestamp: TIMESTAMP, sign };
    return (await operation.userCherryPick({ repository: REPOSITORY, user: USER_IN_TOKYO, ...request }))
      .branchUpdate?.commitId;
  },
  UserRevert: async ({ operation }, { main }, sign) => {
    const request = { commit: { id: main }, branchName: MAIN, message: MESSAGE, timestamp: TIMESTAMP, sign };
    return (await operation.userRevert({ repository: REPOSITORY, user: USER_IN_TOKYO, ...request }))
      .branchUpdate?.commitId;
  },
};

async function merge(
  { operation }: Connection,
  { topic }: Ends,
  options: { sign: boolean; squash?: boolean },
) {
  const request = { branch: MAIN, commitId: topic, message: MESSAGE, timestamp: TIMESTAMP, ...options };
  let commitId: string | undefined;
  const requests = [{ repository: REPOSITORY, user: USER_IN_TOKYO, ...request }, { apply: true }];
  for await (const { branchUpdate } of operation.userMergeBranch(requests)) commitId = branchUpdate?.commitId;
  return commitId;
}

/** Makes a commit and gives its id. */
async function commit(gitaly: TestGitaly, call: string, sign: boolean): Promise<string> {
  const path = repositoryPath(gitaly);
  const [main = '', topic = ''] = (await runGit(['-C', path, 'rev-parse', 'main', 'topic'])).split('\n');
  const oid = await CALLS[call]?.(gitaly.connection, { main, topic }, sign);
  assert.ok(oid, call);
  return oid;
}

async function signers({ connection }: TestGitaly, ...commitIds: string[]): Promise<Signer[]> {
  const found: Signer[] = [];
  for await (const { commitId, signer } of connection.commit.getCommitSignatures({
    repository: REPOSITORY,
    commitIds,
  })) {
    if (commitId !== '') found.push(signer);
  }
  return found;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const call of Object.keys(CALLS)) {
    test(`${call} in a ${objectFormat} repository makes a commit that git verifies`, {
      skip: NO_SSH_KEYGEN,
    }, async () => {
      await using ssh = await OpenSsh.create();
      const signing_key = await ssh.makeKey('key', ['-t', 'ed25519']);
      const signersFile = await ssh.allowedSigners(signing_key);
      await using gitaly = await startGitaly({ config: { git: { signing_key } } });
      const path = createFromStream(gitaly, HISTORY, objectFormat);

      const oid = await commit(gitaly, call, true);

      await runGit(['-C', path, '-c', `gpg.ssh.allowedSignersFile=${signersFile}`, 'verify-commit', oid]);
      await runGit(['-C', path, 'update-ref', 'refs/heads/made', oid]);
      assert.equal(await runGit(['-C', path, 'fsck', '--strict', '--no-dangling']), '');
      assert.equal(
        await runGit(['-C', path, 'log', '-1', '--format=%cn <%ce> %cd', '--date=raw', oid]),
        'Jane <jane@x> 1700000000 +0900',
      );
      assert.deepEqual(await signers(gitaly, oid), [Signer.SYSTEM]);
    });
  }

  test(`gpg verifies what an OpenPGP key signed in a ${objectFormat} repository`, {
    skip: NO_GPG,
  }, async () => {
    await using gpg = await GnuPg.create();
    await gpg.makeKey('x@x', { madeOn: '20200101' });
    await using gitaly = await startGitaly({ config: { git: { signing_key: await gpg.exportKey('x@x') } } });
    const path = createFromStream(gitaly, HISTORY, objectFormat);

    const oids = [
      await commit(gitaly, 'UserCherryPick', true),
      await commit(gitaly, 'UserMergeBranch', true),
    ];

    const env = { GNUPGHOME: gpg.directory };
    for (const oid of oids) await runGit(['-C', path, 'verify-commit', oid], { env });
    assert.deepEqual(await signers(gitaly, ...oids), [Signer.SYSTEM, Signer.SYSTEM]);
  });
}

test('without a key, without being asked and with the flag off nothing is signed', {
  skip: NO_SSH_KEYGEN,
}, async () => {
  await using ssh = await OpenSsh.create();
  const key = await ssh.makeKey('key', ['-t', 'ed25519']);
  const committer = { committer_name: 'GitLab', committer_email: 'noreply@x' };
  const committerOf = async (gitaly: TestGitaly, sign: boolean): Promise<string> => {
    const path = createFromStream(gitaly, HISTORY);
    const oid = await commit(gitaly, 'UserCommitFiles', sign);
    assert.ok(!(await runGit(['-C', path, 'cat-file', 'commit', oid])).includes('gpgsig'));
    return await runGit(['-C', path, 'log', '-1', '--format=%an %cn <%ce>', oid]);
  };

  await using keyless = await startGitaly();
  assert.equal(await committerOf(keyless, true), 'Jane Jane <jane@x>');
  await using keylessWithCommitter = await startGitaly({ config: { git: committer } });
  assert.equal(await committerOf(keylessWithCommitter, true), 'Jane GitLab <noreply@x>');
  for (const part of [{ committer_name: 'GitLab' }, { committer_email: 'noreply@x' }]) {
    await using keylessWithPart = await startGitaly({ config: { git: part } });
    assert.equal(await committerOf(keylessWithPart, true), 'Jane Jane <jane@x>');
  }
  await using signing = await startGitaly({ config: { git: { signing_key: key, ...committer } } });
  assert.equal(await committerOf(signing, false), 'Jane Jane <jane@x>');
  const dial = { featureFlags: { gpg_signing: false } };
  await using flagOff = await startGitaly({ config: { git: { signing_key: key, ...committer } }, dial });
  assert.equal(await committerOf(flagOff, true), 'Jane Jane <jane@x>');
});

test('a key is replaced without a restart, and rotated keys keep what they signed the server’s', {
  skip: NO_SSH_KEYGEN,
}, async () => {
  await using ssh = await OpenSsh.create();
  const [old, next] = [
    await ssh.makeKey('old', ['-t', 'ed25519']),
    await ssh.makeKey('next', ['-t', 'ecdsa']),
  ];
  const current = join(ssh.directory, 'current');
  copyFileSync(old, current);
  await using gitaly = await startGitaly({
    config: { git: { signing_key: current, rotated_signing_keys: [old] } },
  });
  await using other = await startGitaly({ config: { git: { signing_key: next } } });
  createFromStream(gitaly, HISTORY);
  createFromStream(other, HISTORY);

  const first = await commit(gitaly, 'UserCommitFiles', true);
  copyFileSync(next, current);
  const second = await commit(gitaly, 'UserCherryPick', true);

  assert.deepEqual(await signers(gitaly, first, second), [Signer.SYSTEM, Signer.SYSTEM]);
  rmSync(join(other.storagePath(), 'r.git'), { recursive: true });
  await runGit(['clone', '--quiet', '--mirror', repositoryPath(gitaly), join(other.storagePath(), 'r.git')]);
  assert.deepEqual(await signers(other, first, second), [Signer.USER, Signer.SYSTEM]);
});

test('a commit that cannot be signed is not made, and the reason tells nothing of the key', async () => {
  await using files = await startGitaly();
  const signing_key = join(files.directory, 'key');
  await using gitaly = await startGitaly({ config: { git: { signing_key } } });
  const path = createFromStream(gitaly, HISTORY);
  const before = await runGit(['-C', path, 'rev-parse', 'main']);
  const words = 'commit-tree: exit status 1: error: gpg failed to sign the data:\n';
  const warnings = gitaly.log.filter(({ level }) => level === 'warning' || level === 'warn');
  assert.ok(warnings.some(({ msg }) => String(msg).startsWith('a signing key cannot be used')));

  const missing = `${words}open file: open ${signing_key}: no such file or directory\n\n `;
  await assert.rejects(commit(gitaly, 'UserCommitFiles', true), { code: 'INTERNAL', message: missing });
  await assert.rejects(signers(gitaly, before), {
    code: 'INTERNAL',
    message: /^failed to parse signing key: open file: open /,
  });
  writeFileSync(signing_key, 'a secret that is no key');
  const damaged = `merge: create commit from tree: ${words}read entity: openpgp: this is no packet\n\n `;
  await assert.rejects(commit(gitaly, 'UserMergeBranch', true), { code: 'INTERNAL', message: damaged });

  assert.equal(await runGit(['-C', path, 'rev-parse', 'main']), before);
  assert.ok(!JSON.stringify(gitaly.log).includes('a secret'));
});

test('signing starts no process', { skip: NO_SSH_KEYGEN }, async () => {
  await using ssh = await OpenSsh.create();
  const signing_key = await ssh.makeKey('key', ['-t', 'rsa', '-b', '2048']);
  await using gitaly = await startGitaly({ config: { git: { signing_key } } });
  const path = createFromStream(gitaly, HISTORY);
  const main = await runGit(['-C', path, 'rev-parse', 'main']);
  const processesOf = async (sign: boolean): Promise<unknown> => {
    await runGit(['-C', path, 'update-ref', 'refs/heads/main', main]);
    await commit(gitaly, 'UserCherryPick', sign);
    return gitaly.log.findLast((line) => line['grpc.method'] === 'UserCherryPick')?.['command.count'];
  };
  await processesOf(false); // object readers are kept for later calls

  const without = await processesOf(false);

  assert.equal(await processesOf(true), without);
});
