import type { LfsFilterSettings } from '#domain/archive/lfs-filter';
import type { GitalyConfig } from '#platform/config/load-config';

/** Variables with which the libraries of buckets find their credentials and addresses. */
const OF_BUCKETS = /^(?:AWS|AZURE|GOOGLE|GCE|GCLOUD)_|^(?:STORAGE_EMULATOR_HOST|NODE_EXTRA_CA_CERTS)$/;

/**
 * Returns the filter for LFS pointers with the configuration that it needs to reach the store of
 * the server, or else GitLab, in Gitaly's names; `undefined` without both.
 *
 * @param program path of `gitaly-lfs-smudge`.
 */
export function lfsFilterSettings(
  { gitlab, lfs, tls }: GitalyConfig,
  program: string,
): LfsFilterSettings | undefined {
  if (lfs.url) {
    const variables = Object.entries(process.env).filter(
      (entry): entry is [string, string] => OF_BUCKETS.test(entry[0]) && entry[1] !== undefined,
    );
    return { program, source: { storeUrl: lfs.url }, env: Object.fromEntries(variables) };
  }
  if (!gitlab.url) return undefined;
  const http = gitlab.httpSettings;
  return {
    program,
    env: {},
    source: {
      gitlab: {
        url: gitlab.url,
        relative_url_root: gitlab.relativeUrlRoot,
        http_settings: {
          read_timeout: http.readTimeout,
          user: http.user,
          password: http.password?.reveal(),
          ca_file: http.caFile,
          ca_path: http.caPath,
        },
        secret_file: gitlab.secretFile,
        secret: gitlab.secret?.reveal(),
      },
      tls: { certificate_path: tls.certificatePath, key_path: tls.keyPath },
    },
  };
}
