import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';

/** Address of a storage, as in `gitlab.yml`. */
export interface StorageConfig {
  readonly gitaly_address?: string;
  /** Token of this storage, instead of the common one. */
  readonly gitaly_token?: string;
}

/** The storages of an installation. */
export interface StoragesConfig {
  readonly storages: Readonly<Record<string, StorageConfig>>;
  /** Token of storages without their own. */
  readonly token?: string;
}

export interface StorageTarget {
  readonly address: string;
  readonly token: string;
}

/**
 * Returns the address and token of a storage.
 *
 * @throws {GitalyError} INVALID_ARGUMENT with the texts of GitLab: `storage not found: "x"`,
 *   `storage "x" is missing a gitaly_address`, `Unsupported Gitaly address: …`.
 */
export function storageTarget({ storages, token = '' }: StoragesConfig, name: string): StorageTarget {
  const storage = Object.hasOwn(storages, name) ? storages[name] : undefined;
  if (storage === undefined) throw invalidArgument(`storage not found: ${quote(name)}`);
  const address = storage.gitaly_address ?? '';
  if (address.trim() === '') throw invalidArgument(`storage ${quote(name)} is missing a gitaly_address`);
  if (!/^(?:tcp|unix|tls|dns):/.test(address)) {
    const schemes = "'tcp' or 'unix' or 'tls' or 'dns'";
    throw invalidArgument(`Unsupported Gitaly address: ${quote(address)} does not use URL scheme ${schemes}`);
  }
  // GitLab writes an empty token if there is none
  return { address, token: storage.gitaly_token || token };
}
