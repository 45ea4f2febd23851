import { readFile } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { systemErrorText } from '#base/system-error';
import type { ServerSignatureResponseSchema } from '#wire/gen/server_pb';
import type { ServerRooms } from './index.ts';
import { sshPublicKeyLine } from './ssh-public-key.ts';

const OPENSSH_KEY = '-----BEGIN OPENSSH';

/**
 * The public half of the key that the server signs commits with, as a line of an `authorized_keys` file; empty without a key.
 *
 * @throws {GitalyError} INTERNAL when the key cannot be read, and for an OpenPGP key, whose public half Gitaly does not tell either.
 */
export async function serverSignature(rooms: ServerRooms): Promise<MessageInitShape<typeof ServerSignatureResponseSchema>> {
  if (rooms.signingKeyPath === undefined || rooms.signingKeyPath === '') return {};

  const key = await readKey(rooms.signingKeyPath);
  if (!key.startsWith(OPENSSH_KEY)) throw new Error('failed to fetch public key: gpg public key not implemented');
  try {
    return { publicKey: Buffer.from(sshPublicKeyLine(key)) };
  } catch (error) {
    throw wrap(error, 'failed to parse signing key: parse private key');
  }
}

async function readKey(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    throw new Error(`failed to parse signing key: open file: open ${path}: ${systemErrorText(error)}`, { cause: error });
  }
}
