import { CORRELATION_ID, KEY_ID, KEY_TYPE, REMOTE_IP, USER_ID, USERNAME } from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';
import type { Identity } from './identity.ts';

export interface Caller {
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  /** Already known to be harmless in a log. */
  readonly correlationId?: string | undefined;
}

/** Metadata is printable ASCII; names of people need not be. */
const NOT_PRINTABLE_ASCII = /[^ -~]/gu;

/** What Gitaly is told beside the request, in the keys of gitlab-shell: who asks and from where, for hooks, limits and logs. */
export function callMetadata({ correlationId, identity, remoteAddress }: Caller): MetadataInit {
  return {
    [USER_ID]: identity.glId.replaceAll(NOT_PRINTABLE_ASCII, '?'),
    [USERNAME]: identity.username.replaceAll(NOT_PRINTABLE_ASCII, '?'),
    ...(identity.keyId === undefined ? {} : { [KEY_ID]: String(identity.keyId), [KEY_TYPE]: 'key' }),
    ...(remoteAddress === undefined ? {} : { [REMOTE_IP]: remoteAddress }),
    ...(correlationId === undefined ? {} : { [CORRELATION_ID]: correlationId }),
  };
}
