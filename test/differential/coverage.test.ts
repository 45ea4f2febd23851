import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { callName } from '#client/call/typed-client';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import { callingTests } from '../../scripts/rpc-calls.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Services and methods whose answers no single git command gives, by the reason. */
const NOT_ASKED: Readonly<Record<string, RegExp>> = {
  'a conversation of git, compared in tests of its service': /^(SSH|SmartHTTP|Hook)Service\//,
  'about the server, not about objects and references':
    /^(Server|Namespace|Partition|Raft|InternalGitaly|Backup)/,
  'about another server': /^RemoteService\//,
  'about pools, which this repository has none of': /^ObjectPoolService\//,
  'linguist and licences are no part of git': /CheckBlobsGenerated|CommitLanguages|FindLicense/,
  'the repositories have no signatures and no LFS pointers': /Signatures$|LFSPointers$/,
  'the rules of gollum are no part of git': /^WikiService\//,
  'needs two sides of a conflict': /ListConflictFiles/,
  'compared as RawRangeDiff': /\/RangeDiff$/,
  'sizes and facts about files, compared in a test of the service':
    /RepositorySize|RepositoryInfo|GetObjectDirectorySize/,
  'copies of files outside of objects':
    /CustomHooks|GetSnapshot|GetConfig|GetInfoAttributes|FullPath|BackupRepository/,
  'streams of git, compared in a test of the service':
    /GetArchive|CreateBundle|FastExport|GenerateBundleURI|Fsck|GetFileAttributes|GetRawChanges|SearchFilesByContent/,
};

test('the differential test asks every reading call whose answer git gives', () => {
  const compatibility = readFileSync(join(ROOT, 'docs/compatibility.md'), 'utf8');
  const methods = gitalyServices
    .flatMap((service) => service.methods.map((method) => methodInfo(method)))
    .filter(
      ({ operation, name }) =>
        operation === 'accessor' && new RegExp(`^\\| ${name} \\|.* served \\|`, 'm').test(compatibility),
    );
  const calls = callingTests(
    ROOT,
    methods.map((method) => ({ path: method.path, localName: callName(method) })),
    ['test/differential.test.ts', 'test/differential/*.ts'],
  );

  const missing = methods
    .filter(({ path }) => calls.get(path)?.includes('test/differential.test.ts') !== true)
    .map(({ path }) => path.replace('/gitaly.', ''))
    .filter((name) => !Object.values(NOT_ASKED).some((pattern) => pattern.test(name)));

  assert.ok(methods.length > 100);
  assert.deepEqual(missing, []);
});
