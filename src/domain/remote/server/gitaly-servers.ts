import { GitalyError } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';

/** Address and token of a server of the cluster. */
export interface RemoteGitaly {
  readonly address: string;
  /** Empty for none. */
  readonly token: string;
}

/** The metadata of a call do not name the storage of a repository. */
export class UnknownServerError extends GitalyError {
  override readonly name = 'UnknownServerError';

  constructor() {
    super('UNKNOWN', 'storage name not found');
  }
}

/**
 * Returns the server of a storage by the metadata `gitaly-servers` of a call: Base64 of JSON,
 * storage name → `{address, token}`. Calls that need a repository of another server carry it.
 *
 * @throws {UnknownServerError}; {GitalyError} without a code: `empty gitaly-servers metadata`, or
 *   the defect of the metadata.
 */
export function findGitalyServer(metadata: string | undefined, storageName: string): RemoteGitaly {
  if (metadata === undefined || metadata === '') throw problem('empty gitaly-servers metadata');
  const servers = JsonFields.parse(Buffer.from(metadata, 'base64').toString());
  if (servers === undefined) throw problem('failed decoding gitaly-servers metadata');
  const server = servers.object(storageName);
  const address = server?.text('address') ?? '';
  if (address === '') throw new UnknownServerError();
  return { address, token: server?.text('token') ?? '' };
}

function problem(message: string): GitalyError {
  return new GitalyError('UNKNOWN', message);
}
