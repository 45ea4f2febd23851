import { readConfiguration } from './configured-server.ts';
import { type CommandStreams, runCommand } from './run-command.ts';

/**
 * Runs a command about the database of Gitaly's transactions (`gitaly db`). Servers of this project
 * have no transactions and no such database, so the command fails with that reason.
 */
export function failWithoutDatabase(databasePath: string, streams: CommandStreams): Promise<number> {
  return runCommand(streams, async () => {
    throw new Error(
      `open database: ${databasePath}: this server has no transactions ([transactions] enabled) and cannot ` +
        'read their database; use the gitaly that wrote it',
    );
  });
}

/**
 * Runs a command about write-ahead logs (`gitaly recovery`), which need transactions. Fails with
 * Gitaly's text for a configuration without backups of the log, or reports that there is no log.
 */
export function failWithoutLog(configPath: string | undefined, streams: CommandStreams): Promise<number> {
  return runCommand(streams, async () => {
    const { backup } = await readConfiguration(configPath ?? '').catch((error: Error) => {
      throw new Error(`setup recovery context: ${error.message}`);
    });
    if (!backup.walBackupGoCloudUrl)
      throw new Error('setup recovery context: write-ahead log backup is not configured');
    if (!backup.goCloudUrl) throw new Error('setup recovery context: backup sink is not configured');
    throw new Error(
      'setup recovery context: this server has no write-ahead log ([transactions] enabled); to restore a ' +
        'repository, use RestoreRepository',
    );
  });
}
