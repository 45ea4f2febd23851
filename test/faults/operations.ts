import { PassThrough } from 'node:stream';
import { type CallOptions, type Connection, postReceivePack, receivePack } from '#client/index';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { USER } from '#testkit/user';
import { UserCommitFilesActionHeader_ActionType as ActionType } from '#wire/gen/operations_pb';
import type { Target } from './faulty-server.ts';

/** Arguments of a call. */
export interface Call {
  readonly connection: Connection;
  readonly target: Target;
  readonly history: History;
  readonly options: CallOptions;
}

/** A change of references. Two runs on equal repositories end with equal references. */
export interface Operation {
  readonly name: string;
  /** For operations that make a copy of the repository: the storage that it is in. */
  readonly copiesTo?: 'default' | 'second';
  /** Runs the operation. @throws {CallError} {PushRefusedError} */
  run(call: Call): Promise<void>;
}

/** Contents of the template. */
export interface History {
  /** Ids by branch. */
  readonly tips: Readonly<Record<'main' | 'topic' | 'ours' | 'theirs', string>>;
  /** A commit that is not in the repository, and the pack that contains it. */
  readonly pushed: { readonly oid: string; readonly pack: Uint8Array };
  /** A bundle of all references. */
  readonly bundle: Uint8Array;
}

/** The call succeeded, and its response reports that the push was refused. */
export class PushRefusedError extends Error {
  override readonly name = 'PushRefusedError';
}

const text = (changed: Readonly<Record<number, string>> = {}): string =>
  Array.from({ length: 30 }, (_, line) => `${changed[line] ?? `line ${line}`}\n`).join('');

/**
 * Returns a history for git fast-import: `topic` and `main` can be merged, `ours` and `theirs`
 * conflict.
 */
export function templateStream(): string {
  const commit = (branch: string, date: number, from: string | undefined, content: string): string =>
    [
      `commit refs/heads/${branch}\ncommitter Cal <c@x> ${1_600_000_000 + date} +0000\ndata 7\nchange\n`,
      ...(from === undefined ? [] : [`from refs/heads/${from}`]),
      `M 100644 inline dir/a\ndata ${content.length}\n${content}\n`,
    ].join('\n');
  return (
    commit('main', 1, undefined, text()) +
    commit('topic', 2, 'main', text({ 3: 'topic' })) +
    commit('topic', 3, undefined, text({ 3: 'topic', 5: 'more' })) +
    commit('ours', 4, 'main', text({ 3: 'ours' })) +
    commit('theirs', 5, 'main', text({ 3: 'theirs' })) +
    commit('main', 6, undefined, text({ 20: 'main' }))
  );
}

const MAIN = Buffer.from('main');
const TIMESTAMP = { seconds: 1_700_000_000n };

const userCommitFiles: Operation = {
  name: 'UserCommitFiles',
  async run({ connection, target, options }) {
    const value = {
      repository: target.wire,
      user: USER,
      branchName: MAIN,
      commitMessage: Buffer.from('change'),
      timestamp: TIMESTAMP,
    };
    const create = (path: string, bytes: string) => [
      action({ case: 'header', value: { action: ActionType.CREATE, filePath: Buffer.from(path) } } as const),
      action({ case: 'content', value: Buffer.from(bytes) } as const),
    ];
    const header = { userCommitFilesRequestPayload: { case: 'header', value } } as const;
    await connection.operation.userCommitFiles(
      [header, ...create('new/file', 'one\n'), ...create('dir/b', 'two\n')],
      options,
    );
  },
};

function action<P>(payload: P) {
  return {
    userCommitFilesRequestPayload: { case: 'action', value: { userCommitFilesActionPayload: payload } },
  } as const;
}

const userMergeBranch: Operation = {
  name: 'UserMergeBranch',
  async run({ connection, target, history, options }) {
    const first = {
      repository: target.wire,
      user: USER,
      branch: MAIN,
      commitId: history.tips.topic,
      timestamp: TIMESTAMP,
    };
    const requests = [{ ...first, message: Buffer.from('Merge topic') }, { apply: true }];
    for await (const _ of connection.operation.userMergeBranch(requests, options));
  },
};

const userRebaseConfirmable: Operation = {
  name: 'UserRebaseConfirmable',
  async run({ connection, target, history, options }) {
    const value = {
      repository: target.wire,
      user: USER,
      branch: Buffer.from('topic'),
      branchSha: history.tips.topic,
      remoteRepository: target.wire,
      remoteBranch: MAIN,
      timestamp: TIMESTAMP,
    };
    const requests = [
      { userRebaseConfirmableRequestPayload: { case: 'header', value } },
      { userRebaseConfirmableRequestPayload: { case: 'apply', value: true } },
    ] as const;
    for await (const _ of connection.operation.userRebaseConfirmable(requests, options));
  },
};

