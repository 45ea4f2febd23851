import { JsonFields } from '#base/json-fields';
import { jsonValues } from '#base/streams/json-values';
import { addressIn, type ServerAddress } from './servers.ts';

/** A repository to back up or to restore, as standard input names it. */
export interface BackupJob {
  /** Both empty if GITALY_SERVERS names the server. */
  readonly server: ServerAddress;
  readonly storageName: string;
  readonly relativePath: string;
  readonly glProjectPath: string;
  /** In older layouts: a repository without a backup is restored as an empty one. */
  readonly alwaysCreate?: boolean;
}

const POOL = /(?:^|\/)@(?:cluster\/)?pools\//;
const MAX_JOB_LENGTH = 1024 * 1024;

/** Reports whether a path is a folder that contains only object pools. */
export function isPool(relativePath: string): boolean {
  return POOL.test(relativePath);
}

/** Yields the jobs of a stream of JSON objects. @throws {Error} for anything else. */
export async function* readJobs(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<BackupJob, void, undefined> {
  for await (const value of jsonValues(input, { maxLength: MAX_JOB_LENGTH })) {
    const fields = JsonFields.of(value);
    if (fields === undefined) throw new Error('a job is no JSON object');
    const text = (name: string): string => (fields.has(name) ? fields.required(name, 'text') : '');
    yield {
      server: addressIn(fields),
      storageName: text('storage_name'),
      relativePath: text('relative_path'),
      glProjectPath: text('gl_project_path'),
      alwaysCreate: fields.has('always_create') && fields.required('always_create', 'flag'),
    };
  }
}
