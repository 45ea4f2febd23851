const MARK = /^\/\/ Own process: (\S.*)$/;

/**
 * Returns why a file of tests cannot share a process with others, from the line
 * `// Own process: REASON` among the comments at its head.
 */
export function ownProcessReason(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const reason = MARK.exec(line)?.[1];
    if (reason !== undefined) return reason;
    if (line !== '' && !line.startsWith('//')) return undefined;
  }
  return undefined;
}
