import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError, type Connection } from '#client/index';
import type { Random } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { USER } from '#testkit/user';
import { UserCommitFilesActionHeader_ActionType as ActionType } from '#wire/gen/operations_pb';
import { gitOverClient } from '../git-over-client/environment.ts';
import type { Ledger } from './ledger.ts';

export const repository = { storageName: 'default', relativePath: 'written.git', glRepository: 'project-1' };
export const BRANCHES = 1000;
/** The branch that all writers use. */
export const SHARED = 'refs/heads/main';

/** Time limit of a call. */
const CALL_LIMIT_MS = 30_000;
const ZERO_OID = '0'.repeat(40);

/** Error of a writer that came too late; for WriteRef it is in the text. */
const LOST_BY_VALUE = /reference does not point to expected object$/;
const LOST_BY_LOCK = /reference is (?:already locked|locked already)$/;
const REFUSED_PUSH =
  /fetch first|non-fast-forward|failed to update ref|incorrect old value|cannot lock ref|remote rejected|stale info/;

interface Writing {
  readonly client: Connection;
  readonly directory: string;
  readonly ledger: Ledger;
  readonly number: number;
  readonly random: Random;
}

type Write = (writing: Writing, reference: string, serial: number) => Promise<void>;

/** Writes in different ways, half of the time to the shared branch. */
export async function writeUntil(until: number, writing: Writing): Promise<void> {
  const { random } = writing;
  for (let serial = 0; performance.now() < until; serial++) {
    const reference = random() < 0.5 ? SHARED : `refs/heads/many/${Math.floor(random() * BRANCHES)}`;
    const write = WRITES[Math.floor(random() * WRITES.length)] ?? commitFiles;
    await write(writing, reference, serial);
  }
}

const options = () => ({ timeoutMs: CALL_LIMIT_MS });

const commitFiles: Write = async ({ client, ledger, number }, reference, serial) => {
  const branchName = Buffer.from(reference.slice('refs/heads/'.length));
  const value = { repository, user: USER, branchName, commitMessage: Buffer.from(`${number} ${serial}`) };
  const action = { action: ActionType.CREATE, filePath: Buffer.from(`${number}/${serial}`) };
  const requests = [
    { userCommitFilesRequestPayload: { case: 'header', value } },
    actionOf({ case: 'header', value: action } as const),
    actionOf({ case: 'content', value: Buffer.from(`${number} ${serial}\n`) } as const),
  ] as const;
  const answer = await client.operation.userCommitFiles(requests, options()).catch((error: unknown) => {
    lost(ledger, 'UserCommitFiles', error, {
      code: 'FAILED_PRECONDITION',
      message: [LOST_BY_VALUE, LOST_BY_LOCK],
    });
  });
  if (answer?.branchUpdate !== undefined)
    ledger.commit('UserCommitFiles', reference, answer.branchUpdate.commitId);
};

function actionOf<P>(payload: P) {
  return {
    userCommitFilesRequestPayload: { case: 'action', value: { userCommitFilesActionPayload: payload } },
  } as const;
}

const updateReferences: Write = async (writing, reference, serial) => {
  const { client, ledger } = writing;
  const { oldOid, newOid } = await commitOnTop(writing, reference, serial);
  const update = {
    reference: Buffer.from(reference),
    oldObjectId: Buffer.from(oldOid),
    newObjectId: Buffer.from(newOid),
  };
  await client.ref.updateReferences([{ repository, updates: [update] }], options()).then(
    () => ledger.commit('UpdateReferences', reference, newOid),
    (error: unknown) =>
      lost(ledger, 'UpdateReferences', error, {
        code: 'ABORTED',
        message: [/^The operation could not be completed/],
      }),
  );
};

