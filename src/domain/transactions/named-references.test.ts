import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, namedReferences } from './named-references.ts';

const FILES = { referenceBackend: 'files' } as const;
const OID = 'a'.repeat(40);
const ZEROS = '0'.repeat(40);
const change = (name: string, newOid = OID) => ({ name: Buffer.from(name), newOid });

const namesOf = (names: ReturnType<typeof namedReferences>) => names?.map((name) => name.toString());

test('changes of references that are files name what they lock', () => {
  const changes = [change('refs/heads/a'), change('refs/tags/b')];
  assert.deepEqual(namesOf(namedReferences(FILES, changes)), ['refs/heads/a', 'refs/tags/b']);
});

for (const [what, changes] of [
  ['no change', []],
  ['a deletion', [change('refs/heads/a'), change('refs/heads/b', ZEROS)]],
  ['a change of HEAD', [change('HEAD')]],
  ['many changes', Array.from({ length: 9 }, (_, index) => change(`refs/heads/${index}`))],
  ['a long name', [change(`refs/heads/${'a'.repeat(1024)}`)]],
] as const)
  test(`${what} may lock more than it names`, () => {
    assert.equal(namedReferences(FILES, changes), undefined);
  });

test('references with one lock for all are not named', () => {
  assert.equal(namedReferences({ referenceBackend: 'reftable' }, [change('refs/heads/a')]), undefined);
});

test('the lines of a push are its changes', () => {
  const lines = `${ZEROS} ${OID} refs/heads/a\n${OID} ${ZEROS} refs/heads/with space\n`;
  const changes = changesOf(Buffer.from(lines)).map(({ name, newOid }) => [name.toString(), newOid]);
  assert.deepEqual(changes, [
    ['refs/heads/a', OID],
    ['refs/heads/with space', ZEROS],
  ]);
});

test('no more lines are read than a vote has names', () => {
  const lines = Array.from({ length: 1000 }, (_, index) => `${ZEROS} ${OID} refs/heads/${index}\n`).join('');
  const changes = changesOf(Buffer.from(lines));
  assert.equal(changes.length, 9);
  assert.equal(namedReferences(FILES, changes), undefined);
});
