import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../network/listening-port.ts';
import { systemErrorCode, systemErrorMessage, systemErrorText } from './system-error.ts';

function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('did not throw');
}

// SetCustomHooks returned `panic: The value of "err" is out of range`: `rm` has a positive errno.
test('an error that Node makes itself has the text of the C library', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'system-error-'));
  try {
    assert.equal(systemErrorText(failure(() => rmSync(directory))), 'is a directory');
  } finally {
    rmdirSync(directory);
  }
});

test('a failed system call has the text of the C library', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'system-error-'));
  try {
    writeFileSync(path.join(directory, 'file'), '');

    assert.equal(
      systemErrorText(failure(() => statSync(path.join(directory, 'none')))),
      'no such file or directory',
    );
    assert.equal(systemErrorText(failure(() => statSync(path.join(directory, 'file/x')))), 'not a directory');
    assert.equal(
      systemErrorText(failure(() => statSync(path.join(directory, 'x'.repeat(300))))),
      'file name too long',
    );
    assert.equal(systemErrorText(failure(() => readFileSync(directory))), 'is a directory');
    assert.equal(systemErrorText(failure(() => mkdirSync(directory))), 'file exists');
    assert.equal(systemErrorText(failure(() => rmdirSync(directory))), 'directory not empty');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an error that is not a system call keeps its message and has no code', () => {
  assert.equal(systemErrorText(new Error('other')), 'other');
  assert.equal(systemErrorText('text'), 'text');
  assert.equal(systemErrorCode(new Error('other')), undefined);
  assert.equal(systemErrorCode(failure(() => statSync('/no/such/file'))), 'ENOENT');
});

test('a message says which call failed on what, as in Go', async () => {
  const failureTo = async (where: NetConnectOpts): Promise<unknown> => {
    const connecting = connect(where);
    return await new Promise((resolve) => connecting.once('error', resolve));
  };
  const missing = await failureTo({ path: '/no/such/socket' });
  const port = await freePort();
  const refused = await failureTo({ host: '127.0.0.1', port });

  assert.equal(
    systemErrorMessage(failure(() => readFileSync('/no/such'))),
    'open /no/such: no such file or directory',
  );
  assert.equal(
    systemErrorMessage(failure(() => renameSync('/no/such', '/no/other'))),
    'rename /no/such /no/other: no such file or directory',
  );
  assert.equal(systemErrorMessage(missing), 'dial unix /no/such/socket: connect: no such file or directory');
  assert.equal(systemErrorMessage(refused), `dial tcp 127.0.0.1:${port}: connect: connection refused`);
  assert.equal(systemErrorMessage(new Error('other')), undefined);
});
