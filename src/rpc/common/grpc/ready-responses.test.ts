import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readyResponses } from './ready-responses.ts';

const MESSAGES = [Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')];
/** Each frame begins with a flag and the length of its message. @see gRPC over HTTP/2 */
const FRAMES = Buffer.from('\0\0\0\0\x03one\0\0\0\0\0\0\0\0\0\x05three', 'latin1');

test('messages are put into frames, which take only their own memory if they are kept', () => {
  const brief = readyResponses(MESSAGES);
  const kept = readyResponses(MESSAGES, { isKept: true });

  assert.deepEqual(brief, { count: 3, messageBytes: 8, frames: FRAMES });
  assert.deepEqual(kept, brief);
  assert.equal(kept.frames.buffer.byteLength, FRAMES.length);
});
