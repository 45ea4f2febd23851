import { appendFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { JsonFields } from '#base/json-fields';
import { createLogger, type Logger } from '#platform/log/logger';

/** The environment of a process. */
export type HelperEnvironment = Readonly<Record<string, string | undefined>>;

/** Lower descriptors are git's streams. */
const FIRST_FREE_DESCRIPTOR = 3;

/**
 * Returns a logger for the reasons of failures of a program that git starts. It never uses the
 * standard streams, whose text is shown to the user. It writes to a descriptor from the server
 * (`GITALY_LOG_CONFIGURATION`, since 17) or a directory (`GITALY_LOG_DIR`, before); otherwise
 * nothing is logged.
 */
export function helperLogger(program: string, environment: HelperEnvironment): Logger {
  const { GITALY_LOG_CONFIGURATION: configuration, GITALY_LOG_DIR: directory, CORRELATION_ID } = environment;
  const { descriptor, format } = readConfiguration(configuration);
  const write = (line: string): void => {
    try {
      if (descriptor !== undefined) writeSync(descriptor, line);
      else if (directory) appendFileSync(join(directory, `${program.replaceAll('-', '_')}.log`), line);
    } catch {
      // The failure cannot be reported.
    }
  };
  const fields = { component: program, correlation_id: CORRELATION_ID ?? '' };
  return createLogger({ format, level: 'info', stream: { write }, fields });
}

function readConfiguration(json: string | undefined): { descriptor?: number; format: 'text' | 'json' } {
  const fields = JsonFields.parse(json ?? '');
  const config = fields?.object('Config');
  const format = config?.text('Format') === 'json' || config?.text('format') === 'json' ? 'json' : 'text';
  const descriptor = fields?.number('FileDescriptor');
  return Number.isInteger(descriptor) && descriptor !== undefined && descriptor >= FIRST_FREE_DESCRIPTOR
    ? { descriptor, format }
    : { format };
}
