import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isError } from '#base/is-error';
import { gitalyServers } from '#client/index';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { until } from '#testkit/until';
import { bytes, type CallSetting, TIMESTAMP, USER } from '../votes/call-setting.ts';
import { VOTING_CALLS } from '../votes/voting-calls.ts';
import type { VotingSource } from './fixture.ts';
import { differences, type MixedCluster } from './mixed-cluster.ts';

/** A call on a repository of its own. */
export interface Write {
  readonly name: string;
  /** Name of a custom hook that refuses, on all nodes. */
  readonly hook?: string;
  /** Default: the call succeeds. */
  readonly isRefused?: boolean;
  readonly run: (setting: CallSetting) => Promise<unknown>;
}

/** Throws for the error of a push. */
function checkReport(answer: Buffer): void {
  const { report, messages } = readReport(answer);
  const refused = report.filter((line) => !line.startsWith('ok ') && line !== 'unpack ok');
  if (refused.length > 0 || report.length === 0) throw new Error(`${refused.join(', ')} ${messages}`);
}

async function sshPush(
  { connection, repository, options }: CallSetting,
  commands: readonly string[],
): Promise<void> {
  const { glRepository } = repository;
  const request = { repository, glId: USER.glId, glRepository };
  const parts: Buffer[] = [];
  async function* requests() {
    yield request;
    yield { stdin: pushBody(commands) };
  }
  for await (const { stdout } of connection.ssh.sshReceivePack(requests(), options))
    parts.push(Buffer.from(stdout));
  const answer = Buffer.concat(parts);
  checkReport(answer.subarray(answer.indexOf('0000') + 4));
}

async function httpPush(
  { connection, repository, options }: CallSetting,
  commands: readonly string[],
): Promise<void> {
  const { glRepository } = repository;
  const parts: Buffer[] = [];
  const requests = [{ repository, glId: USER.glId, glRepository }, { data: pushBody(commands) }];
  for await (const { data } of connection.smartHttp.postReceivePack(requests, options))
    parts.push(Buffer.from(data));
  checkReport(Buffer.concat(parts));
}

const MOVES = ({ ids }: CallSetting): string[] => [
  `${ZERO_OID} ${ids.after} refs/heads/new`,
  `${ids.main} ${ids.after} refs/heads/loose`,
  `${ids.main} ${ZERO_OID} refs/heads/packed`,
];
const STALE = ({ ids }: CallSetting): string[] => [`${ids.base} ${ids.after} refs/heads/topic`];

const commit = ({ connection, repository, options }: CallSetting): Promise<unknown> =>
  connection.operation
    .userCommitFiles(
      [
        {
          userCommitFilesRequestPayload: {
            case: 'header',
            value: {
              repository,
              user: USER,
              branchName: bytes('main'),
              commitMessage: bytes('change'),
              timestamp: TIMESTAMP,
            },
          },
        },
      ],
      options,
    )
    .then(({ preReceiveError, indexError }) => {
      if (preReceiveError !== '' || indexError !== '') throw new Error(preReceiveError + indexError);
    });

const PUSHES: readonly Write[] = [
  { name: 'SSHReceivePack of several branches', run: (setting) => sshPush(setting, MOVES(setting)) },
  {
    name: 'PostReceivePack of several branches, report',
    run: (setting) => httpPush(setting, MOVES(setting)),
  },
];

