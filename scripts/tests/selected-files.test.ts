import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectFiles } from './selected-files.ts';

const FILES = [
  'src/base/a.test.ts',
  'src/git/diff/in-process/hunks.test.ts',
  'src/git/diff/numstat.test.ts',
  'src/git/differ.test.ts',
  'test/diff/a.test.ts',
];

for (const [name, selections, expected] of [
  ['everything, without a name', [], FILES],
  ['a file', ['src/git/differ.test.ts'], [FILES[3]]],
  ['the files of a directory', ['./test/diff/'], [FILES[4]]],
  ['a module', ['--module=git'], FILES.slice(1, 4)],
  ['a folder of a module, and not what begins with its name', ['--module=git/diff'], FILES.slice(1, 3)],
  ['a module with a slash at its end', ['--module=base/'], [FILES[0]]],
  ['several at once', ['--module=base', 'test/diff/a.test.ts'], [FILES[0], FILES[4]]],
] as const) {
  test(`a run selects ${name}`, () => {
    const selection = selectFiles(FILES, selections);

    assert.deepEqual('files' in selection ? [...selection.files] : selection, expected);
  });
}

for (const [name, selection, expected] of [
  ['of a module', '--module=gti/diff', /^there is no test in src\/gti\/diff; .* one of base, git, or/],
  ['outside of src', '--module=../test/diff', /^there is no test in src\/\.\.\/test\/diff;/],
  ['without a module', '--module=', /^there is no test in src\/;/],
  ['of a file', 'src/git/diff.test.ts', /^the class has no file src\/git\/diff\.test\.ts$/],
] as const) {
  test(`a wrong name ${name} is refused`, () => {
    const result = selectFiles(FILES, ['src/base/a.test.ts', selection]);

    assert.match('problem' in result ? result.problem : 'no problem', expected);
  });
}
