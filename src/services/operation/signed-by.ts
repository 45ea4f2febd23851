import type { CommittedBy } from '#domain/signing/commit-signing';
import type { Ident } from '#git/objects/format-ident';
import type { HandlerContext } from '#rpc/server/handler';
import { allowsSigning } from '../convert/feature-flags.ts';
import type { OperationRooms } from './index.ts';

/** Who commits and who signs: the user and nobody, unless the request wants the server's signature. */
export function signedBy(
  committer: Ident,
  { sign }: { readonly sign: boolean },
  context: HandlerContext,
  { commitSigning }: OperationRooms,
): CommittedBy {
  return sign && allowsSigning(context) ? commitSigning.signed(committer) : { committer, sign: undefined };
}
