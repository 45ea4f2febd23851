import { toJson } from '#base/go/encoding/json';
import { quote } from '#base/go/quote';
import type { AccessCheck, FinishedPush } from './internal-api.ts';

/**
 * Builds the body of `POST /allowed`. Empty fields are left out; the key order is Gitaly's.
 *
 * @throws {Error} `setting gl_id: gl_id="…" is invalid`
 */
export function allowedBody(check: AccessCheck): string {
  return toJson({
    action: 'git-receive-pack',
    ...orNothing('gl_repository', check.glRepository),
    ...orNothing('project', check.repositoryPath.replaceAll("'", '')),
    ...orNothing('changes', check.changes),
    ...orNothing('protocol', check.protocol),
    ...orNothing('relative_path', check.relativePath),
    env: toJson({
      GIT_ALTERNATE_OBJECT_DIRECTORIES_RELATIVE: check.alternateObjectDirectories ?? null,
      GIT_OBJECT_DIRECTORY_RELATIVE: check.objectDirectory,
    }),
    ...whoPushes(check.glId),
    ...(check.pushOptions.length > 0 && { push_options: check.pushOptions }),
    ...orNothing('gitaly_client_context_bin', toBase64(check.clientContext) ?? ''),
  });
}

/** Builds the body of `POST /pre_receive`. */
export function preReceiveBody(glRepository: string): string {
  return toJson({ gl_repository: glRepository });
}

/**
 * Builds the body of `POST /post_receive`: keys in alphabetical order, absent lists and bytes as
 * `null`.
 */
export function postReceiveBody(push: FinishedPush): string {
  return toJson({
    changes: push.changes,
    gitaly_client_context_bin: toBase64(push.clientContext) ?? null,
    gl_repository: push.glRepository,
    identifier: push.glId,
    push_options: push.pushOptions.length > 0 ? push.pushOptions : null,
  });
}

function whoPushes(glId: string): Record<string, string> {
  if (glId.startsWith('username-')) return orNothing('username', glId.slice('username-'.length));
  const match = /^(key|user)-([0-9]+)$/.exec(glId);
  if (match?.[1] === undefined || match[2] === undefined)
    throw new Error(`setting gl_id: gl_id=${quote(glId)} is invalid`);
  return { [`${match[1]}_id`]: match[2] };
}

function orNothing(key: string, value: string): Record<string, string> {
  return value === '' ? {} : { [key]: value };
}

function toBase64(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
