import { createHash } from 'node:crypto';
import type { Secret } from '#base/secret';
import type { Identity } from '#gateway/identity';
import type { Authenticator } from '../authentication.ts';
import { SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { parseCredentials, secretIn } from './credentials.ts';
import { isSecretOf, type SecretHash } from './password-hash.ts';

/**
 * Returns an authenticator that accepts everybody who sends the token, as a bearer token or as the
 * password of any name, as one user with all rights.
 */
export function tokenAuthentication(
  token: Secret,
  identity: Identity = { glId: 'user-1', username: 'git' },
): Authenticator {
  const hash: SecretHash = { kind: 'sha256', digest: createHash('sha256').update(token.reveal()).digest() };
  const isToken = (given: Secret): Promise<boolean> => isSecretOf(hash, given.reveal());
  return {
    authenticate: async ({ headers }) => {
      const credentials = parseCredentials(headers.authorization);
      if (credentials.kind === 'none') return { answer: SIGN_IN };
      const given = secretIn(credentials);
      return given && (await isToken(given)) ? identity : { answer: WRONG_CREDENTIALS };
    },
    isAdministrator: async ({ headers }) => {
      const given = secretIn(parseCredentials(headers.authorization));
      return given !== undefined && (await isToken(given));
    },
  };
}
