import { createLogger, type LogLevel } from '#platform/log/logger';

/** Returns a logger, and its lines as objects. */
export function lineLogger(level: LogLevel = 'info') {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    format: 'json',
    level,
    stream: { write: (line) => lines.push(JSON.parse(line)) },
  });
  return { lines, logger };
}
