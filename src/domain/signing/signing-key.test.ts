import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GnuPg, NO_GPG, NO_SSH_KEYGEN, OpenSsh } from '#testkit/programs/signing-tools';
import { parseSigningKey, type SigningKey } from './signing-key.ts';

const NOW = BigInt(Math.floor(Date.now() / 1000));
/** Ends of lines and spaces before them are what formats for text treat in separate ways. */
const TEXTS = [
  '',
  'tree x\n\nmessage\n',
  'spaces  \t\nbefore the end \n',
  'a\r\nb\n\r\nc\r',
  'no end',
  '\xff\xfe\n',
].map((text) => Buffer.from(text, 'latin1'));

function keyIn(file: string): SigningKey {
  return parseSigningKey(readFileSync(file));
}

/** Changes one byte after the other; those of the armour's frame as well. */
function* spoiled(signature: Buffer): Generator<Buffer> {
  for (let at = 0; at < signature.length; at += 7) {
    const copy = Buffer.from(signature);
    copy[at] = 0x41 ^ (copy[at] ?? 0);
    yield copy;
  }
  for (let length = 0; length < signature.length; length += 11) yield signature.subarray(0, length);
}

const SSH_KEYS = {
  ed25519: ['-t', 'ed25519'],
  rsa: ['-t', 'rsa', '-b', '2048'],
  'ecdsa of 256 bits': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa of 384 bits': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa of 521 bits': ['-t', 'ecdsa', '-b', '521'],
};

for (const [name, options] of Object.entries(SSH_KEYS)) {
  test(`ssh-keygen verifies what an SSH key signs, and the key knows what ssh-keygen signed: ${name}`, {
    skip: NO_SSH_KEYGEN,
  }, async () => {
    await using ssh = await OpenSsh.create();
    const file = await ssh.makeKey('key', options);
    const key = keyIn(file);

    for (const text of TEXTS) {
      const signature = await key.sign(text, NOW);

      assert.ok(await ssh.verifies(file, text, signature));
      assert.ok(key.hasSigned(text, signature));
      assert.ok(key.hasSigned(text, await ssh.sign(file, text)));
      assert.ok(key.hasSigned(text, await ssh.sign(file, text, ['-n', 'git', '-O', 'hashalg=sha256'])));
    }
    assert.equal(key.publicLine?.trim(), readFileSync(`${file}.pub`, 'utf8').trim());
  });
}

test('an SSH key has not signed what was changed, signed for another purpose or by another key', {
  skip: NO_SSH_KEYGEN,
}, async () => {
  await using ssh = await OpenSsh.create();
  const [mine, other] = [
    await ssh.makeKey('mine', ['-t', 'ed25519']),
    await ssh.makeKey('other', ['-t', 'ed25519']),
  ];
  const key = keyIn(mine);
  const text = Buffer.from('tree x\n');
  const signature = await key.sign(text, NOW);

  assert.ok(!key.hasSigned(Buffer.from('tree y\n'), signature));
  assert.ok(!key.hasSigned(text, await ssh.sign(mine, text, ['-n', 'file'])));
  assert.ok(!key.hasSigned(text, await ssh.sign(other, text)));
  assert.ok(!keyIn(other).hasSigned(text, signature));
  for (const bytes of spoiled(signature))
    assert.ok(!key.hasSigned(text, bytes) || bytes.equals(signature.subarray(0, bytes.length)));
});

interface OpenPgpCase {
  readonly name: string;
  readonly make: (gpg: GnuPg) => Promise<string>;
  /** The shortest digest that gpg signs with such a key; default SHA-256. */
  readonly digest?: string;
}