const REFUSALS: readonly Write[] = [
  {
    name: 'WriteRef with a wrong old value',
    run: ({ connection, repository, ids, options }) =>
      connection.repository.writeRef(
        {
          repository,
          ref: bytes('refs/heads/topic'),
          revision: bytes(ids.after),
          oldRevision: bytes(ids.base),
        },
        options,
      ),
  },
  {
    name: 'UpdateReferences with a wrong old value',
    run: ({ connection, repository, ids, options }) =>
      connection.ref.updateReferences(
        [
          {
            repository,
            updates: [
              { reference: bytes('refs/heads/new'), newObjectId: bytes(ids.after) },
              {
                reference: bytes('refs/heads/topic'),
                newObjectId: bytes(ids.after),
                oldObjectId: bytes(ids.base),
              },
            ],
          },
        ],
        options,
      ),
  },
  {
    name: 'UserUpdateBranch with a wrong old value',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userUpdateBranch(
        {
          repository,
          user: USER,
          branchName: bytes('topic'),
          newrev: bytes(ids.after),
          oldrev: bytes(ids.base),
        },
        options,
      ),
  },
  { name: 'SSHReceivePack with a wrong old value', run: (setting) => sshPush(setting, STALE(setting)) },
  { name: 'PostReceivePack with a wrong old value', run: (setting) => httpPush(setting, STALE(setting)) },
  ...['pre-receive', 'update'].flatMap((hook): Write[] => [
    { name: `UserCommitFiles, ${hook} refuses`, hook, run: commit },
    {
      name: `UserCreateBranch, ${hook} refuses`,
      hook,
      run: ({ connection, repository, ids, options }) =>
        connection.operation.userCreateBranch(
          { repository, user: USER, branchName: bytes('new'), startPoint: bytes(ids.after) },
          options,
        ),
    },
    { name: `SSHReceivePack, ${hook} refuses`, hook, run: (setting) => sshPush(setting, MOVES(setting)) },
    { name: `PostReceivePack, ${hook} refuses`, hook, run: (setting) => httpPush(setting, MOVES(setting)) },
  ]),
];

export const WRITES: readonly Write[] = [
  ...VOTING_CALLS,
  ...PUSHES,
  ...REFUSALS.map((write) => ({ ...write, isRefused: true })),
];

const SLOW_MS = 5000;
const COPY_LIMIT_MS = 30_000;

/**
 * Makes a write on a new copy of the repository, and checks its result. A refused write may leave
 * replicas outdated if nodes have voted, until they are copied: that is only noted.
 */
export async function makeWrite(
  cluster: MixedCluster,
  { hook, isRefused = false, run }: Write,
  {
    source,
    relativePath,
    primary,
  }: { readonly source: VotingSource; readonly relativePath: string; readonly primary: number },
): Promise<{ problems: string[]; note?: string }> {
  await cluster.addRepository(source.path, relativePath, primary);
  if (hook !== undefined)
    for (const path of await cluster.directories(relativePath)) addRefusingHook(path, hook);
  const { address, connection } = cluster;
  const from = performance.now();
  const error = await run({
    connection,
    options: { metadata: gitalyServers({ default: { address } }) },
    repository: {
      storageName: 'default',
      relativePath,
      glRepository: 'project-1',
      glProjectPath: 'group/project',
    },
    ids: source.ids,
    remoteUrl: source.remoteUrl,
  }).then(
    () => undefined,
    (reason: unknown) => (isError(reason) ? reason.message : `${reason}`),
  );
  const ms = performance.now() - from;
  const replicas = () => cluster.replicas(relativePath);
  const after = await replicas();
  const found = differences(after);
  const problems = isRefused === (error !== undefined) ? [] : [error ?? 'not refused'];
  if (ms > SLOW_MS) problems.push(`${ms.toFixed(0)} ms`);
  if (!isRefused) return { problems: [...problems, ...found] };
  if (after.some(({ references }) => references !== source.references)) problems.push('references changed');
  if (found.length === 0) return { problems };
  await until(async () => differences(await replicas()).length === 0, 'copies', COPY_LIMIT_MS).catch(() =>
    problems.push('not copied'),
  );
  return { problems, note: found.join('; ') };
}

function addRefusingHook(path: string, hook: string): void {
  const hooks = join(path, 'custom_hooks');
  mkdirSync(hooks, { recursive: true });
  writeFileSync(join(hooks, hook), '#!/bin/sh\necho refused >&2\nexit 1\n');
  chmodSync(join(hooks, hook), 0o755);
}
