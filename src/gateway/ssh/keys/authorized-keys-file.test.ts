import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SshLogin } from '../authentication.ts';
import type { UnusedLine } from './authorized-keys.ts';
import { authorizedKeysFile } from './authorized-keys-file.ts';

function newLogin(): SshLogin & { readonly line: string } {
  const { publicKey }: { publicKey: KeyObject } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const field = (data: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, data.length]), data]);
  const data = Buffer.concat([field(Buffer.from('ssh-ed25519')), field(raw)]);
  const key = { type: 'ssh-ed25519', data };
  return {
    user: 'git',
    key,
    fingerprint: '',
    remoteAddress: undefined,
    line: `ssh-ed25519 ${data.toString('base64')}`,
  };
}

async function inDirectory(work: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'authorized-keys-'));
  try {
    await work(join(directory, 'authorized_keys'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('the line number is the id, the comment is the name', async () => {
  await inDirectory(async (path) => {
    const [ann, nameless] = [newLogin(), newLogin()];
    writeFileSync(path, `# staff\n${ann.line} ann@laptop\n${nameless.line}\n`);
    const { authenticate } = authorizedKeysFile(path);

    assert.deepEqual(await authenticate(ann), { glId: 'key-2', username: 'ann@laptop', keyId: 2 });
    assert.deepEqual(await authenticate(nameless), { glId: 'key-3', username: 'git', keyId: 3 });
    assert.equal(await authenticate(newLogin()), undefined);
  });
});

test('a change of the file takes effect at once, however it is made', async () => {
  await inDirectory(async (path) => {
    const [ann, bob] = [newLogin(), newLogin()];
    writeFileSync(path, ann.line);
    const { authenticate } = authorizedKeysFile(path);
    const known = async () => [ann, bob].map(async (each) => (await authenticate(each)) !== undefined);
    assert.deepEqual(await Promise.all(await known()), [true, false]);

    writeFileSync(path, bob.line);
    assert.deepEqual(await Promise.all(await known()), [false, true]);

    writeFileSync(`${path}.new`, ann.line);
    renameSync(`${path}.new`, path);
    assert.deepEqual(await Promise.all(await known()), [true, false]);
  });
});

test('while the file cannot be read, every login is refused', async () => {
  await inDirectory(async (path) => {
    const ann = newLogin();
    writeFileSync(path, ann.line);
    const { authenticate } = authorizedKeysFile(path);
    assert.notEqual(await authenticate(ann), undefined);

    rmSync(path);
    await assert.rejects(authenticate(ann), { code: 'ENOENT' });
    writeFileSync(path, ann.line);
    assert.notEqual(await authenticate(ann), undefined);
  });
});

test('a file of up to 8 MiB is read', async () => {
  await inDirectory(async (path) => {
    const ann = newLogin();
    const write = (bytes: number): void => writeFileSync(path, `${ann.line}\n#`.padEnd(bytes, 'x'));
    const { authenticate } = authorizedKeysFile(path);

    write(8 << 20);
    assert.ok((await authenticate(ann)) !== undefined);
    write((8 << 20) + 1);
    await assert.rejects(authenticate(ann), /is larger than 8388608 bytes/);
  });
});

test('refused lines are reported once per read of the file', async () => {
  await inDirectory(async (path) => {
    const ann = newLogin();
    writeFileSync(path, `command="x" ${ann.line}\n`);
    const unused: UnusedLine[] = [];
    const { authenticate } = authorizedKeysFile(path, { onUnused: (line) => unused.push(line) });

    assert.equal(await authenticate(ann), undefined);
    assert.equal(await authenticate(ann), undefined);

    assert.deepEqual(unused, [{ line: 1, reason: 'this server cannot enforce the option command' }]);
  });
});