const OPENPGP_KEYS: readonly OpenPgpCase[] = [
  {
    name: 'ed25519',
    make: async (gpg) => {
      await gpg.makeKey('x@x');
      return await gpg.exportKey('x@x');
    },
  },
  {
    name: 'rsa, not armoured',
    make: async (gpg) => {
      await gpg.makeKey('x@x', { algorithm: 'rsa2048' });
      return await gpg.exportKey('x@x', []);
    },
  },
  {
    name: 'dsa',
    make: async (gpg) => {
      await gpg.makeKey('x@x', { algorithm: 'dsa2048' });
      return await gpg.exportKey('x@x');
    },
  },
  ...Object.entries({ nistp256: 'sha256', nistp384: 'sha384', nistp521: 'sha512' }).map(
    ([algorithm, digest]) => ({
      name: `ecdsa on ${algorithm}`,
      digest,
      make: async (gpg: GnuPg) => {
        await gpg.makeKey('x@x', { algorithm });
        return await gpg.exportKey('x@x');
      },
    }),
  ),
  {
    name: 'a subkey for signing, and others that are of no use',
    make: async (gpg) => {
      await gpg.makeKey('x@x', { use: 'cert' });
      await gpg.addSubkey('x@x', 'cv25519', 'encr');
      await gpg.addSubkey('x@x', 'rsa2048', 'sign');
      return await gpg.exportKey('x@x');
    },
  },
  {
    name: 'a subkey whose primary key is kept elsewhere',
    make: async (gpg) => {
      await gpg.makeKey('x@x', { use: 'cert' });
      await gpg.addSubkey('x@x', 'ed25519', 'sign');
      return await gpg.exportKey('x@x', ['--armor'], 'subkeys');
    },
  },
];

for (const { name, make, digest = 'sha256' } of OPENPGP_KEYS) {
  test(`gpg verifies what an OpenPGP key signs, and the key knows what gpg signed: ${name}`, {
    skip: NO_GPG,
  }, async () => {
    await using gpg = await GnuPg.create();
    const key = keyIn(await make(gpg));
    assert.equal(key.publicLine, undefined);

    for (const text of TEXTS) {
      const signature = await key.sign(text, NOW);

      assert.ok(await gpg.verifies(text, signature), `${JSON.stringify(text.toString('latin1'))}`);
      assert.ok(key.hasSigned(text, signature));
      assert.ok(key.hasSigned(text, await gpg.sign('x@x', text)));
      // gpg alone treats a lone carriage return as the end of a line.
      if (!text.includes('\r')) assert.ok(key.hasSigned(text, await gpg.sign('x@x', text, ['--textmode'])));
      assert.ok(key.hasSigned(text, await gpg.sign('x@x', text, ['--digest-algo', digest])));
    }
  });
}

test('an OpenPGP key has not signed what was changed or signed by another key', {
  skip: NO_GPG,
}, async () => {
  await using gpg = await GnuPg.create();
  await gpg.makeKey('mine@x');
  await gpg.makeKey('other@x');
  const key = keyIn(await gpg.exportKey('mine@x'));
  const text = Buffer.from('tree x\n');
  const signature = await key.sign(text, NOW);

  assert.ok(!key.hasSigned(Buffer.from('tree y\n'), signature));
  assert.ok(!key.hasSigned(text, await gpg.sign('other@x', text)));
  assert.ok(!keyIn(await gpg.exportKey('other@x')).hasSigned(text, signature));
  for (const bytes of spoiled(signature)) assert.equal(typeof key.hasSigned(text, bytes), 'boolean');
});

test('an OpenPGP signature is one of text, made at the time of the author but not before its key', {
  skip: NO_GPG,
}, async () => {
  await using gpg = await GnuPg.create();
  await gpg.makeKey('x@x', { madeOn: '20200101', expires: '1y' });
  const created = 1_577_836_800n; // 2020-01-01
  const key = keyIn(await gpg.exportKey('x@x'));
  const packetOf = async (seconds: bigint) => {
    return await gpg.run(['--list-packets'], { input: await key.sign(Buffer.from('x'), seconds) });
  };

  // The packet of Gitaly: text, SHA-256, and the three facts in this order.
  const inTime = await packetOf(created + 5000n);
  assert.match(inTime, /created 1577841800, md5len 0, sigclass 0x01\n\tdigest algo 8,/);
  assert.deepEqual(inTime.match(/subpkt \d+/g), ['subpkt 2', 'subpkt 16', 'subpkt 33']);
  assert.match(await packetOf(created - 5000n), new RegExp(`created ${created},`));
  assert.match(await packetOf(-1n), new RegExp(`created ${created},`));
  // Gitaly signs with a key that was valid at the author's date.
  await assert.rejects(key.sign(Buffer.from('x'), NOW), {
    message: 'sign commit: openpgp: no valid signing keys',
  });
});

