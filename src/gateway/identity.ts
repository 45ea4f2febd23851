/** Who a request comes from, as Gitaly's hooks know people. */
export interface Identity {
  /** `user-<number>`, `username-<name>` or `key-<number>`; never empty, or pushes are refused. */
  readonly glId: string;
  readonly username: string;
  /** Number of the SSH key that they logged in with, where they did. */
  readonly keyId?: number;
}
