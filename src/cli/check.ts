import { quote } from '#base/go/quote';
import type { logApiCalls } from '#calls/logs/api-log';
import { createLogger } from '#platform/log/logger';
import { logTime } from '#tools/admin/run-command';
import type { GitlabCheck } from '#tools/check-gitlab/check-gitlab';
import type { Finding } from '#tools/doctor/finding';
import { printFindings, summaryOf } from './findings.ts';
import { readConfigOrExplain } from './read-config-or-explain.ts';

/**
 * Runs `gitaly check CONFIG`: checks GitLab's internal API, with the lines that Gitaly prints, and
 * then everything else that a server needs. Resolves to the exit code: 1 if GitLab cannot be
 * reached or there is an error.
 */
export async function check(
  configPath: string,
  { json = false }: { readonly json?: boolean } = {},
): Promise<number> {
  const config = await readConfigOrExplain(configPath, (message) => {
    const reason = message.replace(`load config: config_path ${quote(configPath)}: `, '');
    return `${logTime(new Date())} loading configuration ${quote(configPath)}: ${reason}`;
  });
  if (config === undefined) return 1;
  const { checkGitlab } = await import('#tools/check-gitlab/check-gitlab');
  const gitlab = await checkGitlab(config, json ? undefined : await logToStderr());
  if (!json) {
    process.stdout.write(`${gitlab.lines.join('\n')}\n\n`);
    if (gitlab.failure !== undefined) process.stderr.write(`${logTime(new Date())} ${gitlab.failure}\n`);
  }
  const findings = await findingsOf(configPath, gitlab, json);
  const summary = summaryOf(findings);
  if (json) {
    const { lines, failure } = gitlab;
    const api = { ok: failure === undefined, lines, ...(failure !== undefined && { failure }) };
    process.stdout.write(`${JSON.stringify({ gitlab: api, ...summary, findings }, undefined, 2)}\n`);
  }
  return gitlab.failure === undefined && summary.errors === 0 ? 0 : 1;
}

/** Gitaly writes failed calls of GitLab's API to the log of the command, on standard error. */
async function logToStderr(): Promise<ReturnType<typeof logApiCalls>> {
  const { logApiCalls } = await import('#calls/logs/api-log');
  return logApiCalls(createLogger({ format: 'text', level: 'error', stream: process.stderr }));
}

async function findingsOf(configPath: string, gitlab: GitlabCheck, json: boolean): Promise<Finding[]> {
  const { clockFinding, diagnose } = await import('#tools/doctor/run-doctor');
  const clock = clockFinding(gitlab.clockDifferenceMs);
  async function* all(): AsyncGenerator<Finding, void, undefined> {
    if (clock !== undefined) yield clock;
    yield* diagnose(configPath);
  }
  return await printFindings(all(), { json });
}
