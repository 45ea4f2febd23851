import { GitalyError } from '#base/gitaly-error';

/** How a server of the cluster is reached. */
export interface GitalyServer {
  readonly address: string;
  /** Empty for none. */
  readonly token: string;
}

/**
 * Where a storage is, by the metadata `gitaly-servers` of a call: Base64 of JSON, storage name → `{address, token}`. It is for calls that
 * need the repository of another server.
 *
 * @throws {GitalyError} without a code of its own: `empty gitaly-servers metadata`, `storage name not found`, or what is wrong with the metadata.
 */
export function findGitalyServer(metadata: string | undefined, storageName: string): GitalyServer {
  if (metadata === undefined || metadata === '') throw problem('empty gitaly-servers metadata');
  const servers = parse(metadata);
  const server = Object.hasOwn(servers, storageName) ? servers[storageName] : undefined;
  if (typeof server !== 'object' || server === null) throw problem('storage name not found');
  const [address, token] = [fieldOf(server, 'address'), fieldOf(server, 'token')];
  if (address === '') throw problem('storage name not found');
  return { address, token };
}

function parse(metadata: string): Record<string, unknown> {
  let servers: unknown;
  try {
    servers = JSON.parse(Buffer.from(metadata, 'base64').toString());
  } catch (error) {
    throw problem('failed decoding gitaly-servers metadata', error);
  }
  if (typeof servers !== 'object' || servers === null) throw problem('failed decoding gitaly-servers metadata');
  // Any object can be looked at by its keys.
  return servers as Record<string, unknown>;
}

function fieldOf(server: object, name: 'address' | 'token'): string {
  const value: unknown = name in server ? Object.getOwnPropertyDescriptor(server, name)?.value : undefined;
  return typeof value === 'string' ? value : '';
}

function problem(message: string, cause?: unknown): GitalyError {
  return new GitalyError('UNKNOWN', message, { cause });
}
