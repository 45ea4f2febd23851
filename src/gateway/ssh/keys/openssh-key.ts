import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { sshString } from '#base/ssh/ssh-fields';

const TYPE = 'ssh-ed25519';
const MAGIC = Buffer.from('openssh-key-v1\0');
/** Without encryption, the private part is padded to a multiple of this. */
const BLOCK_BYTES = 8;
const LINE_LENGTH = 70;

/**
 * Returns a new Ed25519 key without a passphrase: the private key in the format of `ssh-keygen`,
 * the public key as a line of `authorized_keys`. (About one in some hundred keys of the library's
 * own generator is malformed.)
 *
 * @see openssh: PROTOCOL.key
 */
export function newEd25519Key(comment = ''): { readonly private: string; readonly public: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = fromBase64Url(privateKey.export({ format: 'jwk' }).d);
  const point = fromBase64Url(publicKey.export({ format: 'jwk' }).x);
  const publicBlob = Buffer.concat([sshString(TYPE), sshString(point)]);
  const check = randomBytes(4); // stored twice, to detect a wrong passphrase
  const secret = Buffer.concat([
    check,
    check,
    publicBlob,
    sshString(Buffer.concat([seed, point])),
    sshString(comment),
  ]);
  const padding = Buffer.from(
    [1, 2, 3, 4, 5, 6, 7].slice(0, (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES),
  );
  const file = Buffer.concat([
    MAGIC,
    sshString('none'),
    sshString('none'),
    sshString(''),
    Buffer.from([0, 0, 0, 1]),
    sshString(publicBlob),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return {
    private: ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
      '\n',
    ),
    public: `${TYPE} ${publicBlob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`,
  };
}

function fromBase64Url(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}
