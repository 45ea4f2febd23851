import { encodeCallUser } from '#rpc/common/call-user';
import {
  CALL_USER,
  CORRELATION_ID,
  KEY_ID,
  KEY_TYPE,
  REFERENCE_RULES,
  REMOTE_IP,
  USER_ID,
  USERNAME,
} from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';
import { encodePushRules } from '#tokens/push-rules';
import type { Identity } from './identity.ts';

export interface Caller {
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  /** Correlation id that is safe to log. */
  readonly correlationId?: string | undefined;
}

/** Characters that metadata cannot hold, although names of people may contain them. */
const NOT_PRINTABLE_ASCII = /[^ -~]/gu;

/**
 * Returns the metadata of a call under gitlab-shell's keys: the user and their address, for hooks,
 * limits and logs, and the rules of their token.
 */
export function callMetadata({ correlationId, identity, remoteAddress }: Caller): MetadataInit {
  const rules = encodePushRules(identity.scope);
  const { credential, glId: id, username: name } = identity;
  const user = encodeCallUser({ id, name, ...(credential && { credential }) });
  return {
    [USER_ID]: identity.glId.replaceAll(NOT_PRINTABLE_ASCII, '?'),
    [USERNAME]: identity.username.replaceAll(NOT_PRINTABLE_ASCII, '?'),
    ...(identity.keyId === undefined ? {} : { [KEY_ID]: String(identity.keyId), [KEY_TYPE]: 'key' }),
    ...(user === undefined ? {} : { [CALL_USER]: user }),
    ...(rules === undefined ? {} : { [REFERENCE_RULES]: rules }),
    ...(remoteAddress === undefined ? {} : { [REMOTE_IP]: remoteAddress }),
    ...(correlationId === undefined ? {} : { [CORRELATION_ID]: correlationId }),
  };
}
