import { readFileSync } from 'node:fs';
import type { HttpInternalApiOptions } from '#domain/gitlab-api/http-internal-api';
import type { InternalApi } from '#domain/gitlab-api/internal-api';
import { standAloneApi } from '#domain/gitlab-api/stand-alone-api';
import type { GitalyConfig } from '#platform/config/load-config';
import { packageVersion } from '#platform/process/version';

/**
 * The client of GitLab's internal API that a configuration asks for; without `[gitlab] url` the one that allows everything.
 *
 * @throws {Error} when a file that it names cannot be read.
 */
export async function internalApi(
  { gitlab, tls }: GitalyConfig,
  observeLatency: HttpInternalApiOptions['observeLatency'],
): Promise<InternalApi> {
  if (!gitlab.url) return standAloneApi;
  // Loaded only where it is used: Node's HTTP client alone takes 20 ms and 3 MB at the start.
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
      ...(tls.certificatePath && ownKey && { clientCertificate: { cert: readFileSync(tls.certificatePath), key: ownKey } }),
    },
    { userAgent: `gitaly/${packageVersion()}`, observeLatency },
  );
}
