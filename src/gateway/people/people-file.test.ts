import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';
import { newEd25519Key } from '../ssh/keys/openssh-key.ts';
import { parsePeople } from './people-file.ts';
import { PeopleFileError } from './toml-table.ts';

const PASSWORD = quickPasswordHash('secret');
const TOKEN = `sha256:${'ab'.repeat(32)}`;
const OTHER_TOKEN = `sha256:${'cd'.repeat(32)}`;
const KEY = newEd25519Key('ann@laptop').public;
const OTHER_KEY = newEd25519Key().public;
const RSA_1024 =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7vbqajDwVRZzXVQQRLjgYKHfJbTZQ0x9yKWWMlPqmZHqfQ1jUbm2xT7bAAAAA' +
  'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

test('people have rights, passwords, tokens and keys, and repositories have keys', () => {
  const { accounts, grants, keys } = parsePeople(`
# a comment
[[person]]
name = "ann"
read = true
write = ["/team/", "docs.git"]
password = "${PASSWORD}"
key = [{ name = "laptop", key = "${KEY}" }]
[[person.token]]
name = "ci"
hash = "${TOKEN}"

[[person]]
name = "anonymous"
read = ["public"]

[[deploy_key]]
name = "app-ci"
repository = "team/app"
key = "${OTHER_KEY}"
`);

  const ann = [
    { right: 'read', paths: [] },
    { right: 'write', paths: ['team', 'docs.git'] },
  ];
  assert.deepEqual(grants.get('ann'), ann);
  assert.deepEqual(accounts.passwords.get('ann')?.grants, ann);
  assert.deepEqual(
    [...accounts.tokens.values()].map(({ name, tokenName }) => [name, tokenName]),
    [['ann', 'ci']],
  );
  assert.deepEqual(accounts.anonymous, [{ right: 'read', paths: ['public'] }]);
  const facts = [...keys.values()].map(({ data: _, ...key }) => key);
  const rest = { isReadOnly: false, paths: [], isDeployKey: false };
  const deployed = [{ right: 'read', paths: ['team/app.git'] }];
  assert.deepEqual(facts, [
    { ...rest, holder: 'ann', name: 'laptop', grants: ann },
    {
      ...rest,
      holder: 'app-ci',
      name: 'app-ci',
      grants: deployed,
      paths: ['team/app.git'],
      isDeployKey: true,
    },
  ]);
});

test('a key may be limited to reading and to repositories, and a deploy key may write', () => {
  const { keys } = parsePeople(`
[[person]]
name = "ann"
write = true
[[person.key]]
name = "backup"
key = "${KEY}"
access = "read"
repositories = ["/docs/", "team/app.git"]
[[deploy_key]]
name = "ci"
repository = "team/app.git"
access = "write"
key = "${OTHER_KEY}"
`);

  assert.deepEqual(
    [...keys.values()].map(({ name, isReadOnly, paths }) => [name, isReadOnly, paths]),
    [
      ['backup', true, ['docs', 'team/app.git']],
      ['ci', false, ['team/app.git']],
    ],
  );
  assert.deepEqual([...keys.values()][1]?.grants, [{ right: 'write', paths: ['team/app.git'] }]);
  const writing = parsePeople(key('access = "write"')).keys;
  assert.deepEqual(
    [...writing.values()].map(({ isReadOnly, paths }) => [isReadOnly, paths]),
    [[false, []]],
  );
});

const person = (lines: string): string => `[[person]]\nname = "ann"\n${lines}`;
const key = (lines: string, text = KEY): string =>
  person(`[[person.key]]\nname = "k"\nkey = "${text}"\n${lines}`);

const WRONG: readonly (readonly [file: string, problem: RegExp])[] = [
  ['[[person]]\nname = ', /^line 2: Invalid TOML document/],
  ['[[persons]]\nname = "ann"', /^line 1: "persons": there is no such key; did you mean "person"\?$/],
  ['person = 1', /^line 1: "person": expected tables \[\[person\]\]$/],
  ['person = [1]', /^line 1: expected a table$/],
  ['[[person]]\nread = true', /^line 1: "name" is missing$/],
  [person('reed = true'), /^line 3: "reed": there is no such key; did you mean "read"\?$/],
  [person('read = "team"'), /^line 3: "read": expected a list of texts$/],
  [person('read = []'), /^line 3: "read": expected true, or a list of paths$/],
  [person('read = false'), /^line 3: "read": expected a list of texts$/],
  [person('admin = ["team"]'), /^line 3: "admin": expected true: it is a right to the whole server$/],
  [person('read = ["team/**"]'), /^line 3: "read": a path has no patterns: it covers all below it$/],
  [person('read = ["../x"]'), /^line 3: "read": The path has a name that starts with a dot\.$/],
  [person('read = [""]'), /^line 3: "read": The path has an empty name in it\.$/],
  [person('password = "secret"'), /^line 3: "password": expected a hash \$scrypt\$…$/],
  [person(`password = "${TOKEN}"`), /^line 3: "password": expected a hash \$scrypt\$…$/],
  [person('password = 1'), /^line 3: "password": expected a text$/],
  [
    person(`[[person.token]]\nname = "a"\nhash = "${PASSWORD}"`),
    /^line 5: "hash": expected a hash sha256:…$/,
  ],
  [
    person(`token = [{ name = "a", hash = "${TOKEN}" }, { name = "a", hash = "${OTHER_TOKEN}" }]`),
    /^line 3: "name": this person has another a$/,
  ],
  [
    person(`token = [{ name = "a", hash = "${TOKEN}" }, { name = "b", hash = "${TOKEN}" }]`),
    /^line 3: "hash": there is another such token; create one for each$/,
  ],
  [`${person('')}\n${person('')}`, /^line 5: "name": there is another ann$/],
  ['[[person]]\nname = "a b"', /^line 2: "name": a name has at most 128 characters/],
  ['[[person]]\nname = "anonymous"\nadmin = true', /^line 3: "admin": anonymous is everybody/],
  [key('access = "admin"'), /^line 6: "access": expected read or write$/],
  [key('repositories = []'), /^line 6: "repositories": the list is empty/],
  [key('', 'ssh-dss AAAA'), /^line 5: "key": keys of type ssh-dss are not accepted$/],
  [key('', RSA_1024), /^line 5: "key": RSA keys need at least 2048 bits$/],
  [key('', `from=\\"10.0.0.1\\" ${KEY}`), /^line 5: "key": this server cannot enforce the option from$/],
  [key('', ''), /^line 5: "key": expected one public key$/],
  [
    `${key('')}\n[[person]]\nname = "bob"\n${key('').split('\n').slice(2).join('\n')}`,
    /^line 11: "key": ann has the same key \(k\)$/,
  ],
  [
    `${key('')}\n[[deploy_key]]\nname = "ann"\nrepository = "a"\nkey = "${OTHER_KEY}"`,
    /^line 8: "name": there is another ann$/,
  ],
  [`[[deploy_key]]\nname = "ci"\nkey = "${KEY}"`, /^line 1: "repository" is missing$/],
];

for (const [file, problem] of WRONG)
  test(`a file of people is refused: ${problem.source}`, () => {
    assert.throws(
      () => parsePeople(file),
      (error) => error instanceof PeopleFileError && problem.test(error.message),
    );
  });

test('the refusal of a file repeats none of its hashes', () => {
  for (const text of [person(`password = "${TOKEN}"`), person(`password = "${PASSWORD}" x`)])
    assert.throws(
      () => parsePeople(text),
      (error) => error instanceof PeopleFileError && !/abab|scrypt\$ln/.test(error.message),
    );
});
