/** Bounds on what clients may take. */
export interface SshLimits {
  /** Connections at a time, in total. More are closed at once. */
  readonly maxConnections: number;
  /** Connections at a time from one address. More are closed at once. */
  readonly maxConnectionsPerAddress: number;
  /** Milliseconds from the connection to a successful authentication; a later exchange of keys may take as long. */
  readonly loginGraceMs: number;
  /** Keys that a client may offer in vain. Agents offer all that they have. */
  readonly maxAuthAttempts: number;
  /** Milliseconds. A connection over which no byte of a command moves for so long is cut. Hooks may run that long without a word. */
  readonly idleTimeoutMs: number;
  /** Milliseconds. A client that is silent for so long is asked whether it is there; after the third time it is cut. */
  readonly keepAliveIntervalMs: number;
  /** Commands at a time on one connection. */
  readonly maxSessions: number;
}

/** The numbers of sshd where it has them (LoginGraceTime is 120 s there). */
export const SSH_LIMITS: SshLimits = {
  maxConnections: 1024,
  maxConnectionsPerAddress: 128,
  loginGraceMs: 60_000,
  maxAuthAttempts: 20,
  idleTimeoutMs: 15 * 60_000,
  keepAliveIntervalMs: 15_000,
  maxSessions: 10,
};
