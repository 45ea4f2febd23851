import type { ConfigPair } from '#git/command/config';

/** Where the filter finds the files, with the names of its own configuration. */
export interface LfsFilterSettings {
  /** Path of `gitaly-lfs-smudge`. */
  readonly program: string;
  /** The store of the server, or the keys `gitlab` and `tls` of {@link LFS_SMUDGE_VARIABLE}. */
  readonly source: { readonly storeUrl: string } | { readonly gitlab: object; readonly tls: object };
  /** Variables with the credentials of the store. */
  readonly env: Readonly<Record<string, string>>;
}

/** Settings and environment with which git replaces LFS pointers by their objects. */
export interface LfsFilter {
  readonly config: readonly ConfigPair[];
  readonly env: Readonly<Record<string, string>>;
}

/** Environment variable with the filter's configuration, as JSON. */
const LFS_SMUDGE_VARIABLE = 'GITALY_LFS_SMUDGE_CONFIG';

/** The filter serves all files of an archive. */
const LONG_RUNNING = 1;

/** A repository whose files are read. */
export interface LfsFilterTarget {
  readonly glRepository: string;
  /** Ids under which the store of the server has its files. */
  readonly ids: readonly string[];
  readonly correlationId: string;
}

/** Returns the settings with which git runs the filter for a repository. */
export function lfsFilter(
  { env, program, source }: LfsFilterSettings,
  { correlationId, glRepository, ids }: LfsFilterTarget,
): LfsFilter {
  // git passes the value to a shell.
  const command = `'${program.replaceAll("'", String.raw`'\''`)}'`;
  const from = 'storeUrl' in source ? { store: { url: source.storeUrl, ids } } : source;
  const configuration = { gl_repository: glRepository, ...from, driver_type: LONG_RUNNING };
  return {
    config: [{ key: 'filter.lfs.process', value: command }],
    env: { ...env, [LFS_SMUDGE_VARIABLE]: JSON.stringify(configuration), CORRELATION_ID: correlationId },
  };
}
