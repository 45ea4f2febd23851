import assert from 'node:assert/strict';
import { parseSshPublicKey } from '#base/ssh/ssh-public-key';
import { isSshSignatureOf, signerOf } from '#base/ssh/ssh-signature';
import { armor, dearmor } from '#domain/signing/openpgp-armor';
import { parseOpenPgpKeys } from '#domain/signing/openpgp-key';
import { isOpenPgpSignatureOf } from '#domain/signing/openpgp-signature';
import { splitSignature } from '#git/history/commit-signature';
import type { SignatureSamples } from './signature-samples.ts';
import type { Target } from './targets.ts';

const OPEN_PGP = 'PGP SIGNATURE';
const OPEN_PGP_KEY = 'PGP PRIVATE KEY BLOCK';
const SSH = 'SSH SIGNATURE';

/**
 * Returns the targets for signatures and keys. Each is there twice: most changes of an armoured
 * text end in the armour, and only changes of the bytes behind it reach the fields.
 */
export function signatureTargets(commits: readonly Buffer[], samples: SignatureSamples): Target[] {
  const { text, openPgpKeys, sshKeys } = samples;
  const isOpenPgp = (signature: Buffer) => isOpenPgpSignatureOf(openPgpKeys, text, signature);
  const isSsh = (signature: Buffer) => sshKeys.some((key) => isSshSignatureOf(key, text, signature));
  assert.ok(isOpenPgp(samples.openPgp) && samples.ssh.every(isSsh), 'what changes were right signatures');
  return [
    {
      name: 'splitSignature',
      samples: [samples.openPgp, ...samples.ssh].flatMap((each) => commits.map((to) => signed(to, each))),
      errors: [],
      parse: splitSignature,
    },
    { name: 'isOpenPgpSignatureOf', samples: [samples.openPgp], errors: [], parse: isOpenPgp },
    {
      name: 'isOpenPgpSignatureOf behind the armour',
      samples: [bytesOf(OPEN_PGP, samples.openPgp)],
      errors: [],
      parse: (input) => isOpenPgp(Buffer.from(armor(OPEN_PGP, input))),
    },
    { name: 'isSshSignatureOf', samples: samples.ssh, errors: [], parse: isSsh },
    {
      name: 'isSshSignatureOf behind the armour',
      samples: samples.ssh.map((each) => bytesOf(SSH, each)),
      errors: [],
      parse: (input) => isSsh(sshArmor(input)),
    },
    {
      name: 'signerOf behind the armour',
      samples: samples.ssh.map((each) => bytesOf(SSH, each)),
      errors: [],
      parse: (input) => signerOf(sshArmor(input)),
    },
    {
      name: 'parseSshPublicKey',
      samples: sshKeys.map(({ publicBlob }) => publicBlob),
      errors: [],
      parse: parseSshPublicKey,
    },
    {
      name: 'parseOpenPgpKeys',
      samples: [samples.openPgpKeyFile, bytesOf(OPEN_PGP_KEY, samples.openPgpKeyFile)],
      errors: [Error],
      parse: parseOpenPgpKeys,
    },
  ];
}

/** Adds a signature to the headers of a commit. */
function signed(commit: Buffer, signature: Buffer): Buffer {
  const end = commit.indexOf('\n\n');
  const header = `\ngpgsig ${signature.toString().trimEnd().replaceAll('\n', '\n ')}`;
  return Buffer.concat([commit.subarray(0, end), Buffer.from(header), commit.subarray(end)]);
}

function bytesOf(label: string, armoured: Buffer): Buffer {
  const bytes = dearmor(label, armoured);
  assert.ok(bytes);
  return bytes;
}

/** Unlike that of OpenPGP it has no empty line and no checksum. */
function sshArmor(bytes: Buffer): Buffer {
  const lines = bytes.toString('base64').replace(/.{64}/g, '$&\n');
  return Buffer.from(`-----BEGIN ${SSH}-----\n${lines}\n-----END ${SSH}-----\n`);
}
