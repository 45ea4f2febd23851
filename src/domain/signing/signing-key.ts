import { isError } from '#base/is-error';
import { createSshSignature, isSshSignatureOf } from '#base/ssh/ssh-signature';
import { parseOpenPgpKeys } from './openpgp-key.ts';
import { createOpenPgpSignature, isOpenPgpSignatureOf } from './openpgp-signature.ts';
import { parseSshKey } from './ssh-key.ts';

/** A key with which a server signs commits. */
export interface SigningKey {
  /** A line of an `authorized_keys` file, with its line feed; `undefined` for an OpenPGP key. */
  readonly publicLine: string | undefined;
  /**
   * Signs a text.
   *
   * @param atSeconds since 1970, for signatures that contain their time.
   * @returns the armoured signature with the line feeds with which Gitaly gives it to git: ids of
   *   commits depend on them.
   * @throws {Error} when the key may not sign.
   */
  sign(text: Buffer, atSeconds: bigint): Promise<Buffer>;
  /** Reports whether the key made an armoured signature of a text. */
  hasSigned(text: Buffer, signature: Buffer): boolean;
}

/**
 * Reads the contents of a key file: OpenSSH, or OpenPGP, armoured or not. @throws {Error} without
 * the contents in its message.
 */
export function parseSigningKey(file: Buffer): SigningKey {
  if (!file.toString('latin1', 0, 64).startsWith('-----BEGIN OPENSSH')) {
    const keys = parseOpenPgpKeys(file);
    return {
      publicLine: undefined,
      sign: async (text, atSeconds) =>
        Buffer.from(`${await createOpenPgpSignature(keys, text, atSeconds)}\n`),
      hasSigned: (text, signature) => isOpenPgpSignatureOf(keys, text, signature),
    };
  }
  const key = sshKey(file);
  return {
    publicLine: `${key.type} ${key.publicBlob.toString('base64')}\n`,
    sign: async (text) => Buffer.concat([await createSshSignature(key, text), Buffer.from('\n')]),
    hasSigned: (text, signature) => isSshSignatureOf(key, text, signature),
  };
}

function sshKey(file: Buffer): ReturnType<typeof parseSshKey> {
  try {
    return parseSshKey(file);
  } catch (error) {
    throw new Error(`parse private key: ${isError(error) ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
