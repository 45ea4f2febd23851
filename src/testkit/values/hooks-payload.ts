import type { HooksPayload } from '#domain/hooks/payload';
import type { Transaction } from '#domain/transactions/transaction';
import { REPOSITORY } from '../clients/operation-fixture.ts';

/**
 * Returns the environment variable with which git passes the server's payload to a hook, for a push
 * over HTTP.
 */
export function hooksPayload(overrides: Partial<HooksPayload> = {}): string {
  const encoded = encodeHooksPayload({
    requestedHooks: 15,
    featureFlags: [],
    repository: REPOSITORY,
    objectFormat: 'sha1',
    runtimeDirectory: '/nowhere',
    internalSocket: '/nowhere/intern',
    internalSocketToken: '',
    transaction: undefined,
    user: { username: 'jane', userId: 'user-1', protocol: 'http', remoteIp: '' },
    transactionId: 0,
    clientContext: undefined,
    ...overrides,
  });
  return `GITALY_HOOKS_PAYLOAD=${encoded}`;
}

/** Encodes a payload as Gitaly does for its hooks: base64 of JSON. */
export function encodeHooksPayload(payload: HooksPayload): string {
  const { user, transaction, clientContext } = payload;
  const json = {
    requested_hooks: payload.requestedHooks,
    feature_flags_with_value: payload.featureFlags.map(({ name, onByDefault, enabled }) => {
      return { flag: { name, on_by_default: onByDefault }, enabled };
    }),
    repository: JSON.stringify(payload.repository),
    object_format: payload.objectFormat,
    runtime_dir: payload.runtimeDirectory,
    internal_socket: payload.internalSocket,
    internal_socket_token: payload.internalSocketToken,
    transaction: transaction === undefined ? null : transactionToJson(transaction),
    user_details:
      user === undefined
        ? null
        : { username: user.username, userid: user.userId, protocol: user.protocol, remote_ip: user.remoteIp },
    transaction_id: payload.transactionId,
    gitaly_client_context: clientContext?.toString('base64') ?? null,
  };
  return Buffer.from(JSON.stringify(json)).toString('base64');
}

function transactionToJson({ backchannelId, hasVoteStream, id, node, primary }: Transaction): object {
  const stream = hasVoteStream === true && { vote_stream: true };
  // The type definitions lack it; Node has it since version 21.
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return { backchannel_id: backchannelId, id: rawJSON(String(id)), node, primary, ...stream };
}
