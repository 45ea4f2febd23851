import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rightAt } from '#gateway/rights';
import { AuthFileError, formatAuthLine, parseAuthFile } from './auth-file.ts';

const TOKEN = `sha256:${'ab'.repeat(32)}`;
const OTHER_TOKEN = `sha256:${'cd'.repeat(32)}`;
const PASSWORD = `$scrypt$ln=15,r=8,p=3$${'A'.repeat(22)}$${'A'.repeat(43)}`;
const OTHER_PASSWORD = `$scrypt$ln=15,r=8,p=3$${'B'.repeat(22)}$${'A'.repeat(43)}`;

test('lines with the same name and secret are combined; comments and blank lines are ignored', () => {
  const file = parseAuthFile(
    `# people\r\n\n  ann\twrite ${PASSWORD} team/\r\nann read ${PASSWORD}\nann read ${TOKEN}\n` +
      'anonymous read - docs\n',
  );

  assert.deepEqual(file.passwords.get('ann')?.grants, [
    { right: 'write', paths: ['team'] },
    { right: 'read', paths: [] },
  ]);
  assert.deepEqual(
    [...file.tokens.values()].map(({ grants, name }) => [name, grants]),
    [['ann', [{ right: 'read', paths: [] }]]],
  );
  assert.deepEqual(file.anonymous, [{ right: 'read', paths: ['docs'] }]);
});

const WRONG = [
  ['ann write', /line 1: expected NAME read\|write\|admin HASH/],
  [`ann:x write ${TOKEN}`, /line 1: a name has at most 128 characters/],
  [`ann owner ${TOKEN}`, /the second column must be read, write or admin/],
  [`ann admin ${TOKEN} team`, /admin is a right to the whole server/],
  ['anonymous admin -', /admin is a right to the whole server/],
  ['\nann write hunter2', /line 2: the hash is not of a known kind \(\$scrypt\$… or sha256:…\)/],
  [`ann write ${TOKEN} %zz`, /a path is not valid percent-encoded UTF-8/],
  [`anonymous read ${TOKEN}`, /anonymous has no password/],
  [`ann write ${PASSWORD}\nann write ${OTHER_PASSWORD}`, /line 2: this name has a second password/],
  [`ann write ${TOKEN}\nbob write ${TOKEN}`, /line 2: another name has the same token/],
] as const;

for (const [text, message] of WRONG) {
  test(`${JSON.stringify(text.slice(0, 40))} is refused with its line, without its secret`, () => {
    assert.throws(
      () => parseAuthFile(text),
      (error) =>
        error instanceof AuthFileError &&
        message.test(error.message) &&
        !/hunter2|abab|AAAA/.test(error.message),
    );
  });
}

test('a name may have a password and any number of tokens', () => {
  const file = parseAuthFile(`ann write ${PASSWORD}\nann read ${TOKEN}\nann read ${OTHER_TOKEN}`);

  assert.deepEqual([file.passwords.size, file.tokens.size], [1, 2]);
});

test('a formatted line can be parsed, and values that no line can hold are refused', () => {
  const line = formatAuthLine('ann', 'write', TOKEN, ['team/a b', 'grün%']);

  assert.deepEqual([...parseAuthFile(line).tokens.values()][0]?.grants, [
    { right: 'write', paths: ['team/a b', 'grün%'] },
  ]);
  for (const name of ['', 'ann b', 'ann:b', '#ann', 'anonymous']) {
    assert.throws(() => formatAuthLine(name, 'read', TOKEN, []), AuthFileError);
  }
});

const RIGHTS = [
  ['', 'any/thing.git', 'write'],
  ['/', 'any/thing.git', 'write'],
  ['team', 'team/app.git', 'write'],
  ['team/', 'team/sub/app.git', 'write'],
  ['team/app', 'team/app.git', 'write'],
  ['team/app.git', 'team/app.git', 'write'],
  ['gr%C3%BCn%20x', 'grün x/a.git', 'write'],
  ['team', 'teams/app.git', undefined],
  ['team/app', 'team/app2.git', undefined],
  ['team/app.git', 'team/app.git.git', undefined],
  ['other', 'team/app.git', undefined],
] as const;

for (const [path, repository, right] of RIGHTS) {
  test(`a right on ${JSON.stringify(path)} is ${right ?? 'none'} at ${repository}`, () => {
    const [account] = parseAuthFile(`ann write ${TOKEN} ${path}`).tokens.values();

    assert.equal(rightAt(account?.grants ?? [], repository), right);
  });
}

test('the widest of the matching rights is used', () => {
  const grants = [
    { right: 'read', paths: [] },
    { right: 'write', paths: ['team'] },
  ] as const;

  assert.equal(rightAt(grants, 'team/a.git'), 'write');
  assert.equal(rightAt(grants, 'a.git'), 'read');
});
