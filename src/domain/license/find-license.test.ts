import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commitFiles, type NewFile } from '#testkit/repositories/commit-files';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { findLicense } from './find-license.ts';

const { signal } = new AbortController();
const PACKAGES = join(import.meta.dirname, '../../../node_modules');
/** Texts on Debian, with the SPDX identifiers of their names. */
const DEBIAN = '/usr/share/common-licenses';
const DEBIAN_NAMES: Readonly<Record<string, string>> = {
  'Apache-2.0': 'apache-2.0',
  Artistic: 'artistic-1.0-perl',
  BSD: 'bsd-3-clause',
  'CC0-1.0': 'cc0-1.0',
  'GPL-1': 'gpl-1.0+',
  'GPL-2': 'gpl-2.0+',
  'GPL-3': 'gpl-3.0+',
  'LGPL-2': 'lgpl-2.0',
  'LGPL-2.1': 'lgpl-2.1',
  'LGPL-3': 'other',
  'MPL-1.1': 'mpl-1.1',
  'MPL-2.0': 'mpl-2.0',
};
/** Files with more than the license that their package names. */
const WITH_OTHER_TEXTS = new Set([
  ...['argparse', 'bcrypt-pbkdf', 'exsolve', 'json-schema-typed', 'marked', 'protobufjs', 'rc9'],
]);
/** Files with several licenses: Gitaly 18.9 answers with the first one, this server with another. */
const DIFFERENT = new Set(['giget']);
/** Answers of Gitaly 19.0 for files that name another license by its address, or have its words. */
const ANSWERS: Readonly<Record<string, string>> = { 'lodash.camelcase': 'cc0-1.0', bowser: 'mitnfa' };

const LICENSE_FILE = /^licen[sc]e(?:\.md|\.txt)?$/i;

interface Package {
  readonly name: string;
  readonly license: string;
  readonly text: string;
}

/** Lists the installed packages that name their license and contain its text, with each text once. */
function packages(): Package[] {
  const names = readdirSync(PACKAGES).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(PACKAGES, name)).map((part) => `${name}/${part}`) : [name],
  );
  const seen = new Set<string>();
  return names.sort().flatMap((name) => {
    const directory = join(PACKAGES, name);
    if (!existsSync(join(directory, 'package.json'))) return [];
    const { license = '' } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const file = readdirSync(directory).find((entry) => LICENSE_FILE.test(entry));
    if (file === undefined || DIFFERENT.has(name) || !/^[\w.-]+$/.test(license)) return [];
    const text = readFileSync(join(directory, file), 'utf8');
    if (seen.has(text)) return [];
    seen.add(text);
    return [{ name, license: license.toLowerCase(), text }];
  });
}

async function licenseOf(fixture: StorageFixture, files: Readonly<Record<string, NewFile>>) {
  const repository = fixture.storages.open({ storageName: 'default', relativePath: 'x.git' });
  return await findLicense(repository, commitFiles(repository.path, files), signal);
}

test('the license files of npm packages have the license that the package names', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git');
  const all = packages();
  assert.ok(all.length > 40, `${all.length} packages`);

  for (const { name, license, text } of all) {
    const found = await licenseOf(fixture, { LICENSE: text });
    const expected = WITH_OTHER_TEXTS.has(name) ? 'other' : license === 'isc' ? '0bsd' : license;
    assert.equal(found?.shortName, ANSWERS[name] ?? expected, name);
  }
});

test('the Apache license without its appendix is not taken for another one', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git');
  const whole = readFileSync(join(PACKAGES, '@opentelemetry/api/LICENSE'), 'utf8');
  const [terms = ''] = whole.split('END OF TERMS');
  assert.ok(terms.length > 5000 && terms.length < whole.length);

  const found = await licenseOf(fixture, { LICENSE: terms });

  assert.equal(found?.shortName, 'apache-2.0'); // as Gitaly 19.0 answers
});

describe('texts of the operating system', { skip: !existsSync(DEBIAN) && 'no such texts here' }, () => {
  for (const [name, expected] of Object.entries(DEBIAN_NAMES)) {
    test(name, { skip: !existsSync(join(DEBIAN, name)) && 'no such texts here' }, async () => {
      await using fixture = await StorageFixture.create();
      fixture.init('x.git');

      const found = await licenseOf(fixture, { COPYING: readFileSync(join(DEBIAN, name)) });

      assert.equal(found?.shortName, expected);
      assert.equal(found?.path, 'COPYING');
    });
  }
});

