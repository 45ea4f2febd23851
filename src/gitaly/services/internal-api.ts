import { readFileSync } from 'node:fs';
import { privateKeyPem } from '#base/go/private-key-pem';
import type { HttpInternalApiOptions } from '#domain/gitlab-api/http-internal-api';
import type { InternalApi } from '#domain/gitlab-api/internal-api';
import { standAloneApi } from '#domain/gitlab-api/stand-alone-api';
import type { GitalyConfig } from '#platform/config/load-config';
import { packageVersion } from '#platform/process/version';

/**
 * Returns the configured client of GitLab's internal API; without `[gitlab] url` the one that
 * allows everything.
 *
 * @throws {Error} when a configured file cannot be read.
 */
export async function internalApi(
  { gitlab, tls }: GitalyConfig,
  observer: HttpInternalApiOptions['observer'],
): Promise<InternalApi> {
  if (!gitlab.url) return standAloneApi;
  // Loaded only if needed: Node's HTTP client alone takes 20 ms and 3 MB at the start.
  const { createInternalApi } = await import('#domain/gitlab-api/create-internal-api');
  const http = gitlab.httpSettings;
  const ownKey = tls.key?.reveal() || (tls.keyPath && readFileSync(tls.keyPath));
  return createInternalApi(
    {
      url: gitlab.url,
      relativeUrlRoot: gitlab.relativeUrlRoot,
      secret: gitlab.secret?.reveal(),
      secretFile: gitlab.secretFile,
      user: http.user,
      password: http.password?.reveal(),
      caFile: http.caFile,
      caPath: http.caPath,
      readTimeoutSeconds: http.readTimeout,
      ...(tls.certificatePath &&
        ownKey && {
          clientCertificate: { cert: readFileSync(tls.certificatePath), key: privateKeyPem(ownKey) },
        }),
    },
    { userAgent: `gitaly/${packageVersion()}`, observer },
  );
}
