import type { Problem } from '#platform/config/checks';
import { type ReadConfig, ReadConfigError, readConfig } from '#platform/config/read-config';
import { validateConfig } from '#platform/config/validate-config';

/** What a command prints and how it ends. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * `gitaly configuration validate`: reads a configuration and lists its problems as JSON. Exit code 0 for a good one (nothing is
 * printed), 2 for problems, 1 when reading failed in a way that has no place in the file.
 */
export async function validateConfiguration(document: string): Promise<CommandResult> {
  let config: ReadConfig;
  try {
    config = await readConfig(document);
  } catch (error) {
    if (!(error instanceof ReadConfigError)) throw error;
    if (error.decoder === undefined) return { exitCode: 1, stdout: '', stderr: `processing input data: ${error.message}` };
    const { position, text } = error.decoder;
    return report([{ key: [], message: `line ${position.line} column ${position.column}: ${text}` }]);
  }
  return report(validateConfig(config));
}

function report(problems: readonly Problem[]): CommandResult {
  if (problems.length === 0) return { exitCode: 0, stdout: '', stderr: '' };
  const errors = problems.map(({ key, message }) => (key.length === 0 ? { message } : { key, message }));
  const json = JSON.stringify({ errors }, undefined, 2);
  return { exitCode: 2, stdout: `${escapeHtml(json)}\n`, stderr: '' };
}

/** As Go's encoder does. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
