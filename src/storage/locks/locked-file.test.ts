import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openFilesBelow } from '#testkit/measure/open-files';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { replaceLocked } from './locked-file.ts';
import { LockTakenError } from './repository-lock.ts';

const OLD = 'old content';
const NEW = Buffer.from('new content');

function file(context: TestContext): string {
  const directory = makeScratchDirectory('locked');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(`${directory}/file`, OLD);
  return `${directory}/file`;
}

const contentsOf = (name: string) => [readFileSync(name, 'utf8'), ...readdirSync(path.dirname(name))];

test('a file is replaced and the lock is gone', async (context) => {
  const name = file(context);

  await replaceLocked(name, NEW, { mode: 0o640 });

  assert.deepEqual(contentsOf(name), [NEW.toString(), 'file']);
  assert.equal(statSync(name).mode & 0o777, 0o640);
});

test('a file that is locked stays as it is', async (context) => {
  const name = file(context);
  writeFileSync(`${name}.lock`, '');

  await assert.rejects(replaceLocked(name, NEW, { mode: 0o644 }), LockTakenError);

  assert.deepEqual(contentsOf(name), [OLD, 'file', 'file.lock']);
});

test('the nodes vote on the content while the file is locked and when it is replaced', async (context) => {
  const name = file(context);
  const votes: string[] = [];

  await replaceLocked(name, NEW, {
    mode: 0o644,
    vote: async (phase, hash) => {
      votes.push(`${phase} ${Buffer.from(hash).toString('hex')} ${contentsOf(name)}`);
    },
  });

  const sha1 = (text: string | Buffer) => createHash('sha1').update(text).digest('hex');
  assert.deepEqual(votes, [
    `preparing ${sha1('preparing commit locked file')} ${OLD},file,file.lock`,
    `prepared ${sha1(NEW)} ${OLD},file,file.lock`,
    `committed ${sha1(NEW)} ${NEW},file`,
  ]);
});

test('a lost vote leaves the file as it is', async (context) => {
  const name = file(context);
  const vote = async () => {
    throw new Error('transaction was aborted');
  };

  await assert.rejects(replaceLocked(name, NEW, { mode: 0o644, vote }), {
    code: 'FAILED_PRECONDITION',
    message: 'preimage vote: transaction was aborted',
  });

  assert.deepEqual(contentsOf(name), [OLD, 'file']);
});

test('content made under the lock replaces the file, and a failure leaves it', async (context) => {
  const name = file(context);

  await replaceLocked(
    name,
    async () => Buffer.concat([readFileSync(name), readFileSync(`${name}.lock`), NEW]),
    {
      mode: 0o644,
    },
  );
  assert.deepEqual(contentsOf(name), [OLD + NEW.toString(), 'file']);

  const failing = replaceLocked(name, () => Promise.reject(new Error('no content')), { mode: 0o644 });
  await assert.rejects(failing, { message: 'no content' });
  assert.deepEqual(contentsOf(name), [OLD + NEW.toString(), 'file']);
});

test('the lock is closed, whether the file is replaced or not', async (context) => {
  const name = file(context);

  for (let attempt = 0; attempt < 3; attempt++) {
    await replaceLocked(name, NEW, { mode: 0o644 });
    await assert.rejects(replaceLocked(name, () => Promise.reject(new Error('none')), { mode: 0o644 }));
  }

  assert.equal(openFilesBelow(path.dirname(name)), 0);
});

test('a lock that somebody else has taken during a vote is theirs', async (context) => {
  const name = file(context);
  const replace = replaceLocked(name, NEW, {
    mode: 0o644,
    vote: async (phase) => {
      if (phase !== 'prepared') return;
      rmSync(`${name}.lock`);
      writeFileSync(`${name}.lock`, 'of another');
    },
  });

  await assert.rejects(replace, LockTakenError);

  assert.deepEqual(contentsOf(name), [OLD, 'file', 'file.lock']);
  assert.equal(readFileSync(`${name}.lock`, 'utf8'), 'of another');
});
