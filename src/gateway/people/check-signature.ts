import { parseSshPublicKey } from '#base/ssh/ssh-public-key';
import { isSshSignatureOf, signerOf } from '#base/ssh/ssh-signature';
import type { SignatureCheck, SignedText } from '../http/pages/page-source.ts';
import type { PeopleFile } from './people-file.ts';

/** Longer commits would block the event loop. */
const MAX_TEXT_BYTES = 1 << 20;

/** Finds the person whose key has signed a text with SSH. */
export function checkSignature({ keys }: PeopleFile, { signature, text }: SignedText): SignatureCheck {
  if (text.length > MAX_TEXT_BYTES) return { problem: 'the commit is very large' };
  const blob = signerOf(signature);
  if (blob === undefined) return { problem: 'the signature is damaged' };
  const held = keys.get(blob.toString('base64'));
  if (held === undefined || held.isDeployKey) return { problem: 'nobody here has its key' };
  const key = parseSshPublicKey(held.data);
  if (key === undefined) return { problem: `keys of the type of ${held.name} cannot be checked` };
  return isSshSignatureOf(key, text, signature)
    ? { name: held.holder }
    : { problem: 'the signature is not that of the commit' };
}
