import { existsSync } from 'node:fs';
import { ConfigError } from '#platform/config/config-error';
import { type GitalyConfig, loadConfig } from '#platform/config/load-config';

/**
 * Reads a configuration. Prints its errors on standard error and returns `undefined` if it is
 * invalid.
 *
 * @param firstLine makes the line from the message of an error.
 */
export async function readConfigOrExplain(
  configPath: string,
  firstLine = (message: string): string => `failed to configure Gitaly: ${message}`,
): Promise<GitalyConfig | undefined> {
  try {
    const config = await loadConfig(configPath);
    if (config.concurrency.length > 0) {
      // Loads the descriptors of all RPCs.
      const { checkLimitedMethods } = await import('#gitaly/limits/unknown-methods');
      checkLimitedMethods(config, configPath);
    }
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${firstLine(error.message)}\n`);
    if (!existsSync(configPath))
      process.stderr.write('\nCreate one with "gitaly-ts init DIR"; config.toml.example lists every key.\n');
    if (error.explanation !== '') process.stderr.write(`\n${error.explanation}\n`);
    return undefined;
  }
}
