import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { replaceMethod } from '#testkit/replace-method';
import { until } from '#testkit/until';
import { NoPasswordError, readPassword } from './read-password.ts';

/** Reads a password from an input. @returns it, and what was printed for the person. */
async function read(context: TestContext, input: string, isTTY?: boolean) {
  const printed: string[] = [];
  replaceMethod(context, process.stderr, 'write', (text) => printed.push(String(text)) > 0);
  const stdin = Object.assign(new PassThrough(), isTTY === undefined ? {} : { isTTY });
  stdin.end(input);
  const password = await readPassword(stdin);
  return { password, printed: printed.join('') };
}

test('a password is the first line of the input', async (context) => {
  for (const input of ['s3cret\n', 's3cret', 's3cret\r\n', 's3cret\nmore\n'])
    assert.deepEqual(await read(context, input), { password: 's3cret', printed: '' });
});

test('a terminal gets a question, and does not show the password', async (context) => {
  assert.deepEqual(await read(context, 's3cret\r', true), { password: 's3cret', printed: 'Password: \n' });
});

test('a password does not wait for the end of the input', async () => {
  const stdin = new PassThrough();
  stdin.write('s3cret\n');
  let password: string | undefined;
  void readPassword(stdin).then((line) => {
    password = line;
  });

  await until(() => password === 's3cret');
});

test('an input without a line has no password', async (context) => {
  for (const input of ['', '\n', '\nmore\n']) await assert.rejects(read(context, input), NoPasswordError);
});
