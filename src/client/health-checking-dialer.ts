import { type Dialer, dial } from './dial.ts';

/**
 * A dialer that asks the server for its health before it hands the connection on, so that a wrong address or token shows at once.
 * Any answer will do: what counts is that the call works. Its error is passed on unchanged and the connection is closed.
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
