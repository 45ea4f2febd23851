import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { FrameType } from '#rpc/common/http2/frame';
import { findAuthority, kindOfAuthority, replaceAuthority } from './find-authority.ts';
import { FrameScanner, headerBlock } from './frame-scanner.ts';

const PREFACE_BYTES = 24;

/** Returns the first block of headers that Node's client sends. */
async function blockOf(headers: Record<string, string>): Promise<Buffer> {
  const [near, far] = duplexPair();
  const session = connect('http://localhost', { createConnection: () => near });
  session.on('error', () => {});
  session.request({ ':method': 'POST', ':path': '/gitaly.X/Y', ...headers }).on('error', () => {});
  const scanner = new FrameScanner();
  let toSkip = PREFACE_BYTES;
  for await (const chunk of far) {
    const bytes: Buffer = chunk;
    const rest = bytes.subarray(toSkip);
    toSkip = Math.max(0, toSkip - bytes.length);
    for (const frame of scanner.add(rest)) {
      if (frame.type !== FrameType.HEADERS) continue;
      session.destroy();
      return headerBlock(frame);
    }
  }
  return assert.fail('no headers');
}

for (const authority of [
  'localhost',
  'localhost:8075',
  'localhost/x',
  'localhosts',
  'unix:/var/run/gitaly.socket',
  '/tmp/a b',
  '~~~~~~~~',
  'x'.repeat(300),
]) {
  test(`the authority ${JSON.stringify(authority.slice(0, 40))} is found and replaced in place`, async () => {
    const block = await blockOf({
      ':authority': authority,
      'x-first': 'value',
      'content-type': 'application/grpc',
    });
    const { length } = block;

    const found = findAuthority(block);

    assert.ok(found !== undefined);
    assert.equal(kindOfAuthority(block, found), /[ /]/.test(authority) ? 'to-replace' : 'accepted');
    if (!found.isHuffman) assert.equal(block.toString('latin1', found.valueStart, found.valueEnd), authority);
    replaceAuthority(block, found);
    const replaced = findAuthority(block);
    assert.equal(replaced?.isHuffman, false);
    assert.match(block.toString('latin1', replaced?.valueStart, replaced?.valueEnd), /^x+$/);
    assert.equal(block.length, length);
  });
}

test('an authority with a name of its own in the block is found', async () => {
  for (const name of ['0a3a617574686f72697479', '88b83b5339ec327d7f']) {
    const block = Buffer.from(`8300${name}022f78`, 'hex');
    const found = findAuthority(block);
    assert.equal(found && block.toString('latin1', found.valueStart, found.valueEnd), '/x', name);
  }
});

test('control characters are left for the parser to refuse, tabs and bytes above 127 are not', () => {
  for (const [value, kind] of [
    ['\0', 'refused'],
    ['\n', 'refused'],
    ['a/\x7f', 'refused'],
    ['\t', 'to-replace'],
    ['\xff', 'to-replace'],
    ['', 'accepted'],
  ] as const) {
    const bytes = Buffer.from(value, 'latin1');
    const block = Buffer.concat([Buffer.of(1, bytes.length), bytes]);
    const found = findAuthority(block);
    assert.ok(found !== undefined);
    assert.equal(kindOfAuthority(block, found), kind, JSON.stringify(value));
  }
});

test('an authority that is not in the code of Huffman is left for the parser to refuse', () => {
  const block = Buffer.from('0182ffff', 'hex'); // padding of 16 bits
  const found = findAuthority(block);
  assert.ok(found?.isHuffman);
  assert.equal(kindOfAuthority(block, found), 'refused');
});

test('blocks without a literal authority, and those that make no sense, have none', () => {
  for (const hex of [
    '',
    '82',
    '81',
    '828684be',
    '41',
    '4185',
    '7fffffffffff',
    '41ffffffffffff',
    '3fe11f82',
    '0000',
  ]) {
    assert.equal(findAuthority(Buffer.from(hex, 'hex')), undefined, hex);
  }
});

test('a change of the table and headers with names of their own stand before it', () => {
  const block = Buffer.concat([
    Buffer.from('203fe11f', 'hex'), // to 0 and to 4096
    Buffer.from([0x40, 1, 'a'.charCodeAt(0), 1, 'b'.charCodeAt(0)]),
    Buffer.from([0x10, 1, 'c'.charCodeAt(0), 0]),
    Buffer.from([0x01, 2]),
    Buffer.from('/x'),
  ]);

  const found = findAuthority(block);

  assert.equal(found && block.toString('latin1', found.valueStart, found.valueEnd), '/x');
});
