import type { Finding, Level } from '#tools/doctor/finding';

/** Number of findings by level. */
export interface Summary {
  readonly ok: number;
  readonly warnings: number;
  readonly errors: number;
}

/** Counts findings by level. */
export function summaryOf(findings: readonly Finding[]): Summary {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  return { ok: count('ok'), warnings: count('warning'), errors: count('error') };
}

/** Collects findings; except for JSON output, prints each when it is known, and a summary. */
export async function printFindings(
  findings: AsyncIterable<Finding>,
  { json }: { readonly json: boolean },
): Promise<Finding[]> {
  const all: Finding[] = [];
  for await (const finding of findings) {
    all.push(finding);
    if (!json) process.stdout.write(linesOf(finding));
  }
  const { ok, warnings, errors } = summaryOf(all);
  if (!json) process.stdout.write(`\n${ok} ok, ${amount(warnings, 'warning')}, ${amount(errors, 'error')}\n`);
  return all;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function linesOf({ level, subject, message, fix }: Finding): string {
  const line = `${level.padEnd(7)}  ${subject}: ${message}\n`;
  return fix === undefined ? line : `${line}         fix: ${fix}\n`;
}
