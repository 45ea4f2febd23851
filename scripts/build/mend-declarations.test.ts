import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mended } from './mend-declarations.ts';

test('private fields and the places in proto/ are removed, comments are kept', () => {
  const text = `export declare class Pool {
    #private;
    close(): void;
}
/**
 * Request of GetBlob.
 *
 * @generated from message gitaly.GetBlobRequest
 */
export declare type GetBlobRequest = {
  /**
   * @generated from field: string oid = 2;
   */
  oid: string;
};

/**
 * Describes the message gitaly.GetBlobRequest.
 * Use \`create(GetBlobRequestSchema)\` to create a new message.
 */
export declare const GetBlobRequestSchema: GenMessage<GetBlobRequest>;
`;

  assert.equal(
    mended(text),
    `export declare class Pool {
    close(): void;
}
/**
 * Request of GetBlob.
 */
export declare type GetBlobRequest = {
  oid: string;
};

export declare const GetBlobRequestSchema: GenMessage<GetBlobRequest>;
`,
  );
});
