import { isTokenText, type TokenVerifier } from '#tokens/token-verifier';
import type { Identity } from './identity.ts';

/**
 * Returns the user of a token, with its scope.
 *
 * @returns undefined for a text that is no token; `refused` for one that is not valid.
 */
export async function identityOfToken(
  verifier: TokenVerifier,
  text: string,
): Promise<Identity | 'refused' | undefined> {
  if (!isTokenText(text)) return undefined;
  const owner = await verifier.verify(text);
  if (owner === undefined) return 'refused';
  const { scope, subject } = owner;
  return { glId: `username-${subject}`, username: subject, scope };
}
