import { toJson } from '#base/go/encoding/json';
import type { UnknownMethod } from '#gitaly/limits/unknown-methods';
import type { ConfigProblem } from '#platform/config/checks';
import { keyWarnings } from '#platform/config/load-config';
import { type ReadConfig, ReadConfigError, readConfig } from '#platform/config/read-config';
import { validateConfig } from '#platform/config/validate-config';

/** Output and exit code of a command. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Lines for standard error in addition to Gitaly's output. They do not change the exit code. */
  readonly warnings?: readonly string[];
}

/**
 * Runs `gitaly configuration validate`: reads a configuration and lists its problems as JSON. Exit
 * code 0 for a valid one (prints nothing), 2 for problems, 1 for a read error without a position in
 * the file.
 */
export async function validateConfiguration(document: string): Promise<CommandResult> {
  let config: ReadConfig;
  try {
    config = await readConfig(document);
  } catch (error) {
    if (!(error instanceof ReadConfigError)) throw error;
    if (error.decoder === undefined)
      return { exitCode: 1, stdout: '', stderr: `processing input data: ${error.message}` };
    const { position, text } = error.decoder;
    return report([{ key: [], message: `line ${position.line} column ${position.column}: ${text}` }]);
  }
  const limits = await limitsOfUnknownMethods(config);
  const fatal = limits.filter(({ isFatal }) => isFatal);
  const problems = fatal.map(({ path: [table, index, key], message }) => ({
    key: [table, `[${index}]`, key],
    message,
  }));
  const other = limits.filter(({ isFatal }) => !isFatal).map(({ message }) => message);
  return {
    ...report([...validateConfig(config), ...problems]),
    warnings: [...warningsOf(config), ...other],
  };
}

function warningsOf(config: ReadConfig): string[] {
  return [...keyWarnings(config, '')].map(({ message, fields: { line } }) =>
    line === undefined ? message : `${message} (line ${line})`,
  );
}

async function limitsOfUnknownMethods({ values }: ReadConfig): Promise<UnknownMethod[]> {
  if (values.concurrency.length + values.rateLimiting.length === 0) return [];
  // Loads the descriptors of all RPCs.
  const { unknownMethods } = await import('#gitaly/limits/unknown-methods');
  return unknownMethods(values);
}

function report(problems: readonly ConfigProblem[]): CommandResult {
  if (problems.length === 0) return { exitCode: 0, stdout: '', stderr: '' };
  const errors = problems.map(({ key, message }) => (key.length === 0 ? { message } : { key, message }));
  return { exitCode: 2, stdout: `${toJson({ errors }, 2)}\n`, stderr: '' };
}
