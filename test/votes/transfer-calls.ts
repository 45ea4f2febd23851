import { pushBody, ZERO_OID } from '#testkit/repositories/push';
import { bytes, type CallSetting, drain, USER, type VotingCall } from './call-setting.ts';

/** Pushes and fetches. */
export const TRANSFER_CALLS: readonly VotingCall[] = [
  {
    name: 'FetchSourceBranch',
    run: ({ connection, repository, options }) =>
      connection.repository.fetchSourceBranch(
        {
          repository,
          sourceRepository: repository,
          sourceBranch: bytes('refs/heads/after'),
          targetRef: bytes('refs/merge-requests/1/head'),
        },
        options,
      ),
  },
  ...(
    [
      ['that prunes', false, false],
      ['without pruning and tags', true, true],
    ] as const
  ).map(([what, noPrune, noTags]) => ({
    name: `FetchRemote ${what}`,
    run: ({ connection, repository, remoteUrl, options }: CallSetting) =>
      connection.repository.fetchRemote(
        { repository, remoteParams: { url: remoteUrl }, force: true, noPrune, noTags },
        options,
      ),
  })),
  ...(
    [
      ['a new branch', [[undefined, 'after', 'new']]],
      [
        'several branches',
        [
          [undefined, 'after', 'new'],
          ['main', 'after', 'loose'],
          ['main', undefined, 'packed'],
        ],
      ],
    ] as const
  ).map(([what, commands]) => ({
    name: `PostReceivePack of ${what}`,
    run: ({ connection, repository, ids, options }: CallSetting) => {
      const idOf = (each: 'after' | 'main' | undefined): string =>
        each === undefined ? ZERO_OID : ids[each];
      const body = pushBody(
        commands.map(([from, to, name]) => `${idOf(from)} ${idOf(to)} refs/heads/${name}`),
      );
      const { glRepository } = repository;
      return drain(
        connection.smartHttp.postReceivePack(
          [{ repository, glId: USER.glId, glRepository }, { data: body }],
          options,
        ),
      );
    },
  })),
];
