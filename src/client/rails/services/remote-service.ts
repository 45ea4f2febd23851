import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { updateRemoteMirror } from '#client/split/update-remote-mirror';
import type { UpdateRemoteMirrorRequestSchema, UpdateRemoteMirrorResponse } from '#wire/gen/remote_pb';
import { RepositoryCalls } from './storage-calls.ts';

/** Other servers. @see GitLab: Gitlab::GitalyClient::RemoteService */
export class RemoteService extends RepositoryCalls {
  /** Returns the name of the remote's default branch, without `refs/heads/`. */
  findRemoteRootRef(remoteUrl: string, httpAuthorizationHeader = ''): Promise<string> {
    const request = { repository: this.repository, remoteUrl, httpAuthorizationHeader };
    return this.call('medium', async (gitaly) => (await gitaly.remote.findRemoteRootRef(request)).ref);
  }

  /** Reports whether a URL leads to a git repository that this server can read without a password. */
  isRemoteRepository(remote: string): Promise<boolean> {
    const { storageName } = this.repository;
    return this.call(
      'medium',
      async (gitaly) => (await gitaly.remote.findRemoteRepository({ remote, storageName })).exists,
    );
  }

  /** Pushes branches and tags to a mirror. The response has the branches that have diverged. */
  updateRemoteMirror(
    fields: Omit<Exclude<MessageInitShape<typeof UpdateRemoteMirrorRequestSchema>, Message>, 'repository'>,
  ): Promise<UpdateRemoteMirrorResponse> {
    return this.call('long', (gitaly) =>
      updateRemoteMirror(gitaly, { ...fields, repository: this.repository }),
    );
  }
}