const writeRef: Write = async (writing, reference, serial) => {
  const { client, ledger } = writing;
  const { oldOid, newOid } = await commitOnTop(writing, reference, serial);
  const ref = Buffer.from(reference);
  const request = { repository, ref, revision: Buffer.from(newOid), oldRevision: Buffer.from(oldOid) };
  await client.repository.writeRef(request, options()).then(
    () => ledger.commit('WriteRef', reference, newOid),
    (error: unknown) => {
      const isLocked = error instanceof CallError && error.code === 'ABORTED';
      const message = isLocked ? [/^The operation could not be completed/] : [LOST_BY_VALUE];
      lost(ledger, 'WriteRef', error, { code: isLocked ? 'ABORTED' : 'INTERNAL', message });
    },
  );
};

/** Uses the writer's own references: one that stays, and two that are deleted. */
const makeAndDelete: Write = async ({ client, ledger, number }, reference, serial) => {
  const { commit } = await client.commit.findCommit(
    { repository, revision: Buffer.from(reference) },
    options(),
  );
  const oid = commit?.id ?? '';
  const names = ['stays', 'goes', 'goes-too'].map((name) => `refs/made/${number}/${serial}/${name}`);
  const updates = names.map((name) => ({
    reference: Buffer.from(name),
    oldObjectId: Buffer.from(ZERO_OID),
    newObjectId: Buffer.from(oid),
  }));
  await client.ref.updateReferences([{ repository, updates }], options());
  for (const name of names) ledger.hold('references made', name, oid);
  const refs = names.slice(1).map((name) => Buffer.from(name));
  await client.ref.deleteRefs({ repository, refs }, options());
  for (const name of names.slice(1)) ledger.hold('references deleted', name, undefined);
};

const WRITES: readonly Write[] = [commitFiles, commitFiles, updateReferences, writeRef, makeAndDelete];

/** Creates a commit that only git knows so far. */
async function commitOnTop({ client, directory, number }: Writing, reference: string, serial: number) {
  const { commit } = await client.commit.findCommit(
    { repository, revision: Buffer.from(reference) },
    options(),
  );
  const oldOid = commit?.id ?? '';
  const args = ['commit-tree', '-p', oldOid, '-m', `${number} ${serial}`, commit?.treeId ?? ''];
  return { oldOid, newOid: await runGit(args, { cwd: directory }) };
}

interface Loss {
  readonly code: string;
  readonly message: readonly RegExp[];
}

/** Checks that a writer that lost received the specified error. */
function lost(ledger: Ledger, what: string, error: unknown, expected: Loss): undefined {
  assert.ok(error instanceof CallError, String(error));
  const isExpected =
    error.code === expected.code && expected.message.some((pattern) => pattern.test(error.message));
  assert.ok(isExpected, `${what}: ${error.code} ${error.message}`);
  ledger.count(`${what} that lost`);
}

interface Pushing {
  readonly directory: string;
  readonly ledger: Ledger;
  readonly number: number;
  readonly address: string;
  /** Directory of the working copy. */
  readonly work: string;
}

/** Fetches, commits and pushes with git itself, to the shared branch and to one of the others. */
export async function pushUntil(
  until: number,
  { directory, ledger, number, address, work }: Pushing,
): Promise<void> {
  await runGit(['clone', '--quiet', '--bare', directory, work]);
  const env = {
    ...GIT_ENVIRONMENT,
    ...gitOverClient(address),
  };
  const url = `ssh://host/${repository.relativePath}`;
  for (let serial = 0; performance.now() < until; serial++) {
    const reference = serial % 2 === 0 ? SHARED : `refs/heads/many/${number}`;
    await runGit(['-C', work, 'fetch', '--quiet', directory, `+${reference}:refs/base`]);
    const oid = await runGit([
      '-C',
      work,
      'commit-tree',
      '-p',
      'refs/base',
      '-m',
      `push ${number} ${serial}`,
      'refs/base^{tree}',
    ]);
    const { code, stderr } = await run('git', ['-C', work, 'push', '--quiet', url, `${oid}:${reference}`], {
      env,
    });
    if (code === 0) {
      ledger.commit('pushes', reference, oid);
      continue;
    }
    assert.match(stderr, REFUSED_PUSH);
    ledger.count('pushes that lost');
    await sleep(10); // before the next attempt
  }
}
