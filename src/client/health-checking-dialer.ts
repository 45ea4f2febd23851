import { type Dialer, dial } from './dial.ts';

/**
 * Returns a dialer that makes a health check before it returns the connection, so that a wrong
 * address or token fails at once. Any response is accepted: the check only tests that a call works.
 * Its error is passed on unchanged and the connection is closed.
 */
export function healthCheckDialer(base: Dialer = dial): Dialer {
  return async (address, options) => {
    const connection = await base(address, options);
    try {
      await connection.health.check({}, options?.signal === undefined ? {} : { signal: options.signal });
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  };
}
