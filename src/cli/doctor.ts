import { messageOf } from '#base/gitaly-error';
import { diagnose } from '#tools/doctor/run-doctor';
import { printFindings, summaryOf } from './findings.ts';

/**
 * Runs `gitaly-ts doctor`. Resolves to the exit code: 1 if an error was found; warnings do not
 * count.
 */
export async function runDoctor(
  target: string | undefined,
  { json = false }: { readonly json?: boolean },
): Promise<number> {
  try {
    const findings = await printFindings(diagnose(target), { json });
    const summary = summaryOf(findings);
    if (json) process.stdout.write(`${JSON.stringify({ ...summary, findings }, undefined, 2)}\n`);
    return summary.errors > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`gitaly-ts doctor: ${messageOf(error)}\n`);
    return 1;
  }
}
