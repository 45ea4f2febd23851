import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';

/** Where a storage is, as `gitlab.yml` has it. */
export interface StorageConfig {
  readonly gitaly_address?: string;
  /** Instead of the token for all. */
  readonly gitaly_token?: string;
}

/** The storages of an installation. */
export interface StoragesConfig {
  readonly storages: Readonly<Record<string, StorageConfig>>;
  /** The token of storages without their own. */
  readonly token?: string;
}

export interface StorageTarget {
  readonly address: string;
  readonly token: string;
}

/**
 * Finds a storage.
 *
 * @throws {GitalyError} INVALID_ARGUMENT with the texts of GitLab: `storage not found: "x"`, `storage "x" is missing a gitaly_address`,
 *   `Unsupported Gitaly address: …`.
 */
export function storageTarget({ storages, token = '' }: StoragesConfig, name: string): StorageTarget {
  const storage = Object.hasOwn(storages, name) ? storages[name] : undefined;
  if (storage === undefined) throw invalid(`storage not found: ${quote(name)}`);
  const address = storage.gitaly_address ?? '';
  if (address.trim() === '') throw invalid(`storage ${quote(name)} is missing a gitaly_address`);
  if (!/^(?:tcp|unix|tls|dns):/.test(address)) {
    const schemes = "'tcp' or 'unix' or 'tls' or 'dns'";
    throw invalid(`Unsupported Gitaly address: ${quote(address)} does not use URL scheme ${schemes}`);
  }
  return { address, token: storage.gitaly_token || token }; // GitLab writes an empty token where there is none
}

function invalid(message: string): GitalyError {
  return new GitalyError('INVALID_ARGUMENT', message);
}
