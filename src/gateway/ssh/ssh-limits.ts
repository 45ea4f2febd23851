/** Limits for clients. */
export interface SshLimits {
  /** Maximum number of connections in total. Further ones are closed at once. */
  readonly maxConnections: number;
  /** Maximum number of connections from one address. Further ones are closed at once. */
  readonly maxConnectionsPerAddress: number;
  /**
   * Milliseconds from the connection to a successful authentication; also the time limit of a
   * rekey.
   */
  readonly loginGraceMs: number;
  /** Maximum number of rejected keys. Agents offer all their keys. */
  readonly maxAuthAttempts: number;
  /**
   * Milliseconds without a byte of any command, after which a connection is closed. Hooks may be
   * silent for that long.
   */
  readonly idleTimeoutMs: number;
  /**
   * Milliseconds of silence after which a client is probed; after the third unanswered probe it is
   * disconnected.
   */
  readonly keepAliveIntervalMs: number;
  /** Maximum number of concurrent commands on one connection. */
  readonly maxSessions: number;
}

/** sshd's values where it has them (except LoginGraceTime, which is 120 s there). */
export const SSH_LIMITS: SshLimits = {
  maxConnections: 1024,
  maxConnectionsPerAddress: 128,
  loginGraceMs: 60_000,
  maxAuthAttempts: 20,
  idleTimeoutMs: 15 * 60_000,
  keepAliveIntervalMs: 15_000,
  maxSessions: 10,
};
