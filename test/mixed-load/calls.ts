import assert from 'node:assert/strict';
import type { Connection } from '#client/index';
import { UserCommitFilesActionHeader_ActionType as ActionType } from '#wire/gen/operations_pb';

const USER = {
  glId: 'user-1',
  name: Buffer.from('Ann'),
  email: Buffer.from('ann@example.com'),
  glUsername: 'ann',
};

export type Kind = keyof ReturnType<typeof callsOf>;

/** Order in which a caller makes its calls: mostly small reads, as a web application does. */
export const MIX: readonly Kind[] = [
  ...(['FindCommit', 'RefExists', 'TreeEntries', 'FindCommit', 'InfoRefs', 'ListCommits'] as const),
  ...(['FindCommit', 'RefExists', 'CommitDiff', 'FindLocalBranches', 'WriteRef', 'FindCommit'] as const),
  ...(['TreeEntries', 'FindCommit', 'Archive', 'RefExists', 'InfoRefs', 'CommitFiles'] as const),
  ...(['FindCommit', 'RefExists', 'CommitDiff', 'TreeEntries', 'FindCommit', 'OptimizeRepository'] as const),
];

/** Returns the calls of a caller to a repository, by their kind. Writes go to the caller's branch. */
export function callsOf(connection: Connection, name: string, caller: number) {
  const repository = { storageName: 'default', relativePath: `${name}.git`, glRepository: 'project-1' };
  const main = Buffer.from('main');
  const read = async (stream: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of stream);
  };
  return {
    FindCommit: async () => {
      const { commit } = await connection.commit.findCommit({ repository, revision: main });
      assert.ok(commit !== undefined);
    },
    TreeEntries: () =>
      read(connection.commit.getTreeEntries({ repository, revision: main, path: Buffer.from('.') })),
    ListCommits: () =>
      read(
        connection.commit.listCommits({ repository, revisions: ['main'], paginationParams: { limit: 20 } }),
      ),
    RefExists: async () => {
      const { value } = await connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/main') });
      assert.equal(value, true);
    },
    FindLocalBranches: () => read(connection.ref.findLocalBranches({ repository })),
    CommitDiff: async () => {
      const { commit } = await connection.commit.findCommit({ repository, revision: main });
      const [parent] = commit?.parentIds ?? [];
      if (commit === undefined || parent === undefined) return;
      await read(connection.diff.commitDiff({ repository, leftCommitId: parent, rightCommitId: commit.id }));
    },
    InfoRefs: () => read(connection.smartHttp.infoRefsUploadPack({ repository })),
    Archive: async () => {
      const { commit } = await connection.commit.findCommit({ repository, revision: main });
      await read(
        connection.repository.getArchive({ repository, commitId: commit?.id ?? '', prefix: 'archive' }),
      );
    },
    WriteRef: async () => {
      const ref = Buffer.from(`refs/heads/written-${caller}`);
      await connection.repository.writeRef({ repository, ref, revision: main });
    },
    CommitFiles: async () => {
      const header = {
        repository,
        user: USER,
        branchName: Buffer.from(`files-${caller}`),
        commitMessage: Buffer.from('by a call'),
        startBranchName: main,
        force: true,
      };
      const file = { action: ActionType.CREATE, filePath: Buffer.from(`file-${Math.random()}`) };
      const payload = (value: object) => ({
        userCommitFilesRequestPayload: {
          case: 'action' as const,
          value: { userCommitFilesActionPayload: value },
        },
      });
      await connection.operation.userCommitFiles([
        { userCommitFilesRequestPayload: { case: 'header' as const, value: header } },
        payload({ case: 'header', value: file }),
        payload({ case: 'content', value: Buffer.from('content\n') }),
      ] as Parameters<typeof connection.operation.userCommitFiles>[0]);
    },
    OptimizeRepository: async () => {
      await connection.repository
        .optimizeRepository({ repository })
        // Another maintenance of the repository is running.
        .catch((error: unknown) =>
          assert.ok(
            error instanceof Error && 'code' in error && error.code === 'ALREADY_EXISTS',
            String(error),
          ),
        );
    },
  };
}