test('the text of a GPL decides whether "or later" belongs to its name', async (context) => {
  if (!existsSync(join(DEBIAN, 'GPL-3'))) return context.skip('no such texts here');
  await using fixture = await StorageFixture.create();
  fixture.init('x.git');
  const [two, three] = ['GPL-2', 'GPL-3'].map((name) => readFileSync(join(DEBIAN, name), 'utf8'));
  const nameOf = async (text = '') => {
    const found = await licenseOf(fixture, { LICENSE: text });
    return [found?.shortName, found?.nickname];
  };

  assert.deepEqual(await nameOf(two?.replaceAll(/[<>]/g, '')), ['gpl-2.0', 'GNU GPLv2']);
  assert.deepEqual(await nameOf(three?.replaceAll('https:', 'http:')), ['gpl-3.0', 'GNU GPLv3']);
  assert.deepEqual(await nameOf(three?.replaceAll(/[<>]/g, '')), ['gpl-3.0+', '']);
});

describe('choice of a file', () => {
  const mit = readFileSync(join(PACKAGES, 'fast-check/LICENSE'), 'utf8');
  const apache = readFileSync(join(PACKAGES, '@grpc/grpc-js/LICENSE'), 'utf8');
  const other = 'All rights reserved. Ask us.';
  const cases: Record<string, { files: Record<string, NewFile>; expected: [string, string] | undefined }> = {
    'no file': { files: { 'main.c': mit }, expected: undefined },
    'a README is never read': { files: { README: mit, 'readme.md': mit }, expected: undefined },
    'a directory': { files: { 'LICENSE/MIT': mit }, expected: undefined },
    'only the top directory': { files: { 'sub/LICENSE': mit }, expected: undefined },
    'an unknown text': { files: { LICENSE: other }, expected: ['other', 'LICENSE'] },
    'an empty file': { files: { COPYING: '' }, expected: ['other', 'COPYING'] },
    'a usual name first': {
      files: { 'LICENSE-MIT': mit, COPYING: apache },
      expected: ['apache-2.0', 'COPYING'],
    },
    'a known text first': { files: { LICENSE: other, 'COPYING.txt': mit }, expected: ['mit', 'COPYING.txt'] },
    'two licenses in two files': {
      files: { 'LICENSE-APACHE': apache, 'LICENSE-MIT': mit },
      expected: ['mit', 'LICENSE-MIT'],
    },
    'two licenses in one file': {
      files: { LICENSE: mit + apache.slice(0, 2000) },
      expected: ['other', 'LICENSE'],
    },
    'the address of a license': {
      files: { 'LICENSE-3RD-PARTY.md': 'Icons: [Apache](https://www.apache.org/licenses/LICENSE-2.0.html).' },
      expected: ['apache-2.0', 'LICENSE-3RD-PARTY.md'],
    },
    'the address of an organisation': {
      files: { LICENSE: 'See http://www.apache.org/licenses/ and https://opensource.org/' },
      expected: ['other', 'LICENSE'],
    },
    'the address of the GPL': {
      files: { LICENSE: 'https://www.gnu.org/licenses/old-licenses/gpl-2.0-standalone.html' },
      expected: ['gpl-2.0', 'LICENSE'],
    },
    'half of a license': { files: { LICENSE: mit.slice(0, mit.length / 2) }, expected: ['other', 'LICENSE'] },
    'a link': {
      files: { LICENSE: { mode: '120000', content: 'docs/real' }, 'docs/real': mit },
      expected: ['mit', 'docs/real'],
    },
    'a link to nothing': {
      files: { LICENSE: { mode: '120000', content: '../../etc/passwd' } },
      expected: undefined,
    },
    'another layout': {
      files: { 'LICENCE.txt': mit.toUpperCase().replaceAll('\n', '\n// ').replaceAll(' ', '  ') },
      expected: ['mit', 'LICENCE.txt'],
    },
    'a huge file': { files: { LICENSE: mit.repeat(2000) }, expected: ['other', 'LICENSE'] },
  };
  for (const [name, { files, expected }] of Object.entries(cases)) {
    test(name, async () => {
      await using fixture = await StorageFixture.create();
      fixture.init('x.git');

      const found = await licenseOf(fixture, files);

      assert.deepEqual(found && [found.shortName, found.path], expected);
    });
  }
});
