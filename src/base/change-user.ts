import { object, oneOf, optional, type Shaped, text } from './shape.ts';

/** Who changes a repository, as events show it: never a secret. */
export const changeUser = object({
  /** `username-ann`, `user-1` or `key-2`: `GL_ID` of hooks. */
  id: text,
  name: text,
  /** The token, password or key of the login; a password has an empty name. */
  credential: optional(object({ kind: oneOf('password', 'token', 'key'), name: text })),
});
export type ChangeUser = Shaped<typeof changeUser>;
