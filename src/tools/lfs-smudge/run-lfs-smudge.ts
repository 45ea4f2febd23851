import { fstatSync, readFileSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { privateKeyPem } from '#base/go/private-key-pem';
import { JsonFields } from '#base/json-fields';
import { copyStream } from '#base/streams/copy-stream';
import type { GitlabSettings } from '#domain/gitlab-api/create-internal-api';
import { LfsDownloads as GitlabLfsObjects } from '#domain/gitlab-api/lfs-downloads';
import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import { LfsObjects } from '#object-store/lfs-objects';
import { openStore } from '#object-store/open-store';
import { packageVersion } from '#platform/process/version';
import { type HelperEnvironment, helperLogger } from '../helper-log.ts';
import { type Smudge, serveFilter } from './filter-process.ts';

export interface SmudgeStreams {
  readonly stdin: AsyncIterable<Uint8Array> & { readonly fd?: number };
  readonly stdout: Writable;
  readonly stderr: Writable;
}

const NO_FILTER = "Cannot read from STDIN. This command should be run by the Git 'smudge' filter";

/** The filter ends when git closes its input. */
const { signal: UNTIL_GIT_ENDS } = new AbortController();

/** Configuration of the filter, from its environment. */
interface SmudgeConfiguration {
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

const CONFIGURATION_VARIABLE = 'GITALY_LFS_SMUDGE_CONFIG';

interface Sections {
  readonly gitlab: JsonFields | undefined;
  readonly tls: JsonFields | undefined;
  readonly store?: JsonFields | undefined;
  readonly isLongRunning: boolean;
}

/**
 * Runs git's filter that replaces pointers of Git LFS by their objects, which it reads from the
 * store of the server, or downloads from GitLab's internal API. Data that is not a pointer, and
 * pointers whose object is not there, are not changed. Environment, messages and exit codes are
 * those of Gitaly's program.
 *
 * @returns the exit code.
 */
export async function runLfsSmudge(environment: HelperEnvironment, io: SmudgeStreams): Promise<number> {
  const logger = helperLogger('gitaly-lfs-smudge', environment);
  if (io.stdin.fd !== undefined && fstatSync(io.stdin.fd).isCharacterDevice()) {
    io.stdout.write(`${NO_FILTER}\n`);
    return 1;
  }
  try {
    const configuration = smudgeConfiguration(environment);
    const smudge = await smudgeOf(configuration, {
      correlationId: environment.CORRELATION_ID ?? '',
      onProblem: (error) => logger.error({ error: messageOf(error) }, 'smudge contents: error'),
    });
    if (configuration.isLongRunning) await serveFilter({ input: io.stdin, output: io.stdout }, smudge);
    else await smudgeOnce(io, smudge);
    return 0;
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'running smudge filter');
    io.stderr.write(`error: ${messageOf(error)}\n`);
    return 1;
  }
}

interface SmudgeOptions {
  readonly correlationId: string;
  readonly onProblem: (error: unknown) => void;
}

/** Opens the file with a name; `undefined` if there is none. */
type OpenFile = (oid: string) => Promise<AsyncIterable<Buffer> | undefined>;

async function smudgeOf(
  configuration: SmudgeConfiguration,
  { correlationId, onProblem }: SmudgeOptions,
): Promise<Smudge> {
  const { store } = configuration;
  const openFile = store ? await ofStore(store) : ofGitlab(configuration, correlationId);
  return async (file) => {
    const oid = parseLfsFilePointer(file)?.fileOid;
    if (oid === undefined) return undefined;
    try {
      return await openFile(oid);
    } catch (error) {
      onProblem(error);
      return undefined;
    }
  };
}

async function ofStore({
  ids: [own, ...sources],
  url,
}: NonNullable<SmudgeConfiguration['store']>): Promise<OpenFile> {
  if (own === undefined) return async () => undefined;
  const objects = new LfsObjects(await openStore(url), [own, ...sources]);
  return async (oid) => {
    const file = await objects.find(oid, UNTIL_GIT_ENDS);
    return file && objects.content(file, undefined, UNTIL_GIT_ENDS);
  };
}

function ofGitlab(
  { glRepository, gitlab, certificatePath, keyPath }: SmudgeConfiguration,
  correlationId: string,
): OpenFile {
  const certificate = certificatePath !== '' && keyPath !== '';
  const settings = certificate
    ? {
        ...gitlab,
        clientCertificate: { cert: readFileSync(certificatePath), key: privateKeyPem(readFileSync(keyPath)) },
      }
    : gitlab;
  const objects = new GitlabLfsObjects(settings, { userAgent: `gitaly/${packageVersion()}` });
  return (oid) => objects.open({ oid, glRepository }, { correlationId, signal: UNTIL_GIT_ENDS });
}

/** Filters standard input. Only possible pointers are buffered in memory. */
async function smudgeOnce({ stdin, stdout }: SmudgeStreams, smudge: Smudge): Promise<void> {
  const input = stdin[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes <= MAX_LFS_FILE_POINTER_BYTES) {
    const { done, value } = await input.next();
    if (done === true) break;
    pieces.push(value);
    bytes += value.length;
  }
  const file = Buffer.concat(pieces);
  const content = await smudge(file);
  await copyStream(content ?? Readable.from([file]), stdout);
  if (content === undefined) await copyStream({ [Symbol.asyncIterator]: () => input }, stdout);
}

/**
 * Reads the filter's configuration: one variable, or the three of Gitaly before 15.1.
 *
 * @throws {Error} with Gitaly's text when a variable is missing or is not JSON.
 */
function smudgeConfiguration(environment: Readonly<Record<string, string | undefined>>): SmudgeConfiguration {
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