const resolveConflicts: Operation = {
  name: 'ResolveConflicts',
  async run({ connection, target, history, options }) {
    const value = {
      repository: target.wire,
      targetRepository: target.wire,
      user: USER,
      sourceBranch: Buffer.from('ours'),
      targetBranch: Buffer.from('theirs'),
      ourCommitOid: history.tips.ours,
      theirCommitOid: history.tips.theirs,
      commitMessage: Buffer.from('resolve'),
      timestamp: TIMESTAMP,
    };
    const files = [{ old_path: 'dir/a', new_path: 'dir/a', content: text({ 3: 'both' }) }];
    const { resolutionError } = await connection.conflicts.resolveConflicts(
      [
        { resolveConflictsRequestPayload: { case: 'header', value } },
        { resolveConflictsRequestPayload: { case: 'filesJson', value: Buffer.from(JSON.stringify(files)) } },
      ],
      options,
    );
    if (resolutionError !== '') throw new Error(`resolution error: ${resolutionError}`);
  },
};

const updateReferences: Operation = {
  name: 'UpdateReferences',
  async run({ connection, target, history: { tips }, options }) {
    const update = (reference: string, newOid: string, oldOid: string) => ({
      reference: Buffer.from(reference),
      oldObjectId: Buffer.from(oldOid),
      newObjectId: Buffer.from(newOid),
    });
    await connection.ref.updateReferences(
      [
        { repository: target.wire, updates: [update('refs/heads/main', tips.topic, tips.main)] },
        {
          updates: [
            update('refs/heads/new', tips.ours, ZERO_OID),
            update('refs/heads/theirs', ZERO_OID, tips.theirs),
          ],
        },
      ],
      options,
    );
  },
};

const deleteRefs: Operation = {
  name: 'DeleteRefs',
  async run({ connection, target, options }) {
    const refs = ['refs/heads/ours', 'refs/heads/theirs'].map((name) => Buffer.from(name));
    await connection.ref.deleteRefs({ repository: target.wire, refs }, options);
  },
};

/** Returns the body of an atomic push, as the other operations are atomic. */
function body({ tips, pushed }: History): Buffer {
  const commands = [`${tips.main} ${pushed.oid} refs/heads/main`, `${ZERO_OID} ${pushed.oid} refs/heads/new`];
  return pushBody(commands, { capabilities: 'report-status side-band-64k atomic', pack: pushed.pack });
}

function checkReport(answer: Buffer): void {
  const { report, messages } = readReport(answer);
  if (report.join() !== 'unpack ok,ok refs/heads/main,ok refs/heads/new') {
    throw new PushRefusedError([...report, messages].join('\n'));
  }
}

const pushRequest = ({ wire }: Target) => ({
  repository: wire,
  glId: 'user-1',
  glUsername: 'jane',
  glRepository: wire.glRepository,
});

const sshReceivePack: Operation = {
  name: 'SSHReceivePack',
  async run({ connection, target, history, options }) {
    const answer: Buffer[] = [];
    const stdout = new PassThrough().on('data', (chunk: Buffer) => answer.push(chunk));
    const io = { stdin: stream(body(history)), stdout, stderr: new PassThrough().resume() };
    await receivePack(connection, io, pushRequest(target), options);
    await new Promise((resolve) => stdout.end(resolve));
    // The advertisement comes first, up to its flush.
    const whole = Buffer.concat(answer);
    checkReport(whole.subarray(whole.indexOf('\n0000') + 5));
  },
};

const postReceive: Operation = {
  name: 'PostReceivePack',
  async run({ connection, target, history, options }) {
    const answer: Buffer[] = [];
    const stdout = new PassThrough().on('data', (chunk: Buffer) => answer.push(chunk));
    await postReceivePack(connection, { stdin: stream(body(history)), stdout }, pushRequest(target), options);
    await new Promise((resolve) => stdout.end(resolve));
    checkReport(Buffer.concat(answer));
  },
};

const createFork: Operation = {
  name: 'CreateFork',
  copiesTo: 'default',
  async run({ connection, target, options }) {
    const repository = target.copyIn('default').wire;
    await connection.repository.createFork({ repository, sourceRepository: target.wire }, options);
  },
};

const createRepositoryFromBundle: Operation = {
  name: 'CreateRepositoryFromBundle',
  copiesTo: 'default',
  async run({ connection, target, history: { bundle }, options }) {
    const half = bundle.length / 2;
    await connection.repository.createRepositoryFromBundle(
      [
        { repository: target.copyIn('default').wire, data: bundle.subarray(0, half) },
        { data: bundle.subarray(half) },
      ],
      options,
    );
  },
};

const replicateRepository: Operation = {
  name: 'ReplicateRepository',
  copiesTo: 'second',
  async run({ connection, target, options }) {
    const repository = target.copyIn('second').wire;
    await connection.repository.replicateRepository({ repository, source: target.wire }, options);
  },
};

async function* stream(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

export const OPERATIONS: readonly Operation[] = [
  userCommitFiles,
  userMergeBranch,
  userRebaseConfirmable,
  resolveConflicts,
  updateReferences,
  deleteRefs,
  sshReceivePack,
  postReceive,
  createFork,
  createRepositoryFromBundle,
  replicateRepository,
];
