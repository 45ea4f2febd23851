import { JsonFields } from '#base/json-fields';
import type { GitlabSettings } from '#domain/gitlab-api/create-internal-api';

/** Configuration of the filter, from its environment. */
export interface SmudgeConfiguration {
  readonly glRepository: string;
  readonly gitlab: GitlabSettings;
  /** PEM files of the certificate that is shown to GitLab. */
  readonly certificatePath: string;
  readonly keyPath: string;
  /** Store with the files, and the ids under which it has them; `undefined` for those of GitLab. */
  readonly store: { readonly url: string; readonly ids: readonly string[] } | undefined;
  /** True for a filter that serves many files. */
  readonly isLongRunning: boolean;
}

export const CONFIGURATION_VARIABLE = 'GITALY_LFS_SMUDGE_CONFIG';

/**
 * Reads the filter's configuration: one variable, or the three of Gitaly before 15.1.
 *
 * @throws {Error} with Gitaly's text when a variable is missing or is not JSON.
 */
export function smudgeConfiguration(
  environment: Readonly<Record<string, string | undefined>>,
): SmudgeConfiguration {
  const encoded = environment[CONFIGURATION_VARIABLE];
  if (encoded) {
    const all = parse(encoded, 'config');
    return configurationOf(all.text('gl_repository') ?? '', {
      gitlab: all.object('gitlab'),
      tls: all.object('tls'),
      store: all.object('store'),
      isLongRunning: all.number('driver_type') === 1,
    });
  }
  const glRepository = environment.GL_REPOSITORY;
  if (!glRepository) throw new Error('error loading project: GL_REPOSITORY is not defined');
  const { GL_INTERNAL_CONFIG: gitlab, GITALY_TLS: tls } = environment;
  if (!gitlab) throw new Error('unable to retrieve GL_INTERNAL_CONFIG');
  if (!tls) throw new Error('unable to retrieve GITALY_TLS');
  return configurationOf(glRepository, {
    gitlab: parse(gitlab, 'GL_INTERNAL_CONFIG'),
    tls: parse(tls, 'GITALY_TLS'),
    isLongRunning: false,
  });
}

interface Sections {
  readonly gitlab: JsonFields | undefined;
  readonly tls: JsonFields | undefined;
  readonly store?: JsonFields | undefined;
  readonly isLongRunning: boolean;
}

function configurationOf(
  glRepository: string,
  { gitlab, tls, store, isLongRunning }: Sections,
): SmudgeConfiguration {
  const http = gitlab?.object('http_settings');
  return {
    glRepository,
    gitlab: {
      url: gitlab?.text('url') ?? '',
      relativeUrlRoot: gitlab?.text('relative_url_root'),
      secret: gitlab?.text('secret'),
      secretFile: gitlab?.text('secret_file'),
      user: http?.text('user'),
      password: http?.text('password'),
      caFile: http?.text('ca_file'),
      caPath: http?.text('ca_path'),
      readTimeoutSeconds: http?.number('read_timeout'),
    },
    certificatePath: tls?.text('certificate_path') ?? tls?.text('cert_path') ?? '',
    keyPath: tls?.text('key_path') ?? '',
    store: store && { url: store.text('url') ?? '', ids: (store.list('ids') ?? []).map(String) },
    isLongRunning,
  };
}

function parse(text: string, name: string): JsonFields {
  const fields = JsonFields.parse(text);
  if (fields === undefined) throw new Error(`unable to unmarshal ${name}`);
  return fields;
}
