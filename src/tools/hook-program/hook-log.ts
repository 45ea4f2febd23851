import { appendFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, type Logger } from '#platform/log/logger';

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const FILE_NAME = 'gitaly_hooks.log';
/** Below are the streams that belong to git. */
const FIRST_FREE_DESCRIPTOR = 3;

/**
 * Where a hook tells why it failed: never on its standard streams, whose text reaches whoever pushes. A descriptor that the server gave
 * (`GITALY_LOG_CONFIGURATION`, since 17) or a directory (`GITALY_LOG_DIR`, before); else nowhere.
 */
export function hookLogger(environment: Environment): Logger {
  const { GITALY_LOG_CONFIGURATION: configuration, GITALY_LOG_DIR: directory, CORRELATION_ID } = environment;
  const { descriptor, format } = readConfiguration(configuration);
  const write = (line: string): void => {
    try {
      if (descriptor !== undefined) writeSync(descriptor, line);
      else if (directory) appendFileSync(join(directory, FILE_NAME), line);
    } catch {
      // There is no other place to tell it.
    }
  };
  const fields = { component: 'gitaly-hooks', correlation_id: CORRELATION_ID ?? '' };
  return createLogger({ format, level: 'info', stream: { write }, fields });
}

function readConfiguration(json: string | undefined): { descriptor?: number; format: 'text' | 'json' } {
  if (!json) return { format: 'text' };
  try {
    const { FileDescriptor: descriptor, Config: config = {} } = JSON.parse(json);
    const format = config.Format === 'json' || config.format === 'json' ? 'json' : 'text';
    return Number.isInteger(descriptor) && descriptor >= FIRST_FREE_DESCRIPTOR ? { descriptor, format } : { format };
  } catch {
    return { format: 'text' }; // not for us
  }
}
