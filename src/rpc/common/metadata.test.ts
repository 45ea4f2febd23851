import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from './metadata.ts';

test('keys are case-insensitive', () => {
  const metadata = Metadata.from({ 'X-Client': 'rails' });

  assert.equal(metadata.get('x-client'), 'rails');
  assert.equal(metadata.get('X-CLIENT'), 'rails');
  assert.deepEqual([...metadata.entries()], [['x-client', 'rails']]);
});

test('a key keeps all its values in order', () => {
  const metadata = Metadata.from({ id: ['1', '2'] });
  metadata.append('id', '3');

  assert.equal(metadata.get('id'), '1');
  assert.equal(metadata.last('id'), '3');
  assert.deepEqual(metadata.getAll('id'), ['1', '2', '3']);
  assert.equal(metadata.last('other'), undefined);
});

test('set replaces and delete removes values', () => {
  const metadata = Metadata.from({ a: ['1', '2'], b: '3' });
  metadata.set('a', '4');
  metadata.delete('b');

  assert.deepEqual([...metadata.entries()], [['a', '4']]);
  assert.equal(metadata.has('b'), false);
});

test('bytes of -bin keys are sent as base64 without padding', () => {
  const metadata = Metadata.from({ 'x-bin': Uint8Array.of(0xff, 0x00) });

  metadata.forEachWire((...pair) => assert.deepEqual(pair, ['x-bin', '/wA']));
  assert.deepEqual(metadata.getBytes('x-bin'), Buffer.of(0xff, 0x00));
});

test('base64 is read with and without padding, and split at commas', () => {
  const metadata = Metadata.fromWire(['x-bin', '/wA=,YWJj', 'x-bin', '/wA']);

  assert.deepEqual(
    [...metadata.entries()],
    [
      ['x-bin', Buffer.of(0xff, 0)],
      ['x-bin', Buffer.from('abc')],
      ['x-bin', Buffer.of(0xff, 0)],
    ],
  );
  assert.equal(metadata.getAll('x-bin')[1], 'abc');
});

test('text in a -bin key is its UTF-8 bytes', () => {
  const metadata = Metadata.from({ 'x-bin': 'grün' });

  assert.equal(metadata.get('x-bin'), 'grün');
  assert.deepEqual(metadata.getBytes('x-bin'), Buffer.from('grün'));
});

test('pseudo headers are not metadata', () => {
  assert.deepEqual([...Metadata.fromWire([':path', '/a/b', 'a', '1']).entries()], [['a', '1']]);
});

test('a clone is independent', () => {
  const metadata = Metadata.from({ a: '1' });
  const clone = Metadata.from(metadata);
  clone.set('a', '2');

  assert.equal(metadata.get('a'), '1');
});

test('invalid keys and values are refused', () => {
  const metadata = Metadata.from();

  assert.throws(() => metadata.set('two words', 'x'), {
    code: 'INTERNAL',
    message: 'header key "two words" contains illegal characters',
  });
  assert.throws(() => metadata.set('username', 'Jörg'), {
    code: 'INTERNAL',
    message: 'header key "username" contains value with non-printable ASCII characters',
  });
  assert.throws(() => metadata.set('a', 'x\r\ny'));
  assert.equal(metadata.isEmpty, true);
});

test('assigning replaces the values of the assigned keys', () => {
  const metadata = Metadata.from({ a: ['1', '2'], b: '3', 'c-bin': Buffer.of(1) });

  metadata.assign({ A: ['4', '5'] });
  metadata.assign(Metadata.from({ b: ['6', '7'], 'c-bin': Buffer.of(2) }));

  assert.deepEqual(metadata.entries(), [
    ['a', '4'],
    ['a', '5'],
    ['b', '6'],
    ['b', '7'],
    ['c-bin', Buffer.of(2)],
  ]);
});

test('a copy without some keys has neither these nor pseudo headers', () => {
  const metadata = Metadata.fromWire([':path', '/x', 'te', 'trailers', 'id', '1', 'x-bin', 'AQ', 'id', '2']);

  const copy = metadata.without(new Set(['te', 'x-bin']));

  assert.deepEqual(copy.entries(), [
    ['id', '1'],
    ['id', '2'],
  ]);
  assert.equal(copy.has(':path'), false);
  assert.equal(metadata.get('te'), 'trailers');
});
