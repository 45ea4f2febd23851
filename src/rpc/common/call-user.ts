import { type ChangeUser, changeUser } from '#base/change-user';
import { parseAs } from '#base/shape';
import { CALL_USER, USER_ID, USERNAME } from './header-names.ts';
import type { Metadata } from './metadata.ts';

const MAX_BYTES = 2048;

/** Returns the user of a call as metadata; `undefined` for one that is too long. */
export function encodeCallUser({ credential, id, name }: ChangeUser): Buffer | undefined {
  const bytes = Buffer.from(JSON.stringify({ id, name, ...(credential && { credential }) }));
  return bytes.length > MAX_BYTES ? undefined : bytes;
}

/** Returns the user that a gateway, or GitLab's clients, name in the headers of a call. */
export function userInHeaders(headers: Metadata): ChangeUser | undefined {
  const bytes = headers.getBytes(CALL_USER);
  const sent = bytes && bytes.length <= MAX_BYTES ? parseAs(changeUser, bytes.toString()) : undefined;
  if (sent !== undefined) return sent;
  const [id = '', name = ''] = [headers.get(USER_ID), headers.get(USERNAME)];
  return id === '' && name === '' ? undefined : { id, name };
}
