import type { Git } from '#git/git';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { RuntimeDirectory } from '#platform/process/runtime-directory';
import { packageVersion } from '#platform/process/version';
import type { GrpcChannel } from '#rpc/common/grpc-channel';
import type { Backchannels } from '#rpc/server/backchannels';
import { type ServedService, serve } from '#rpc/server/handler';
import { blobService } from '#services/blob/index';
import { commitService } from '#services/commit/index';
import { refService } from '#services/ref/index';
import { repositoryService } from '#services/repository/index';
import { serverService } from '#services/server/index';
import type { Storages } from '#storage/storages';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { servedByGitaly } from '#wire/methods';
import type { ServerMetrics } from './metrics.ts';

export interface ServiceParts {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly storages: Storages;
  readonly git: Git;
  readonly runtime: RuntimeDirectory;
  readonly backchannels: Backchannels<GrpcChannel>;
}

/** All services that a gitaly serves; methods that are not built yet answer UNIMPLEMENTED. `resources` ends what the services hold. */
export async function createServices(
  parts: ServiceParts,
): Promise<{ services: readonly ServedService[]; resources: AsyncDisposable }> {
  const { config, storages } = parts;
  const resources = new AsyncDisposableStack();
  const built = [
    serve(BlobService, blobService({ storages })),
    serve(CommitService, commitService({ storages })),
    serve(RefService, refService({ storages })),
    serve(
      RepositoryService,
      repositoryService({
        storages,
        voteOf: () => undefined,
        transactionHooks: async () => ({ setup: 'disabled', async [Symbol.asyncDispose]() {} }),
      }),
    ),
    serve(ServerService, serverService({ storages, serverVersion: packageVersion(), signingKeyPath: config.git.signingKey })),
  ];
  const names = new Set(built.map(({ service }) => service.typeName));
  const rest = servedByGitaly.filter(({ typeName }) => !names.has(typeName)).map((service) => serve(service, {}));
  return { services: [...built, ...rest], resources };
}
