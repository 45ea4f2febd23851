/** The user of a request, as Gitaly's hooks identify people. */
export interface Identity {
  /** `user-<number>`, `username-<name>` or `key-<number>`; never empty, or pushes are refused. */
  readonly glId: string;
  readonly username: string;
  /** Number of the SSH key used for the login, if any. */
  readonly keyId?: number;
}