test('the same text at the same time has the same signature, so that the nodes of a cluster agree', {
  skip: NO_GPG || NO_SSH_KEYGEN,
}, async () => {
  await using gpg = await GnuPg.create();
  await using ssh = await OpenSsh.create();
  await gpg.makeKey('x@x');
  const files = [
    await gpg.exportKey('x@x'),
    await ssh.makeKey('e', ['-t', 'ed25519']),
    await ssh.makeKey('r', ['-t', 'rsa', '-b', '2048']),
  ];

  for (const file of files) {
    const signatures = [
      await keyIn(file).sign(Buffer.from('x'), NOW),
      await keyIn(file).sign(Buffer.from('x'), NOW),
    ];
    assert.deepEqual(signatures[0], signatures[1]);
  }
});

test('a revoked subkey signs nothing more, and what it signed is still known', { skip: NO_GPG }, async () => {
  await using gpg = await GnuPg.create();
  await gpg.makeKey('x@x', { use: 'cert' });
  await gpg.addSubkey('x@x', 'ed25519', 'sign');
  const text = Buffer.from('x');
  const signature = await keyIn(await gpg.exportKey('x@x')).sign(text, NOW);
  const input = 'key 1\nrevkey\ny\n0\n\ny\nsave\n';
  await gpg.run(['--no-batch', '--yes', '--passphrase', '', '--command-fd', '0', '--edit-key', 'x@x'], {
    input,
  });

  const key = keyIn(await gpg.exportKey('x@x'));

  await assert.rejects(key.sign(text, NOW), { message: /no valid signing keys/ });
  assert.ok(key.hasSigned(text, signature));
});

test('a key behind a passphrase is refused', { skip: NO_GPG || NO_SSH_KEYGEN }, async () => {
  await using gpg = await GnuPg.create();
  await using ssh = await OpenSsh.create();
  await gpg.makeKey('x@x', { passphrase: 'secret' });
  const openPgp = await gpg.exportKey('x@x', ['--passphrase', 'secret']);
  const openSsh = await ssh.makeKey('key', ['-t', 'ed25519'], 'secret');

  assert.throws(() => keyIn(openPgp), {
    message: 'read entity: openpgp: this private key is passphrase protected',
  });
  assert.throws(() => keyIn(openSsh), {
    message: 'parse private key: ssh: this private key is passphrase protected',
  });
});

function keyOrError(file: Buffer): SigningKey | Error {
  try {
    return parseSigningKey(file);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

test('a damaged key is refused without a word of what is in it', {
  skip: NO_GPG || NO_SSH_KEYGEN,
}, async () => {
  await using gpg = await GnuPg.create();
  await using ssh = await OpenSsh.create();
  await gpg.makeKey('r@x', { algorithm: 'rsa2048' });
  await gpg.makeKey('d@x', { algorithm: 'dsa2048' });
  const files = [
    await gpg.exportKey('r@x', []),
    await gpg.exportKey('d@x', []),
    await ssh.makeKey('e', ['-t', 'ed25519']),
    await ssh.makeKey('c', ['-t', 'ecdsa']),
  ];
  const WORDS = /^(read entity: |parse private key: )[A-Za-z0-9 ;:,]*$/;

  for (const file of files) {
    const bytes = readFileSync(file);
    let refused = 0;
    for (const damaged of spoiled(bytes)) {
      const key = keyOrError(damaged);
      if (key instanceof Error) {
        assert.match(key.message, WORDS);
        refused++;
        continue;
      }
      // The damage is in an unused part, or in the usage flags of an OpenPGP key.
      const text = Buffer.from('x');
      const signature = await key.sign(text, NOW).catch(() => undefined);
      assert.ok(signature === undefined || key.hasSigned(text, signature));
    }
    assert.ok(refused > 20);
  }
  for (const nothing of ['', 'x', '-----BEGIN OPENSSH PRIVATE KEY-----']) {
    assert.throws(() => parseSigningKey(Buffer.from(nothing)), { message: WORDS });
  }
});
