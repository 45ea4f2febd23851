import { isTokenText, type TokenVerifier } from '#tokens/token-verifier';
import type { Identity } from './identity.ts';

/**
 * Returns the user of a token, with its scope.
 *
 * @returns undefined for a text that is no token; `expired` for one that was valid; `refused` for
 *   one that never was or that was revoked.
 */
export async function identityOfToken(
  verifier: TokenVerifier,
  text: string,
): Promise<Identity | 'expired' | 'refused' | undefined> {
  if (!isTokenText(text)) return undefined;
  const owner = await verifier.check(text);
  if (owner === undefined) return 'refused';
  if (owner === 'expired') return owner;
  const { id, scope, subject } = owner;
  const credential = { kind: 'token', name: id } as const;
  return { glId: `username-${subject}`, username: subject, credential, scope };
}
