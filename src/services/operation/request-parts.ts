import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { CommitSigning } from '#domain/commit/commit-signing';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import type { User } from '#wire/gen/shared_pb';
import type { OperationDependencies } from './dependencies.ts';

/** On: a request may have its commit signed. */
const GPG_SIGNING: FeatureFlag = { name: 'gpg_signing', onByDefault: true };

/** @throws {GitalyError} INVALID_ARGUMENT with the text, unless the field is filled. */
export function requireFilled(field: Uint8Array | string, text: string): void {
  if (field.length === 0) throw invalidArgument(text);
}

/** @throws {GitalyError} INVALID_ARGUMENT with the given text if there is no user. */
export function requireUser(user: User | undefined, text = 'empty user'): User {
  if (user === undefined) throw invalidArgument(text);
  return user;
}

/**
 * Returns the next message of a stream.
 *
 * @throws {GitalyError} INTERNAL `EOF` if the client has closed its half.
 */
export async function nextRequest<T>(requests: AsyncIterator<T>): Promise<T> {
  const result = await requests.next();
  if (result.done === true) throw new GitalyError('INTERNAL', 'EOF');
  return result.value;
}

/** Returns the signer of a request's commit; `undefined` if it requests no signature. */
export function signingOf(
  { sign }: { readonly sign: boolean },
  context: HandlerContext,
  { commitSigning }: OperationDependencies,
): CommitSigning | undefined {
  return sign && context.flags.isEnabled(GPG_SIGNING) ? commitSigning : undefined;
}
