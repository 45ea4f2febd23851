import assert from 'node:assert/strict';
import { test } from 'node:test';
import { azureError } from './azure-errors.ts';
import type { BlobUpload } from './upload.ts';
import { uploadBlob } from './upload.ts';

const PART_BYTES = 1000;
const { signal } = new AbortController();

/** One blob of a service: its blocks that are not committed, and those of its content. */
class Blob {
  readonly names: string[] = [];
  #uncommitted = new Map<string, Buffer>();
  #committed = new Map<string, Buffer>();

  get content(): string {
    return Buffer.concat([...this.#committed.values()]).toString();
  }

  async stageBlock(id: string, body: Buffer): Promise<void> {
    this.names.push(id);
    this.#uncommitted.set(id, Buffer.from(body));
  }

  async commitBlockList(ids: readonly string[]): Promise<{ etag: string }> {
    const blockOf = (id: string): Buffer =>
      this.#uncommitted.get(id) ?? this.#committed.get(id) ?? invalidBlockList();
    this.#committed = new Map(ids.map((id) => [id, blockOf(id)]));
    this.#uncommitted = new Map();
    return { etag: '"1"' };
  }
}

/** @throws {StoreError} as the store does with the response of the service. */
function invalidBlockList(): never {
  const error = Object.assign(new Error('wrong'), { statusCode: 400, code: 'InvalidBlockList' });
  throw azureError(error, { store: 'store', operation: 'put', key: 'key' });
}

function uploadTo(blob: Blob): BlobUpload {
  return {
    ...{ key: 'key', store: 'store', partBytes: PART_BYTES },
    // An upload in blocks uses nothing else of it.
    blob: blob as unknown as BlobUpload['blob'],
    send: (work, ending) => work(ending),
  };
}

async function* bytes(letter: string, whenSent = async (): Promise<void> => {}): AsyncGenerator<Buffer> {
  yield Buffer.alloc(3 * PART_BYTES, letter);
  await whenSent();
}

// Born failing: the blocks of all uploads of a blob had the same names.
test('an upload stores its own bytes, although another one of the blob sends blocks', async () => {
  const blob = new Blob();
  const wrong = bytes('b', () => Promise.reject(new Error('the wrong bytes')));
  const meanwhile = () => assert.rejects(uploadBlob(wrong, { signal }, uploadTo(blob)), /the wrong bytes/);

  await uploadBlob(bytes('a', meanwhile), { signal }, uploadTo(blob));

  assert.equal(blob.content, 'a'.repeat(3 * PART_BYTES));
});

test('an upload succeeds after another one of the same bytes', async () => {
  const blob = new Blob();
  const meanwhile = async (): Promise<void> => {
    await uploadBlob(bytes('a'), { signal }, uploadTo(blob));
  };

  await uploadBlob(bytes('a', meanwhile), { signal }, uploadTo(blob));

  assert.equal(blob.content, 'a'.repeat(3 * PART_BYTES));
  const lengths = new Set(blob.names.map((id) => Buffer.from(id, 'base64').length));
  assert.deepEqual([...lengths], ['00000001'.length]);
});

test('an upload that another one has overtaken reports it', async () => {
  for (const [onlyIf, expected] of [
    [undefined, { name: 'StoreError', message: /InvalidBlockList: wrong \(another upload .* try again\)$/ }],
    ['absent', { name: 'PreconditionError', reason: 'changed' }],
  ] as const) {
    const blob = new Blob();
    const meanwhile = async (): Promise<void> => {
      await uploadBlob(bytes('b'), { signal }, uploadTo(blob));
    };
    const options = { signal, ...(onlyIf && { onlyIf }) };

    await assert.rejects(uploadBlob(bytes('a', meanwhile), options, uploadTo(blob)), expected);

    assert.equal(blob.content, 'b'.repeat(3 * PART_BYTES));
  }
});
