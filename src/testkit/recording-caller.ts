import type { ServiceDescriptor } from '#client/call/typed-client';
import type { CallScope } from '#client/rails/call-scope';
import type { StorageCaller } from '#client/rails/services/storage-calls';
import { emptyAnswer, type RecordedCall, recordedConnection } from './recorded-connection.ts';

export interface RecordingCaller {
  readonly caller: StorageCaller;
  readonly calls: readonly RecordedCall[];
  /** The settings of each call. */
  readonly scopes: readonly CallScope[];
}

/**
 * Returns a caller of storages with these services. Default: their calls get an empty response, or
 * a stream without responses.
 */
export function recordingCaller(
  services: Readonly<Record<string, ServiceDescriptor>>,
  answersTo = emptyAnswer,
): RecordingCaller {
  const { calls, connection } = recordedConnection(services, answersTo);
  const scopes: CallScope[] = [];
  const caller: StorageCaller = {
    call: (_, work, scope = {}) => {
      scopes.push(scope);
      return work(connection);
    },
  };
  return { caller, calls, scopes };
}
