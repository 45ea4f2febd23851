import { wrapped } from '#base/gitaly-error';
import type { ResponseOf } from '#rpc/server/handler';
import type { ServerSignatureResponseSchema } from '#wire/gen/server_pb';
import type { ServerDependencies } from './dependencies.ts';

/**
 * Returns the public half of the server's signing key as a line of an `authorized_keys` file; empty
 * without a key.
 *
 * @throws {GitalyError} INTERNAL when the key cannot be read, and for an OpenPGP key, whose public
 * half Gitaly does not return either.
 */
export async function serverSignature(
  deps: ServerDependencies,
): ResponseOf<typeof ServerSignatureResponseSchema> {
  const key = await deps.signingKeys?.current().catch(wrapped('failed to parse signing key'));
  if (key === undefined) return {};
  if (key.publicLine === undefined)
    throw new Error('failed to fetch public key: gpg public key not implemented');
  return { publicKey: Buffer.from(key.publicLine) };
}
