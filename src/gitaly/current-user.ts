import type { ChangeUser } from '#base/change-user';
import { runningCall } from '#calls/running-call';
import { userInHeaders } from '#rpc/common/call-user';

/**
 * Returns who changes repositories with the call that is being served: the user of the request,
 * with the credential that the gateway has named; `undefined` in background jobs.
 */
export function currentUser(): ChangeUser | undefined {
  const call = runningCall();
  if (call === undefined) return undefined;
  const { user } = call.context;
  const named = userInHeaders(call.headers);
  return user === undefined || user.id === named?.id ? named : user;
}
