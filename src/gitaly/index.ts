/**
 * Embeds a server: `await using server = await GitalyServer.start({ config: configFrom({ … }) })`.
 */
export { ConfigError } from '#platform/config/config-error';
export { configFrom, type GitalyConfig, loadConfig } from '#platform/config/load-config';
export { createLogger, type Logger, type LoggerOptions, type LogTarget } from '#platform/log/logger';
export { type Addresses, GitalyServer, type GitalyServerOptions } from './gitaly-server.ts';
