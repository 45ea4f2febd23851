import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { referenceTransactionVote } from './reference-transaction.ts';

const ZERO = '0'.repeat(40);
const OID = 'a'.repeat(40);
const FORCE_DELETION = `${ZERO} ${ZERO} refs/heads/gone\n`;
const CREATION = `${ZERO} ${OID} refs/heads/new\n`;

test('every state but aborted votes on the SHA-1 of what git printed', () => {
  const hash = createHash('sha1').update(CREATION).digest();

  for (const state of ['preparing', 'prepared', 'committed'] as const) {
    assert.deepEqual(referenceTransactionVote(state, Buffer.from(CREATION), 'sha1'), {
      phase: state,
      hash,
    });
  }
  assert.equal(referenceTransactionVote('aborted', Buffer.from(CREATION), 'sha1'), undefined);
});

test('a transaction of nothing but force deletions is not voted on', () => {
  assert.equal(
    referenceTransactionVote('prepared', Buffer.from(FORCE_DELETION + FORCE_DELETION), 'sha1'),
    undefined,
  );
  assert.equal(referenceTransactionVote('prepared', Buffer.from(''), 'sha1'), undefined);
  // A hook's input may lack the last line feed.
  const last = Buffer.from(FORCE_DELETION.trimEnd());
  assert.equal(referenceTransactionVote('prepared', last, 'sha1'), undefined);
  assert.notEqual(
    referenceTransactionVote('prepared', Buffer.from(FORCE_DELETION + CREATION), 'sha1'),
    undefined,
  );
});

test('the zero id has the length of the repository', () => {
  const zero = '0'.repeat(64);

  assert.equal(
    referenceTransactionVote('prepared', Buffer.from(`${zero} ${zero} refs/heads/x\n`), 'sha256'),
    undefined,
  );
  assert.notEqual(referenceTransactionVote('prepared', Buffer.from(FORCE_DELETION), 'sha256'), undefined);
});
