import type { RepositoryReplicasResponse } from '#wire/gen/praefect_pb';
import { RepositoryCalls } from './storage-calls.ts';

/** The replicas of a repository. @see GitLab: Gitlab::GitalyClient::PraefectInfoService */
export class PraefectInfoService extends RepositoryCalls {
  /**
   * Returns the replicas with their checksums.
   *
   * @throws {CallError} UNIMPLEMENTED from a storage without a Praefect.
   */
  replicas(): Promise<RepositoryReplicasResponse> {
    const request = { repository: this.repository };
    return this.call('fast', (gitaly) => gitaly.praefectInfo.repositoryReplicas(request));
  }
}
