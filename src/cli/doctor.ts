import { messageOf } from '#base/gitaly-error';
import type { Finding, Level } from '#tools/doctor/finding';
import { diagnose } from '#tools/doctor/run-doctor';

/**
 * Runs `gitaly-ts doctor`. Resolves to the exit code: 1 if an error was found; warnings do not
 * count.
 */
export async function runDoctor(
  target: string | undefined,
  { json }: { readonly json?: boolean },
): Promise<number> {
  const findings: Finding[] = [];
  try {
    for await (const finding of diagnose(target)) {
      findings.push(finding);
      if (json !== true) process.stdout.write(linesOf(finding));
    }
  } catch (error) {
    process.stderr.write(`gitaly-ts doctor: ${messageOf(error)}\n`);
    return 1;
  }
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const counts = { ok: count('ok'), warnings: count('warning'), errors: count('error') };
  if (json === true) process.stdout.write(`${JSON.stringify({ ...counts, findings }, undefined, 2)}\n`);
  else
    process.stdout.write(
      `\n${counts.ok} ok, ${amount(counts.warnings, 'warning')}, ${amount(counts.errors, 'error')}\n`,
    );
  return counts.errors > 0 ? 1 : 0;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function linesOf({ level, subject, message, fix }: Finding): string {
  const line = `${level.padEnd(7)}  ${subject}: ${message}\n`;
  return fix === undefined ? line : `${line}         fix: ${fix}\n`;
}
