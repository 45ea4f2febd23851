import { existsSync } from 'node:fs';
import { ConfigError, type GitalyConfig, loadConfig } from '#platform/config/load-config';

/** Reads a configuration; what is wrong with it goes to standard error, and the answer is `undefined`. */
export async function readConfigOrExplain(configPath: string): Promise<GitalyConfig | undefined> {
  try {
    return await loadConfig(configPath);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`failed to configure Gitaly: ${error.message}\n`);
    if (!existsSync(configPath)) process.stderr.write('\n"gitaly-ts init DIR" makes one; config.toml.example has every key.\n');
    if (error.explanation !== '') process.stderr.write(`\n${error.explanation}\n`);
    return undefined;
  }
}
