import type { LfsFilterSettings } from '#domain/archive/lfs-filter';
import type { GitalyConfig } from '#platform/config/load-config';

/**
 * Returns the filter for LFS pointers with the configuration that it needs to reach GitLab, in
 * Gitaly's names; `undefined` without GitLab.
 *
 * @param program path of `gitaly-lfs-smudge`.
 */
export function lfsFilterSettings(
  { gitlab, tls }: GitalyConfig,
  program: string,
): LfsFilterSettings | undefined {
  if (!gitlab.url) return undefined;
  const http = gitlab.httpSettings;
  return {
    program,
    api: {
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
