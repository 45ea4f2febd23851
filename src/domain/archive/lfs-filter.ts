import type { ConfigPair } from '#git/command/config';

/** GitLab's internal API for the filter, with the names of the filter's own configuration. */
export interface LfsFilterSettings {
  /** Path of `gitaly-lfs-smudge`. */
  readonly program: string;
  /** The keys `gitlab` and `tls` of {@link LFS_SMUDGE_VARIABLE}. */
  readonly api: { readonly gitlab: object; readonly tls: object };
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

/** Returns the settings with which git runs the filter for a repository of GitLab. */
export function lfsFilter(
  { program, api }: LfsFilterSettings,
  { glRepository, correlationId }: { readonly glRepository: string; readonly correlationId: string },
): LfsFilter {
  // git passes the value to a shell.
  const command = `'${program.replaceAll("'", String.raw`'\''`)}'`;
  const configuration = { gl_repository: glRepository, ...api, driver_type: LONG_RUNNING };
  return {
    config: [{ key: 'filter.lfs.process', value: command }],
    env: { [LFS_SMUDGE_VARIABLE]: JSON.stringify(configuration), CORRELATION_ID: correlationId },
  };
}
