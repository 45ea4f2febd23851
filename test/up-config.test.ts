import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs, startUp } from './start-up.ts';

const scratch = makeScratchDirectory('up-config');
after(() => rmSync(scratch, { recursive: true }));
let files = 0;

/** Writes a file of options in a directory of its own, and returns its path. */
function fileWith(text: string): string {
  const directory = join(scratch, String(files++));
  mkdirSync(directory);
  const path = join(directory, 'up.toml');
  writeFileSync(path, text);
  return path;
}

test('up takes its options from a file, with paths relative to it; those given win', async () => {
  const path = fileWith(
    'directory = "repositories-of-a-team"\nhttp = "127.0.0.1:1"\nconsole = false\nworkers = 1\n' +
      'http_host = ["git.example.com"]\nauth_file = "users"\n',
  );
  const { stdout: line } = await gitalyTs(['hash-password', 'ann', '--write'], 'secret\n');
  writeFileSync(join(path, '../users'), line);

  await using up = await startUp({ args: ['--config', path, '--http', '127.0.0.1:0'] });
  const url = up.report.http.replace('://', '://ann:secret@');
  await runGit(['clone', '-q', `${url}/hello.git`, join(path, '../clone')]);

  assert.equal(up.report.directory, join(path, '../repositories-of-a-team'));
  assert.equal(up.report.console, undefined);
  await assert.rejects(runGit(['ls-remote', `${up.report.http}/hello.git`]), /could not read Username/);
});

test('the argument of the command wins over the directory of the file', async () => {
  const path = fileWith('directory = "one"\nhttp = "127.0.0.1:0"\n');

  await using up = await startUp({ args: [join(path, '../other'), '--config', path] });

  assert.equal(up.report.directory, join(path, '../other'));
});

const REFUSED = [
  { text: 'htpp = "127.0.0.1:0"', expected: /:1: htpp: this key does not exist; did you mean "http"\?/ },
  { text: 'auth-file = "users"', expected: /:1: auth-file: this key .*; did you mean "auth_file"\?/ },
  { text: 'http = 8080', expected: /:1: http: expected a string: "<host:port>"/ },
  { text: '\ntokens = "yes"', expected: /:2: tokens: expected true or false/ },
  { text: 'trusted_proxy = "10.0.0.0/8"', expected: /:1: trusted_proxy: expected an array of strings/ },
  { text: 'workers = 300', expected: /:1: workers: expected auto, or a number from 1 to 256/ },
  { text: 'token = "abc"', expected: /:1: token: write the secret in a file, and use token_file/ },
  { text: 'auth_url = "http://me:pw@localhost/"', expected: /:1: auth_url: write no password in this file/ },
  { text: 'database = "postgresql:///x?password=y"', expected: /:1: database: write no password/ },
  { text: 'config = "other.toml"', expected: /:1: config: this key does not exist/ },
  { text: '[http]\nlisten = "x"', expected: /:1: http: expected a string/ },
  { text: 'http = "127.0.0.1:0"\nssh = ', expected: /:2: not valid TOML/ },
  { text: 'http = "0.0.0.0:0"', expected: /other machines can reach this address/ },
  { text: 'auth_file = "missing"', expected: /--auth-file .*missing: ENOENT/ },
] as const;
for (const { expected, text } of REFUSED) {
  test(`neither up nor config check accept ${JSON.stringify(text)}`, async () => {
    const path = fileWith(text);

    const [check, up] = await Promise.all([
      gitalyTs(['config', 'check', path]),
      gitalyTs(['up', '--config', path]),
    ]);

    assert.equal(check.code, 1);
    assert.match(check.stderr, expected);
    assert.notEqual(up.code, 0);
    assert.match(up.stderr, expected);
    assert.deepEqual(readdirSync(join(path, '..')), ['up.toml']);
  });
}

test('config check prints all problems with their lines, and creates nothing', async () => {
  const wrong = fileWith('htpp = 1\nssh = 22\n\njson = "no"\n');
  const two = fileWith('ssh = "nowhere"\nwebhook = "ftp://x"\ntokens = true\n');
  const good = fileWith('directory = "d"\ntokens = true\nhttp = "0.0.0.0:0"\n');

  const results = await Promise.all(
    [wrong, two, good].map((path) => gitalyTs(['config', 'check', '--json', path])),
  );

  const problems = results.map(
    ({ stdout }) => JSON.parse(stdout).problems as { line?: number; message: string }[],
  );
  assert.deepEqual(
    problems[0]?.map(({ line }) => line),
    [1, 2, 4],
  );
  assert.equal(problems[1]?.length, 2);
  assert.deepEqual(problems[2], []);
  assert.deepEqual(
    results.map(({ code }) => code),
    [1, 1, 0],
  );
  assert.deepEqual(readdirSync(join(good, '..')), ['up.toml']);
});
