import type { ServerStatus } from '#calls/top/status';

/** Returns what the server is doing now; `undefined` if it does not respond in time. */
export type StatusSource = () => ServerStatus | undefined | Promise<ServerStatus | undefined>;
