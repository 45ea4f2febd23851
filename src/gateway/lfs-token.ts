import { createHmac, timingSafeEqual } from 'node:crypto';
import { JsonFields } from '#base/json-fields';
import type { Secret } from '#base/secret';
import type { Identity } from './identity.ts';
import { checkRepositoryPath, type RepositoryPath } from './repository-path.ts';

/** Time for which a token is valid: a client requests another one for each of its pushes and pulls. */
export const LFS_TOKEN_SECONDS = 15 * 60;

/** The rights of a token of git-lfs: the files of one repository, for a user of SSH. */
export interface LfsGrant {
  readonly identity: Identity;
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
  /** True if an upload may create the repository, as a push of the user may. */
  readonly mayCreate: boolean;
}

/**
 * Returns a token for the files of a repository. Only servers with the same key accept it, and only
 * for LFS.
 */
export function lfsToken(
  { identity, mayCreate, operation, path }: LfsGrant,
  key: Secret,
  nowSeconds: number,
): string {
  const { credential, glId, username } = identity;
  const end = nowSeconds + LFS_TOKEN_SECONDS;
  const claims = { path, operation, mayCreate, glId, username, credential, end };
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${payload}.${signatureOf(payload, key)}`;
}

/** Returns what a token allows; `undefined` for one that is not valid, or not any more. */
export function grantOfLfsToken(token: string, key: Secret, nowSeconds: number): LfsGrant | undefined {
  const [payload = '', signature = '', ...rest] = token.split('.');
  const expected = Buffer.from(signatureOf(payload, key));
  const given = Buffer.from(signature);
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected))
    return undefined;
  const fields = JsonFields.parse(Buffer.from(payload, 'base64url').toString());
  const path = checkRepositoryPath((fields?.text('path') ?? '').split('/'));
  const operation = fields?.text('operation');
  const [glId, username] = [fields?.text('glId'), fields?.text('username')];
  if (fields === undefined || typeof path !== 'string' || glId === undefined || username === undefined)
    return undefined;
  if ((fields.number('end') ?? 0) <= nowSeconds || (operation !== 'read' && operation !== 'write'))
    return undefined;
  const name = JsonFields.of(fields.value('credential'))?.text('name');
  const credential = name === undefined ? {} : { credential: { kind: 'key', name } as const };
  const mayCreate = fields.flag('mayCreate') === true;
  return { identity: { glId, username, ...credential }, path, operation, mayCreate };
}

function signatureOf(payload: string, key: Secret): string {
  return createHmac('sha256', key.reveal()).update(payload).digest('base64url');
}
