import { encodeHooksPayload, type HooksPayload } from '#domain/hooks/payload';
import { REPOSITORY } from './operation-fixture.ts';

/** Returns the variable by which git passes the server's payload to a hook, of a push by HTTP. */
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
