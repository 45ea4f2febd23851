import type { ApiOperation } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';
import { AddressReader, Checker } from './read-request.ts';

/** A row with its checks, which are compiled when they are needed first. */
export interface ReadyOperation extends ApiOperation {
  readonly readParameters: AddressReader;
  readonly readQuery: AddressReader;
  readonly checkBody: Checker | undefined;
}

/** The rows of the table. */
export const READY_OPERATIONS: readonly ReadyOperation[] = OPERATIONS.map((operation) => {
  const { body, parameters, query } = operation;
  return {
    ...operation,
    readParameters: new AddressReader(parameters, ''),
    readQuery: new AddressReader(query, 'query'),
    checkBody: body === undefined || body === 'bytes' ? undefined : new Checker(body, 'body'),
  };
});
