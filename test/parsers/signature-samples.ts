import { generateKeyPairSync } from 'node:crypto';
import { createSshSignature } from '#base/ssh/ssh-signature';
import { armor } from '#domain/signing/openpgp-armor';
import { type OpenPgpKey, parseOpenPgpKeys } from '#domain/signing/openpgp-key';
import { bigEndianNumber, mpi } from '#domain/signing/openpgp-packets';
import { createOpenPgpSignature } from '#domain/signing/openpgp-signature';
import { parseSshKey, type SshKey } from '#domain/signing/ssh-key';

/** Keys, and signatures that they made of a text. */
export interface SignatureSamples {
  readonly text: Buffer;
  readonly openPgpKeyFile: Buffer;
  readonly openPgpKeys: readonly OpenPgpKey[];
  /** Armoured. */
  readonly openPgp: Buffer;
  readonly sshKeys: readonly SshKey[];
  /** Armoured; one for each key. */
  readonly ssh: readonly Buffer[];
}

/** Signs a text with a new OpenPGP key, and with SSH keys from the contents of their files. */
export async function signatureSamples(sshKeyFiles: readonly Buffer[]): Promise<SignatureSamples> {
  const text = Buffer.from('tree x\n\nmessage\n');
  const openPgpKeyFile = Buffer.from(armor('PGP PRIVATE KEY BLOCK', ed25519KeyPacket()));
  const openPgpKeys = parseOpenPgpKeys(openPgpKeyFile);
  const openPgp = Buffer.from(await createOpenPgpSignature(openPgpKeys, text, 1_800_000_000n));
  const sshKeys = sshKeyFiles.map(parseSshKey);
  const ssh = await Promise.all(sshKeys.map((key) => createSshSignature(key, text)));
  return { text, openPgpKeyFile, openPgpKeys, openPgp, sshKeys, ssh };
}

/** Makes the packet of a secret key without passphrase (RFC 4880, section 5.5.3). */
function ed25519KeyPacket(): Buffer {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const secret = mpi(Buffer.from(d, 'base64url'));
  const sum = secret.reduce((total, byte) => total + byte, 0) & 0xffff;
  const body = Buffer.concat([
    Buffer.from([4]),
    bigEndianNumber(1_700_000_000, 4),
    Buffer.from('16092b06010401da470f01', 'hex'), // EdDSA with the curve Ed25519
    mpi(Buffer.concat([Buffer.from([0x40]), Buffer.from(x, 'base64url')])),
    Buffer.from([0]), // not protected
    secret,
    bigEndianNumber(sum, 2),
  ]);
  return Buffer.concat([Buffer.from([0xc5, body.length]), body]);
}
